"""`POST /api/schedule`: a message to a lead, for staff; for whoever has just made the lead, its welcome and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from lead_orchestrator.errors import BadInputError, ForbiddenError, NotFoundError, UnauthenticatedError
from lead_orchestrator.ids import Kind, decode, encode
from lead_orchestrator.leads.models import Channel, MessageKind, ScheduledMessage
from lead_orchestrator.messaging.planned import Planned
from lead_orchestrator.messaging.service import Draft
from lead_orchestrator.messaging.submissions import opened_ticket
from lead_orchestrator.messaging.templates.defaults import VARIANTS, allowed_variables
from lead_orchestrator.messaging.templates.models import TemplateVariant
from lead_orchestrator.rest.api.edge import Call
from lead_orchestrator.rest.api.models import MessageOut, ScheduleIn
from lead_orchestrator.tenancy.links import LEAD_TICKET
from lead_orchestrator.tenancy.permissions import STAFF, admit
from lead_orchestrator.tenancy.public.limits import WRITE
from lead_orchestrator.tenancy.sessions import Alarm, Scope

__all__ = ["schedule"]

LONGEST_VALUE = 300
_SHOWN = 60

E = TypeVar("E", bound=StrEnum)


async def schedule(call: Call) -> MessageOut:
    """The same request with the same key again answers the same message.

    Raises:
        BadInputError: 400, with the path of the field at fault.
        UnauthenticatedError: 401.
        ForbiddenError: 403.
    """
    asked: ScheduleIn = call.asked
    token = _lead_token(call.request.headers.get("authorization"))
    if token is not None:
        return await _welcome(call, token, asked)
    header = call.request.headers.get("authorization")
    await call.services.access.prepare(header)
    claims = call.services.access.claims(header)
    admit(claims, STAFF)
    message = await _staffs(call, Scope.of(claims), asked)
    return _shown(message)


def _lead_token(header: str | None) -> str | None:
    """The lead's token, if it is one: staff's have dots."""
    scheme, _, token = (header or "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() and "." not in token else None


async def _welcome(call: Call, token: str, asked: ScheduleIn) -> MessageOut:
    """The welcome that is on its way since the form was sent; whatever else is known of the lead is not told."""
    services = call.services
    try:
        ticket = services.links.open_ticket(LEAD_TICKET, token)
        place = await services.places.find(str(ticket.location_id))
    except NotFoundError:
        raise UnauthenticatedError("the lead's token is not valid: use the one you were given") from None
    place.check_origin(call.origin)
    await services.limits.spend_by_place(place, WRITE)
    await services.limits.spend_by_person(ticket.tenant_id, ticket.lead_id, WRITE)
    given = asked.model_dump(by_alias=True, exclude_none=True)
    others = sorted(set(given) - {"template", "leadId", "idempotencyKey"})
    if given.get("template") != MessageKind.WELCOME or others:
        message = 'a lead\'s token is for its welcome and nothing else: send {"template": "WELCOME"}'
        raise ForbiddenError(message, field=(others[0] if others else "template",))
    if given.get("leadId", encode(Kind.LEAD, ticket.lead_id)) != encode(Kind.LEAD, ticket.lead_id):
        raise ForbiddenError("this token belongs to another lead", field=("leadId",))
    async with services.tenancy.write(place.scope) as session:
        ticket = await opened_ticket(session, services.links, token, place.location_id)
        await services.messages.welcome(session, ticket.lead_id, ticket.digest)
    return MessageOut(kind=MessageKind.WELCOME, status="ACCEPTED")


async def _staffs(call: Call, scope: Scope, asked: ScheduleIn) -> ScheduledMessage:
    services = call.services
    key = call.request.headers.get("idempotency-key") or asked.idempotency_key or ""
    lead_id = decode(Kind.LEAD, _needed(asked.lead_id, "leadId"), field="leadId")
    due_at = _moment(asked.due_at)
    if asked.template is not None:
        planned = _planned(asked, due_at)
        async with services.tenancy.write(scope) as session:
            session.ring(Alarm.MESSAGES)
            return await services.messages.send_template(session, lead_id, planned, key)
    channel = _choice(Channel, asked.channel, "channel")
    if channel is None:
        raise BadInputError("channel is missing: name one, or a template", field=("channel",))
    draft = Draft(lead_id, channel, _needed(asked.body, "body"), asked.subject, due_at)
    async with services.tenancy.write(scope) as session:
        session.ring(Alarm.MESSAGES)
        return await services.messages.send(session, draft, key)


def _planned(asked: ScheduleIn, due_at: datetime | None) -> Planned:
    kind = _choice(MessageKind, asked.template, "template", VARIANTS)
    variant = _choice(TemplateVariant, asked.variant, "variant", VARIANTS[kind] if kind else ())
    channel = _choice(Channel, asked.channel, "channel", (Channel.SMS, Channel.EMAIL, Channel.WHATSAPP))
    for name, value in (("body", asked.body), ("subject", asked.subject)):
        if value is not None:
            raise BadInputError(f"a template has its own words: leave the {name} out", field=(name,))
    if kind is None:
        raise BadInputError("template is missing: name one", field=("template",))
    channels = (channel,) if channel else (Channel.SMS, Channel.EMAIL)
    return Planned(kind, due_at, variant or TemplateVariant.STANDARD, channels, _values(asked.values or {}, kind))


def _values(given: Mapping[str, Any], kind: MessageKind) -> Mapping[str, str]:
    for name, value in given.items():
        if name not in allowed_variables(kind):
            raise BadInputError(f"{kind.value} has no variable {name[:_SHOWN]!r}", field=("values", name[:_SHOWN]))
        if not isinstance(value, str) or len(value) > LONGEST_VALUE:
            message = f"values.{name} is no text of {LONGEST_VALUE} characters at most"
            raise BadInputError(message, field=("values", name))
    return given


def _choice(kind: type[E], value: str | None, name: str, among: object = None) -> E | None:
    if value is None:
        return None
    allowed = [member for member in kind if among is None or member in among]  # type: ignore[operator]  # any container
    found = next((member for member in allowed if member.value == value), None)
    if found is None:
        message = f"{name} is {value[:_SHOWN]!r}: it is one of {', '.join(allowed)}"
        raise BadInputError(message, field=(name,))
    return found


def _needed(value: str | None, name: str) -> str:
    if not value:
        raise BadInputError(f"{name} is missing", field=(name,))
    return value


def _moment(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError(value)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"dueAt is {value[:_SHOWN]!r}: write RFC 3339 with an offset, as in 2026-03-01T09:30:00-08:00"
        raise BadInputError(message, field=("dueAt",)) from None


def _shown(message: ScheduledMessage) -> MessageOut:
    return MessageOut(
        id=encode(Kind.MESSAGE, message.id),
        lead_id=encode(Kind.LEAD, message.lead_id),
        kind=message.kind,
        channel=message.channel,
        status=message.status,
        due_at=message.due_at,
        decision=message.decision,
    )
