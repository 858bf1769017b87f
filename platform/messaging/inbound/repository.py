"""All SQL about what comes in."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import case, exists, or_, select

from lead_orchestrator.leads.ingestion.models import WebhookEvent
from lead_orchestrator.leads.models import Lead, LeadStatus, MessageStatus, ScheduledMessage
from lead_orchestrator.leads.status import CLOSED
from lead_orchestrator.messaging.inbound.models import Heard, News
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = [
    "add",
    "attempt_of",
    "event",
    "first_location",
    "lock_message",
    "owner_of",
    "reached_otherwise",
    "whose",
]


def add(session: WriteSession, row: MessageLog) -> None:
    session.add(row)


async def event(session: ReadSession, event_id: UUID) -> WebhookEvent:
    own = (WebhookEvent.tenant_id == session.scope.tenant_id, WebhookEvent.id == event_id)
    return (await session.scalars(select(WebhookEvent).where(*own))).one()


async def first_location(session: ReadSession) -> UUID:
    """The tenant's oldest location: where belongs what names none."""
    own = select(Location.id).where(Location.tenant_id == session.scope.tenant_id)
    return (await session.scalars(own.order_by(Location.created_at, Location.id).limit(1))).one()


async def whose(session: ReadSession, heard: Heard, location_id: UUID | None) -> UUID | None:
    """The lead who wrote: of those with the address an open one before a closed one, the newest first; of one location only
    where the number belongs to it."""
    given = ((Lead.phone, heard.phone), (Lead.email, heard.email), (Lead.whatsapp_user_id, heard.user_id))
    same = [column == value for column, value in given if value]
    closed = case((Lead.status.in_([*CLOSED, LeadStatus.OPTED_OUT]), 1), else_=0)
    statement = select(Lead.id).where(Lead.tenant_id == session.scope.tenant_id, or_(*same))
    if location_id is not None:
        statement = statement.where(Lead.location_id == location_id)
    return await session.scalar(statement.order_by(closed, Lead.created_at.desc(), Lead.id.desc()).limit(1))


async def attempt_of(session: ReadSession, news: News) -> MessageLog | None:
    """The attempt that the news is about: by our own ids where they came back, else by the provider's."""
    statement = select(MessageLog).where(
        MessageLog.tenant_id == session.scope.tenant_id,
        MessageLog.channel == news.channel,
        MessageLog.message_id.is_not(None),
    )
    if news.message_id is not None:
        statement = statement.where(MessageLog.message_id == news.message_id, MessageLog.attempt == news.attempt)
    else:
        statement = statement.where(MessageLog.provider_message_id == news.provider_id)
    return await session.scalar(statement.execution_options(populate_existing=True))


async def owner_of(session: ReadSession, news: News) -> UUID | None:
    """The row of the ledger that has this id of the provider's."""
    statement = select(MessageLog.id).where(
        MessageLog.tenant_id == session.scope.tenant_id,
        MessageLog.channel == news.channel,
        MessageLog.provider_message_id == news.provider_id,
    )
    return await session.scalar(statement)


async def lock_message(session: WriteSession, message_id: UUID) -> ScheduledMessage:
    """The message, locked as it stands now; its lead's lock is held already."""
    own = (ScheduledMessage.tenant_id == session.scope.tenant_id, ScheduledMessage.id == message_id)
    statement = select(ScheduledMessage).where(*own).with_for_update(key_share=True)
    return (await session.scalars(statement.execution_options(populate_existing=True))).one()


async def reached_otherwise(session: ReadSession, message: ScheduledMessage) -> bool:
    """Whether another message of the same enrolment went out and did not come back."""
    arrived: Sequence[str] = (MessageStatus.SENT, MessageStatus.DELIVERED)
    other = select(ScheduledMessage.id).where(
        ScheduledMessage.tenant_id == session.scope.tenant_id,
        ScheduledMessage.lead_id == message.lead_id,
        ScheduledMessage.enrolment == message.enrolment,
        ScheduledMessage.id != message.id,
        ScheduledMessage.status.in_(arrived),
    )
    return bool(await session.scalar(select(exists(other))))
