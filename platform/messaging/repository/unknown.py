"""Messages of which nobody knows whether they went out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, update

from lead_orchestrator.clock import real_now
from lead_orchestrator.leads.models import MessageStatus, ScheduledMessage
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["claim_unknown", "expire_leases", "postpone_check"]


async def expire_leases(session: WriteSession) -> int:
    """Messages whose sender died between intent and result become unknown, to be asked about at once.

    One whose result is just being written is left out.
    """
    own = ScheduledMessage.tenant_id == session.scope.tenant_id
    expired = (
        select(ScheduledMessage.id)
        .where(own, ScheduledMessage.status == MessageStatus.SENDING, ScheduledMessage.lease_until <= func.now())
        .with_for_update(key_share=True, skip_locked=True)
    )
    statement = (
        update(ScheduledMessage)
        .where(own, ScheduledMessage.id.in_(expired))
        .values(
            status=MessageStatus.UNKNOWN,
            lease_until=func.now(),
            decision="Unknown: its sender ended between handing it over and noting the answer",
        )
        .returning(ScheduledMessage.id)
    )
    return len(list(await session.scalars(statement.execution_options(synchronize_session=False))))


async def claim_unknown(session: WriteSession, limit: int, pause: timedelta) -> Sequence[ScheduledMessage]:
    """Take up to `limit` unknown messages whose check is due; nobody else checks them for `pause`."""
    statement = (
        select(ScheduledMessage)
        .where(
            ScheduledMessage.tenant_id == session.scope.tenant_id,
            ScheduledMessage.status == MessageStatus.UNKNOWN,
            ScheduledMessage.lease_until <= func.now(),
        )
        .order_by(ScheduledMessage.lease_until)
        .limit(limit)
        .with_for_update(key_share=True, skip_locked=True)
    )
    messages = list(await session.scalars(statement))
    until = (await real_now(session)) + pause
    for message in messages:
        message.lease_until = until
    return messages


async def postpone_check(
    session: WriteSession, message_id: UUID, attempt: int, delay: timedelta | None, why: str
) -> None:
    """Ask again after `delay`; None leaves it to the provider's events or to staff."""
    statement = (
        update(ScheduledMessage)
        .where(
            ScheduledMessage.tenant_id == session.scope.tenant_id,
            ScheduledMessage.id == message_id,
            ScheduledMessage.attempt == attempt,
            ScheduledMessage.status == MessageStatus.UNKNOWN,
        )
        .values(lease_until=None if delay is None else func.now() + delay, decision=why)
    )
    await session.execute(statement.execution_options(synchronize_session=False))
