"""Messages that other features plan: a welcome, a confirmation, a reminder, an answer, each made from the template of its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from lead_orchestrator.clock import app_now
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.leads.models import Channel, Lead, MessageKind, ScheduledMessage
from lead_orchestrator.leads.opt_outs import reachable
from lead_orchestrator.messaging import repository
from lead_orchestrator.messaging.invites import Invite
from lead_orchestrator.messaging.templates.defaults import Language, allowed_variables
from lead_orchestrator.messaging.templates.models import TemplateVariant
from lead_orchestrator.messaging.templates.service import Wordings, message_values, wordings
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import WriteSession
from lead_orchestrator.touches.templates import render, segments

__all__ = ["Planned", "cancel_planned", "plan", "plan_all"]


@dataclass(frozen=True)
class Planned:
    """What is to be planned; `due_at` None is at once.

    `channels` in the order they are tried: the first one on which the lead is reached and did not opt out. `values` are the
    variables of the kind, empty where they are left out. A message that waits under the same `reference` is replaced.
    After `void_after` it does not go out at all. By mail it carries the `invite`, if there is one.
    `language` chooses among the built-in texts. `confirms_opt_out_before`: it confirms an opt-out, which it may until then.
    """

    kind: MessageKind
    due_at: datetime | None = None
    variant: TemplateVariant = TemplateVariant.STANDARD
    channels: Sequence[Channel] = (Channel.SMS, Channel.EMAIL)
    values: Mapping[str, str] = field(default_factory=dict)
    reference: str | None = None
    language: Language = "en"
    confirms_opt_out_before: datetime | None = None
    void_after: datetime | None = None
    invite: Invite | None = None

    def request(self, lead_id: UUID) -> dict[str, object]:
        """What an idempotency key stands for."""
        return {
            "leadId": str(lead_id),
            "kind": self.kind.value,
            "variant": self.variant.value,
            "channels": list(self.channels),
            "values": dict(self.values),
            "dueAt": self.due_at.isoformat() if self.due_at else None,
        }


async def plan(session: WriteSession, lead: Lead, planned: Planned, links: LinkSigner) -> ScheduledMessage:
    """Write the message to a locked lead, worded now; like every message it goes out when the gate lets it.

    The caller wakes the dispatcher after the commit. A lead that is reached on none of the channels gets it on the first
    one, where the gate suppresses it with its reason.
    """
    location = await tenancy_repository.location(session, lead.location_id)
    if location is None:
        raise RuntimeError("a lead's location is not in the session's scope")
    if planned.reference is not None:
        await cancel_planned(session, lead, planned.reference, "Replaced by a newer one")
    words = await wordings(session, location.id, [planned.kind])
    message = ScheduledMessage(**_written(lead, location, planned, words, links, await app_now(session)))
    repository.add(session, message)
    await session.flush()
    return message


async def plan_all(
    session: WriteSession,
    lead: Lead,
    location: Location,
    planned: Sequence[Planned],
    words: Wordings,
    links: LinkSigner,
) -> None:
    """As `plan`, for several that replace nothing, in one statement; `words` are those of their kinds at the location."""
    now = await app_now(session)
    await repository.add_messages(session, [_written(lead, location, one, words, links, now) for one in planned])


def _written(
    lead: Lead, location: Location, planned: Planned, words: Wordings, links: LinkSigner, now: datetime
) -> dict[str, Any]:
    """The row of a message."""
    open_channels = [channel for channel in planned.channels if channel in reachable(lead)]
    channel = (open_channels or list(planned.channels))[0]
    wording = words.of(planned.kind, planned.variant, channel, planned.language)
    filled = dict.fromkeys(allowed_variables(planned.kind), "")
    filled |= message_values(lead, location, links, planned.values)
    body = render(wording.body, filled)
    return {
        "tenant_id": lead.tenant_id,
        "location_id": lead.location_id,
        "lead_id": lead.id,
        "kind": planned.kind,
        "channel": channel,
        "enrolment": lead.enrolment,
        "subject": render(wording.subject, filled) if wording.subject else None,
        "body": body,
        "segments": segments(body)[1] if channel is Channel.SMS else None,
        "due_at": planned.due_at or now,
        "confirms_opt_out": planned.confirms_opt_out_before is not None,
        "send_before": planned.confirms_opt_out_before,
        "void_after": planned.void_after,
        "invite": planned.invite.to_json() if planned.invite else None,
        "reference": planned.reference,
        "template_id": wording.template_id,
        "template_version": wording.version,
        "created_at": now,
    }


async def cancel_planned(session: WriteSession, lead: Lead, reference: str, why: str) -> int:
    """Cancel what waits for a locked lead under `reference`, or under `reference:…`; returns how many that were.

    Raises:
        BadInputError: the reference is empty.
    """
    if not reference:
        raise BadInputError("a reference names what a message is about: give one")
    return await repository.cancel_by_reference(session, lead.id, reference, why)
