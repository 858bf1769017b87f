"""Locking messages together with their leads: what is due, and what a result has come for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Select, Uuid, any_, bindparam, func, select

from lead_orchestrator.leads.models import Lead, MessageStatus, ScheduledMessage
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["CLAIM", "Due", "claim_due", "lock_message", "lock_sending", "relock_message"]


@dataclass(frozen=True)
class Due:
    """A due message and its lead, both locked."""

    message: ScheduledMessage
    lead: Lead


# Statements that are made for every batch are written once: building one costs more than running it.
_TENANT = bindparam("tenant", type_=Uuid())
_WITH_LEAD: Select[ScheduledMessage, Lead] = (
    select(ScheduledMessage, Lead)
    .join(Lead, (Lead.tenant_id == ScheduledMessage.tenant_id) & (Lead.id == ScheduledMessage.lead_id))
    .where(ScheduledMessage.tenant_id == _TENANT)
    .with_for_update(key_share=True, skip_locked=True, of=[ScheduledMessage, Lead])
)
CLAIM = (
    _WITH_LEAD.where(ScheduledMessage.status == MessageStatus.SCHEDULED, ScheduledMessage.due_at <= func.app_now())
    .order_by(ScheduledMessage.due_at, ScheduledMessage.id)
    .limit(bindparam("most", type_=Integer()))
)
"""The claim: an index range of what is due, however much waits behind it. It binds `tenant` and `most`."""
_CLAIM_OF_LEAD = CLAIM.where(ScheduledMessage.lead_id == bindparam("lead", type_=Uuid()))
_SENDING = _WITH_LEAD.where(
    ScheduledMessage.id == any_(bindparam("ids", type_=ARRAY(Uuid()))),
    ScheduledMessage.status.in_([MessageStatus.SENDING, MessageStatus.UNKNOWN]),
)


async def claim_due(session: WriteSession, limit: int, lead_id: UUID | None = None) -> Sequence[Due]:
    """Lock up to `limit` due messages with their leads, the longest due first; what somebody else holds is left out.

    Opt-out, take-over and booking change the lead row: they and a claim exclude each other.
    """
    values = {"tenant": session.scope.tenant_id, "most": limit}
    if lead_id is None:
        found = await session.execute(CLAIM, values)
    else:
        found = await session.execute(_CLAIM_OF_LEAD, {**values, "lead": lead_id})
    return [Due(message, lead) for message, lead in found]


async def lock_sending(session: WriteSession, message_ids: Sequence[UUID]) -> Sequence[Due]:
    """Those of the messages of which a result is awaited, locked with their leads; what somebody else holds is left out."""
    values = {"tenant": session.scope.tenant_id, "ids": list(message_ids)}
    return [Due(message, lead) for message, lead in await session.execute(_SENDING, values)]


async def lock_message(
    session: WriteSession, message_id: UUID, attempt: int, statuses: Sequence[MessageStatus]
) -> ScheduledMessage | None:
    """The message, locked, if it still stands where this attempt left it; its lead's lock is held already."""
    statement = (
        select(ScheduledMessage)
        .where(
            ScheduledMessage.tenant_id == session.scope.tenant_id,
            ScheduledMessage.id == message_id,
            ScheduledMessage.attempt == attempt,
            ScheduledMessage.status.in_(statuses),
        )
        .with_for_update(key_share=True)
    )
    return await session.scalar(statement)


async def relock_message(session: WriteSession, message_id: UUID) -> ScheduledMessage:
    """A message that was read before, locked and as it is now; its lead's lock is held already."""
    statement = (
        select(ScheduledMessage)
        .where(ScheduledMessage.tenant_id == session.scope.tenant_id, ScheduledMessage.id == message_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(statement)).one()
