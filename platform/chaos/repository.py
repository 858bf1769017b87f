"""What chaos puts into the database, and what it looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import create_async_engine

from lead_orchestrator.db import database_url
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = [
    "Attempt",
    "Stored",
    "add_first_touches",
    "appointments",
    "first_touches",
    "leased",
    "open_attempts",
    "overlaps",
    "owed",
    "postmaster",
    "unsettled",
    "unsynced",
]

_LEADS = text("""
  INSERT INTO leads (tenant_id, location_id, phone, email, source, enrolled_at, consented, created_at, last_activity_at)
  SELECT :tenant, :location,
    CASE WHEN n % :mails > 0 THEN '+1' || 201 + n / 100 || '55501' || lpad((n % 100)::text, 2, '0') END,
    CASE WHEN n % :mails = 0 THEN 'lead' || n || '@example.com' END, 'API', app_now(), '{SMS,EMAIL}', app_now(), app_now()
  FROM generate_series(0, :count - 1) n""")
_TOUCHES = text("""
  INSERT INTO scheduled_messages (tenant_id, location_id, lead_id, kind, channel, touch_number, due_at, created_at)
  SELECT tenant_id, location_id, id, 'TOUCH', CASE WHEN phone IS NULL THEN 'EMAIL' ELSE 'SMS' END, 1,
    app_now() + (row_number() OVER ()) * :seconds / :count * interval '1 second', app_now()
  FROM leads WHERE tenant_id = :tenant""")
_OPEN = text("""
  SELECT id, attempt FROM scheduled_messages WHERE tenant_id = :tenant AND touch_number = 1
    AND (status = 'SENDING' OR status = 'UNKNOWN' AND lease_until IS NOT NULL)""")
_UNSETTLED = text("""
  SELECT count(*) FROM scheduled_messages WHERE tenant_id = :tenant AND touch_number = 1
    AND (status IN ('SCHEDULED', 'SENDING') OR status = 'UNKNOWN' AND lease_until IS NOT NULL)""")
_STATUSES = text("""
  SELECT coalesce(l.phone, l.email) AS address, m.status, m.channel FROM scheduled_messages m
  JOIN leads l ON l.tenant_id = m.tenant_id AND l.id = m.lead_id WHERE m.tenant_id = :tenant AND m.touch_number = 1""")
_APPOINTMENTS = text("SELECT id, starts_at, status FROM appointments WHERE tenant_id = :tenant")
_OVERLAPS = text("""
  SELECT count(*) FROM appointments a JOIN appointments b
    ON b.tenant_id = a.tenant_id AND b.location_id = a.location_id AND b.bay = a.bay AND b.during && a.during AND b.id > a.id
  WHERE a.tenant_id = :tenant AND a.status = 'CONFIRMED' AND b.status = 'CONFIRMED'""")
_LEASED = text("SELECT count(*) FROM outbox WHERE tenant_id = :tenant AND lease_until > now()")
_OWED = text("SELECT count(*) FROM outbox WHERE tenant_id = :tenant AND status = 'PENDING'")
_UNSYNCED = text("SELECT count(*) FROM appointments WHERE tenant_id = :tenant AND sync_status <> 'SYNCED'")
_POSTMASTER = text(r"SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)::integer")

MAILS = 10  # every so manieth lead has an address for mail only


@dataclass(frozen=True)
class Attempt:
    """One attempt to send a message."""

    message_id: UUID
    number: int


async def add_first_touches(session: WriteSession, location_id: UUID, count: int, seconds: float) -> None:
    """So many leads, each with a first touch; they fall due one after the other within `seconds`."""
    tenant = session.scope.tenant_id
    await session.execute(_LEADS, {"tenant": tenant, "location": location_id, "count": count, "mails": MAILS})
    await session.execute(_TOUCHES, {"tenant": tenant, "count": count, "seconds": seconds})


async def open_attempts(session: ReadSession) -> set[Attempt]:
    """Those of which nobody knows yet what became of them."""
    rows = await session.execute(_OPEN, {"tenant": session.scope.tenant_id})
    return {Attempt(row.id, row.attempt) for row in rows}


async def unsettled(session: ReadSession) -> int:
    """Messages that wait, are being sent, or are asked about."""
    return int(await session.scalar(_UNSETTLED, {"tenant": session.scope.tenant_id}) or 0)


async def first_touches(session: ReadSession) -> Sequence[tuple[str, str, str]]:
    """Address, status and channel of each first touch."""
    rows = await session.execute(_STATUSES, {"tenant": session.scope.tenant_id})
    return [(row.address, row.status, row.channel) for row in rows]


@dataclass(frozen=True)
class Stored:
    """An appointment, by the id that other systems know."""

    id: str
    starts_at: datetime
    confirmed: bool


async def appointments(session: ReadSession) -> Sequence[Stored]:
    """All there are, whatever became of them."""
    rows = await session.execute(_APPOINTMENTS, {"tenant": session.scope.tenant_id})
    return [Stored(encode(Kind.APPOINTMENT, key), starts_at, status == "CONFIRMED") for key, starts_at, status in rows]


async def overlaps(session: ReadSession) -> int:
    """Pairs of confirmed appointments that share a bay."""
    return await _count(session, _OVERLAPS)


async def leased(session: ReadSession) -> int:
    """What other systems are being told, or were when their worker died."""
    return await _count(session, _LEASED)


async def owed(session: ReadSession) -> int:
    """What other systems have not been told yet."""
    return await _count(session, _OWED)


async def unsynced(session: ReadSession) -> int:
    """Appointments that do not say that all systems know them."""
    return await _count(session, _UNSYNCED)


async def _count(session: ReadSession, statement: TextClause) -> int:
    return int(await session.scalar(statement, {"tenant": session.scope.tenant_id}) or 0)


async def postmaster(admin_url: str) -> int:
    """The process id of the server itself."""
    engine = create_async_engine(database_url(admin_url))
    async with engine.connect() as connection:
        pid = int(await connection.scalar(_POSTMASTER) or 0)
    await engine.dispose()
    return pid
