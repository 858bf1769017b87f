"""`POST /api/schedule`: a message to a lead, for staff; for whoever has just made the lead, its welcome and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lead_orchestrator.clock import real_now
from lead_orchestrator.errors import BadInputError, ForbiddenError, NotFoundError, UnauthenticatedError
from lead_orchestrator.ids import Kind, decode, encode
from lead_orchestrator.leads.models import Channel, MessageKind, ScheduledMessage
from lead_orchestrator.messaging.planned import Planned
from lead_orchestrator.messaging.service import Draft, Messages
from lead_orchestrator.messaging.templates.defaults import VARIANTS, allowed_variables
from lead_orchestrator.messaging.templates.models import TemplateVariant
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.links import LEAD_TICKET, LinkSigner, Ticket
from lead_orchestrator.tenancy.permissions import admit, route_rule
from lead_orchestrator.tenancy.sessions import Scope, Tenancy

__all__ = ["ScheduleEndpoint"]

PATH = "/api/schedule"
LARGEST_BODY = 128 * 1024
LONGEST_VALUE = 300
_TEXTS = ("leadId", "template", "variant", "channel", "body", "subject", "dueAt", "idempotencyKey")
_SHOWN = 60

E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True)
class ScheduleEndpoint:
    """`wake(tenant_id)` is called after a message was written."""

    tenancy: Tenancy
    access: Access
    messages: Messages
    links: LinkSigner
    wake: Callable[[UUID], Awaitable[None]]

    async def schedule(self, request: Request) -> Response:
        """201 with the message; the same request with the same key again answers the same message.

        Raises:
            BadInputError: 400, with the path of the field at fault.
            UnauthenticatedError: 401.
            ForbiddenError: 403.
        """
        header = request.headers.get("authorization")
        ticket = self._ticket(header)
        if ticket is not None:
            tenant_id, message = ticket.tenant_id, await self._welcome(ticket, await _fields(request))
        else:
            claims = self.access.claims(header)
            admit(claims, route_rule("POST", PATH).who)
            fields = await _fields(request)
            key = request.headers.get("idempotency-key") or fields.get("idempotencyKey") or ""
            tenant_id, message = Scope.of(claims).tenant_id, await self._staffs(Scope.of(claims), fields, key)
        await self.wake(tenant_id)
        return JSONResponse(_shown(message), status_code=201)

    def _ticket(self, header: str | None) -> Ticket | None:
        """The lead's token, if it is one: staff's have dots."""
        scheme, _, token = (header or "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip() or "." in token:
            return None
        try:
            return self.links.open_ticket(LEAD_TICKET, token.strip())
        except NotFoundError:
            raise UnauthenticatedError("the lead's token is not valid: use the one you were given") from None

    async def _welcome(self, ticket: Ticket, fields: Mapping[str, Any]) -> ScheduledMessage:
        others = sorted(set(fields) - {"template", "leadId", "idempotencyKey"})
        if fields.get("template") != MessageKind.WELCOME or others:
            message = 'a lead\'s token is for its welcome and nothing else: send {"template": "WELCOME"}'
            raise ForbiddenError(message, field=(others[0] if others else "template",))
        if fields.get("leadId", encode(Kind.LEAD, ticket.lead_id)) != encode(Kind.LEAD, ticket.lead_id):
            raise ForbiddenError("this token belongs to another lead", field=("leadId",))
        planned = Planned(MessageKind.WELCOME, reference="welcome")
        subject = encode(Kind.LEAD, ticket.lead_id)
        async with self.tenancy.write(Scope.service(ticket.tenant_id, subject)) as session:
            if ticket.expires_at <= await real_now(session):
                raise UnauthenticatedError("the lead's token has expired")
            return await self.messages.send_template(session, ticket.lead_id, planned, _digest(ticket))

    async def _staffs(self, scope: Scope, fields: Mapping[str, Any], key: str) -> ScheduledMessage:
        lead_id = decode(Kind.LEAD, _needed(fields, "leadId"), field="leadId")
        due_at = _moment(fields)
        if "template" in fields:
            planned = _planned(fields, due_at)
            async with self.tenancy.write(scope) as session:
                return await self.messages.send_template(session, lead_id, planned, key)
        channel = _choice(Channel, fields, "channel")
        if channel is None:
            raise BadInputError("channel is missing: name one, or a template", field=("channel",))
        draft = Draft(lead_id, channel, _needed(fields, "body"), fields.get("subject"), due_at)
        async with self.tenancy.write(scope) as session:
            return await self.messages.send(session, draft, key)


def _planned(fields: Mapping[str, Any], due_at: datetime | None) -> Planned:
    kind = _choice(MessageKind, fields, "template", VARIANTS)
    variant = _choice(TemplateVariant, fields, "variant", VARIANTS[kind] if kind else ()) or TemplateVariant.STANDARD
    channel = _choice(Channel, fields, "channel", (Channel.SMS, Channel.EMAIL, Channel.WHATSAPP))
    for name in ("body", "subject"):
        if name in fields:
            raise BadInputError(f"a template has its own words: leave the {name} out", field=(name,))
    if kind is None:
        raise BadInputError("template is missing: name one", field=("template",))
    channels = (channel,) if channel else (Channel.SMS, Channel.EMAIL)
    return Planned(kind, due_at, variant, channels, _values(fields, kind))


def _values(fields: Mapping[str, Any], kind: MessageKind) -> Mapping[str, str]:
    given = fields.get("values", {})
    if not isinstance(given, dict):
        raise BadInputError("values is no object: send the template's variables as texts", field=("values",))
    for name, value in given.items():
        if name not in allowed_variables(kind):
            raise BadInputError(f"{kind.value} has no variable {name[:_SHOWN]!r}", field=("values", name))
        if not isinstance(value, str) or len(value) > LONGEST_VALUE:
            message = f"values.{name} is no text of {LONGEST_VALUE} characters at most"
            raise BadInputError(message, field=("values", name))
    return given


def _choice(kind: type[E], fields: Mapping[str, Any], name: str, among: object = None) -> E | None:
    value = fields.get(name)
    if value is None:
        return None
    allowed = [member for member in kind if among is None or member in among]  # type: ignore[operator]  # any container
    found = next((member for member in allowed if member.value == value), None)
    if found is None:
        message = f"{name} is {value[:_SHOWN]!r}: it is one of {', '.join(allowed)}"
        raise BadInputError(message, field=(name,))
    return found


def _needed(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not value:
        raise BadInputError(f"{name} is missing", field=(name,))
    return str(value)


def _moment(fields: Mapping[str, Any]) -> datetime | None:
    value = fields.get("dueAt")
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


async def _fields(request: Request) -> dict[str, Any]:
    """The body, an object whose fields are known and of their type."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise BadInputError(f"the body has more than {LARGEST_BODY} bytes")
    try:
        read = json.loads(bytes(body))
        json.dumps(read, ensure_ascii=False).encode()  # half of a surrogate pair is no text anywhere else
    except (ValueError, RecursionError):
        raise BadInputError("the body is no JSON: send one object") from None
    if not isinstance(read, dict):
        raise BadInputError("the body is no JSON object: send one")
    fields = {name: value for name, value in read.items() if value is not None}
    for name, value in fields.items():
        if name not in (*_TEXTS, "values"):
            raise BadInputError(f"there is no field {name[:_SHOWN]!r}: leave it out", field=(name[:_SHOWN],))
        if name in _TEXTS and (not isinstance(value, str) or "\x00" in value):
            raise BadInputError(f"{name} is no text: send one without NUL characters", field=(name,))
    return fields


def _digest(ticket: Ticket) -> str:
    """What stands for the token once it was used."""
    return hashlib.sha256(ticket.token.encode()).hexdigest()


def _shown(message: ScheduledMessage) -> dict[str, object]:
    return {
        "id": encode(Kind.MESSAGE, message.id),
        "leadId": encode(Kind.LEAD, message.lead_id),
        "kind": message.kind,
        "channel": message.channel,
        "status": message.status,
        "dueAt": message.due_at.isoformat(),
        "decision": message.decision,
    }
