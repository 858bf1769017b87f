"""Messages whose words are somebody's own: what staff writes, and what is answered in a conversation."""

from __future__ import annotations

from datetime import datetime

from lead_orchestrator.clock import app_now
from lead_orchestrator.leads.models import Channel, Lead, MessageKind, ScheduledMessage
from lead_orchestrator.messaging import repository
from lead_orchestrator.messaging.simulate import foresee
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Alarm, ReadSession, WriteSession
from lead_orchestrator.touches.templates import segments

__all__ = ["reply", "shop_subject", "write"]


async def write(
    session: WriteSession,
    lead: Lead,
    kind: MessageKind,
    channel: Channel,
    body: str,
    *,
    subject: str | None = None,
    due_at: datetime | None = None,
    reference: str | None = None,
    void_after: datetime | None = None,
) -> ScheduledMessage:
    """A message to the locked lead, in these words; like every message it goes out when the gate lets it.

    After `void_after` it does not go out at all.
    """
    now = await app_now(session)
    message = ScheduledMessage(
        tenant_id=lead.tenant_id,
        location_id=lead.location_id,
        lead_id=lead.id,
        kind=kind,
        channel=channel,
        enrolment=lead.enrolment,
        subject=subject,
        body=body,
        due_at=due_at or now,
        reference=reference,
        void_after=void_after,
        segments=segments(body)[1] if channel is Channel.SMS else None,
        created_at=now,
    )
    repository.add(session, message)
    await session.flush()
    if due_at is None:
        session.ring(Alarm.MESSAGES)
    return message


async def reply(session: WriteSession, lead: Lead, channel: Channel, body: str, secrets: SecretBox) -> ScheduledMessage:
    """An answer to what the locked lead wrote on `channel`: it goes out at any hour while that is fresh."""
    subject = await shop_subject(session, lead) if channel is Channel.EMAIL else None
    message = await write(session, lead, MessageKind.REPLY, channel, body, subject=subject)
    message.decision = await foresee(session, message, lead, secrets)
    return message


async def shop_subject(session: ReadSession, lead: Lead) -> str:
    """The subject of a mail that was given none: it names the shop."""
    location = await tenancy_repository.location(session, lead.location_id)
    return f"A message from {location.name}" if location else "A message for you"
