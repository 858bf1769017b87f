"""The ledger: one row for each attempt to send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Table, bindparam, func, insert, select, update

from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = ["Closing", "add_attempts", "attempt_of", "attempts_since", "close_attempts", "owned_provider_ids"]

_LOGS = cast("Table", MessageLog.__table__)
_CLOSE = (
    update(_LOGS)
    .where(
        _LOGS.c.tenant_id == bindparam("tenant"),
        _LOGS.c.message_id == bindparam("message"),
        _LOGS.c.attempt == bindparam("number"),
    )
    .values(
        status=bindparam("outcome"),
        provider_message_id=bindparam("sid"),
        error_code=bindparam("code"),
        finished_at=func.clock_timestamp(),
    )
)


@dataclass(frozen=True)
class Closing:
    """What became of one attempt."""

    message: UUID
    number: int
    outcome: str
    sid: str | None
    code: str | None


async def add_attempts(session: WriteSession, attempts: Sequence[Mapping[str, object]]) -> None:
    """Insert these rows of the ledger in one statement."""
    if attempts:
        await session.execute(insert(MessageLog), attempts)


async def attempts_since(session: ReadSession, moment: datetime, most: int) -> int:
    """How many messages were handed over or are about to be since `moment`, by real time, counted up to `most`.

    Until the transaction ends nobody else of the franchise counts.
    """
    tenant_id = session.scope.tenant_id
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"messages_per_day:{tenant_id}", 0))
    await session.execute(select(lock))
    first = UUID(int=int(moment.timestamp() * 1000) << 80)  # a uuidv7 begins with the milliseconds of its making
    counted = select(MessageLog.id).where(
        MessageLog.tenant_id == tenant_id,
        MessageLog.id >= first,
        MessageLog.direction == "OUTBOUND",
        MessageLog.status != "NOT_SENT",
    )
    return int(await session.scalar(select(func.count()).select_from(counted.limit(most).subquery())) or 0)


async def attempt_of(session: ReadSession, message_id: UUID, attempt: int) -> MessageLog:
    statement = select(MessageLog).where(
        MessageLog.tenant_id == session.scope.tenant_id,
        MessageLog.message_id == message_id,
        MessageLog.attempt == attempt,
    )
    return (await session.scalars(statement)).one()


async def close_attempts(session: WriteSession, closings: Sequence[Closing]) -> None:
    """Write what became of attempts, in one statement."""
    if not closings:
        return
    rows = [{"tenant": session.scope.tenant_id, **vars(closing)} for closing in closings]
    await (await session.connection()).execute(_CLOSE, rows)


async def owned_provider_ids(session: ReadSession, provider_ids: Sequence[str]) -> set[str]:
    """Those of the provider's messages that another row of the ledger has already."""
    statement = select(MessageLog.provider_message_id).where(
        MessageLog.tenant_id == session.scope.tenant_id, MessageLog.provider_message_id.in_(provider_ids)
    )
    return {found for found in await session.scalars(statement) if found}
