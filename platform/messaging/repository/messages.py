"""Messages one by one, and the franchise's account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, or_, select, update

from lead_orchestrator.leads.models import Channel, MessageStatus, ScheduledMessage
from lead_orchestrator.tenancy.models import MessagingConfig
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = [
    "add",
    "add_messages",
    "cancel_by_reference",
    "count_referenced",
    "count_unsettled",
    "message",
    "refuse_channel",
]


async def count_referenced(session: ReadSession, lead_id: UUID, reference: str, since: datetime) -> int:
    """How many messages with this reference were written to the lead after `since`."""
    statement = select(func.count()).where(
        ScheduledMessage.tenant_id == session.scope.tenant_id,
        ScheduledMessage.lead_id == lead_id,
        ScheduledMessage.reference == reference,
        ScheduledMessage.created_at > since,
    )
    return int(await session.scalar(statement) or 0)


async def count_unsettled(session: ReadSession) -> int:
    """How many messages of the tenant are due, being sent or unknown."""
    due = (ScheduledMessage.status == MessageStatus.SCHEDULED) & (ScheduledMessage.due_at <= func.app_now())
    statement = select(func.count()).where(
        ScheduledMessage.tenant_id == session.scope.tenant_id,
        or_(due, ScheduledMessage.status.in_([MessageStatus.SENDING, MessageStatus.UNKNOWN])),
    )
    return int(await session.scalar(statement) or 0)


async def refuse_channel(session: WriteSession, channel: Channel, reason: str | None) -> None:
    """Note that a provider refused the tenant's account, or (None) that it works again."""
    own = MessagingConfig.tenant_id == session.scope.tenant_id
    statement = update(MessagingConfig).where(own).values({f"{channel.value.lower()}_refused": reason})
    await session.execute(statement.execution_options(synchronize_session=False))


async def add_messages(session: WriteSession, messages: Sequence[Mapping[str, object]]) -> None:
    """Insert these messages in one statement."""
    if messages:
        await session.execute(insert(ScheduledMessage), messages)


def add(session: WriteSession, message: ScheduledMessage) -> None:
    """Insert `message` with the session's next flush."""
    session.add(message)


async def message(session: ReadSession, message_id: UUID) -> ScheduledMessage | None:
    statement = select(ScheduledMessage).where(
        ScheduledMessage.tenant_id == session.scope.tenant_id, ScheduledMessage.id == message_id
    )
    return await session.scalar(statement)


async def cancel_by_reference(session: WriteSession, lead_id: UUID, reference: str, decision: str) -> int:
    """Cancel what waits for this lead under `reference` or below it; returns how many."""
    below = ScheduledMessage.reference.startswith(f"{reference}:", autoescape=True)
    statement = (
        update(ScheduledMessage)
        .where(
            ScheduledMessage.tenant_id == session.scope.tenant_id,
            ScheduledMessage.lead_id == lead_id,
            ScheduledMessage.status == MessageStatus.SCHEDULED,
            or_(ScheduledMessage.reference == reference, below),
        )
        .values(status=MessageStatus.CANCELLED, decision=decision)
        .returning(ScheduledMessage.id)
    )
    await session.flush()
    return len(list(await session.scalars(statement)))
