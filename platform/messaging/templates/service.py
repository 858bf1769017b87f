"""Templates of messages: which one is in force, what may stand in one, and what it says to a lead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from lead_orchestrator.clock import app_now
from lead_orchestrator.errors import AppError, BadInputError, ForbiddenError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads.models import Channel, Lead, MessageKind
from lead_orchestrator.messaging.templates import repository
from lead_orchestrator.messaging.templates.defaults import VARIANTS, Language, Wording, allowed_variables, built_in
from lead_orchestrator.messaging.templates.models import MessageTemplate, TemplateVariant
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession
from lead_orchestrator.touches.service import values
from lead_orchestrator.touches.templates import clean
from lead_orchestrator.touches.wording import wording_problems

__all__ = ["TemplateChange", "TemplateError", "Wordings", "message_values", "set_template", "wordings"]


@dataclass(frozen=True)
class TemplateChange:
    """A new version of a template; `location_id` None is the whole tenant's."""

    location_id: UUID | None
    kind: MessageKind
    variant: TemplateVariant
    channel: Channel
    subject: str | None
    body: str


class TemplateError(BadInputError):
    """The template cannot be used; `problems` are all there are, the first one is its message."""

    def __init__(self, problems: Sequence[AppError]) -> None:
        super().__init__(problems[0].message, code=problems[0].code, field=problems[0].field)
        self.problems = problems


@dataclass(frozen=True)
class Wordings:
    """What the messages of some kinds say at a location: its own template, else the tenant's, else the built-in one.

    A franchise's own template has no language: it is there for everybody. `language` chooses among the built-in ones.
    """

    own: Mapping[tuple[str, str, str], MessageTemplate]

    def of(self, kind: MessageKind, variant: TemplateVariant, channel: Channel, language: Language = "en") -> Wording:
        row = self.own.get((kind, variant, channel))
        return (
            Wording(row.subject, row.body, row.version, row.id) if row else built_in(kind, variant, channel, language)
        )


async def wordings(session: ReadSession, location_id: UUID | None, kinds: Sequence[MessageKind]) -> Wordings:
    """In one statement."""
    rows = await repository.newest(session, location_id, kinds)
    return Wordings({(row.kind, row.variant, row.channel): row for row in rows})


async def set_template(session: WriteSession, change: TemplateChange) -> MessageTemplate:
    """Put a new version in force; older ones stay, and messages that wait say what they said.

    Raises:
        TemplateError: with everything that is wrong.
        ForbiddenError: it is the whole tenant's, and the caller serves some locations only.
        NotFoundError: the caller sees no such location.
    """
    if change.location_id is None and session.scope.location_ids is not None:
        message = "this template is the whole franchise's, and you serve some of its locations: name a locationId"
        raise ForbiddenError(message, field=("locationId",))
    if change.location_id is not None and await tenancy_repository.location(session, change.location_id) is None:
        message = f"there is no location {encode(Kind.LOCATION, change.location_id)}"
        raise NotFoundError(message, field=("locationId",))
    found = _problems(change)
    if found:
        raise TemplateError(found)
    await repository.lock_templates(session)
    key = (change.location_id, change.kind, change.variant, change.channel)
    version = await repository.newest_version(session, *key) + 1
    row = MessageTemplate(
        tenant_id=session.scope.tenant_id,
        location_id=change.location_id,
        kind=change.kind,
        variant=change.variant,
        channel=change.channel,
        version=version,
        subject=change.subject if change.channel is Channel.EMAIL else None,
        body=change.body,
        created_at=await app_now(session),
    )
    repository.add(session, row)
    target = encode(Kind.LOCATION, change.location_id) if change.location_id else None
    detail = {
        "kind": change.kind.value,
        "variant": change.variant.value,
        "channel": change.channel.value,
        "version": version,
    }
    session.audit("message_template.set", target=target or encode(Kind.TENANT, session.scope.tenant_id), detail=detail)
    return row


def message_values(lead: Lead, location: Location, links: LinkSigner, more: Mapping[str, str]) -> dict[str, str]:
    """What the variables of a template stand for in a message to this lead; `more` are those of its kind."""
    return {**values(lead, location, links), "shop_phone": clean(location.phone or ""), **more}


def _problems(change: TemplateChange) -> list[AppError]:
    variants = VARIANTS.get(change.kind)
    if variants is None:
        kinds = ", ".join(VARIANTS)
        where = "setTouchSchedule sets the touches" if change.kind is MessageKind.TOUCH else "it is written each time"
        message = f"kind is {change.kind.value}, which has no template of its own: {where}; there are {kinds}"
        return [BadInputError(message, field=("kind",))]
    if change.variant not in variants:
        message = f"variant is {change.variant.value}: {change.kind.value} has {', '.join(variants)}"
        return [BadInputError(message, field=("variant",))]
    allowed = allowed_variables(change.kind)
    return list(wording_problems("messages", change.channel, change.subject, change.body, allowed))
