"""Bulk rows for benchmarks, written by the throw-away cluster's superuser, and the plan of the claim."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.ext.asyncio import create_async_engine

from lead_orchestrator.db import database_url
from lead_orchestrator.messaging.repository import CLAIM
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = [
    "BareInserts",
    "add_appointments",
    "add_mirrored",
    "add_waiting_leads",
    "count_relations",
    "explain_claim",
    "transactions",
    "visible",
]

_LEADS = text("""
  INSERT INTO leads (tenant_id, location_id, first_name, phone, source, enrolled_at, consented, created_at, last_activity_at)
  SELECT :tenant, :location, 'Lead ' || n, '+1213555' || lpad((n % 10000)::text, 4, '0'), 'API', now(), '{SMS}', now(), now()
  FROM generate_series(1, :count) n""")
_MESSAGES = text("""
  INSERT INTO scheduled_messages (tenant_id, location_id, lead_id, kind, channel, touch_number, due_at, created_at)
  SELECT tenant_id, location_id, id, 'TOUCH', 'SMS', 1,
    app_now() + (row_number() OVER () - :due) * interval '1 second', now()
  FROM leads WHERE tenant_id = :tenant AND NOT EXISTS (
    SELECT FROM scheduled_messages m WHERE m.tenant_id = leads.tenant_id AND m.lead_id = leads.id)""")


_TRANSACTIONS = text("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")


async def add_waiting_leads(admin_url: str, tenant_id: UUID, location_id: UUID, *, count: int, due: int) -> None:
    """`count` leads, each with a first touch; `due` of them are due now, the others one a second later each."""
    engine = create_async_engine(database_url(admin_url))
    async with engine.begin() as connection:
        await connection.execute(_LEADS, {"tenant": tenant_id, "location": location_id, "count": count})
        await connection.execute(_MESSAGES, {"tenant": tenant_id, "due": due})
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text("VACUUM ANALYZE leads, scheduled_messages"))
    await engine.dispose()


async def count_relations(admin_url: str) -> int:
    """How many tables, indexes and the like the database has."""
    engine = create_async_engine(database_url(admin_url))
    async with engine.connect() as connection:
        found = int(await connection.scalar(text("SELECT count(*) FROM pg_class")) or 0)
    await engine.dispose()
    return found


_ONBOARDED = (
    *("locations", "location_hours", "bays", "tenant_crm_configs", "tenant_messaging_configs", "onboardings"),
    *("touch_templates", "message_templates", "service_catalog", "users", "invitations", "audit_log", "tenant_heads"),
)
_SEEN = " UNION ALL ".join(f"SELECT tenant_id FROM {table}" for table in _ONBOARDED)  # noqa: S608 - names of this file
_VISIBLE = text(
    "SELECT count(*) FILTER (WHERE tenant_id = :tenant), count(*) FILTER (WHERE tenant_id <> :tenant)"  # noqa: S608 - names of this file
    f" FROM ({_SEEN}) AS seen"
)


async def visible(session: ReadSession) -> tuple[int, int]:
    """How many rows of what onboarding makes the session sees: of its tenant, and of others. Nothing but the policies limits it."""
    own, others = (await session.execute(_VISIBLE, {"tenant": session.scope.tenant_id})).one()
    return int(own), int(others)


_TAKEN = """
  INSERT INTO appointments (tenant_id, location_id, bay, during, status, created_at)
  SELECT $1, $2, bay, tstzrange(starts_at, ends_at), 'CONFIRMED', now()
  FROM unnest($3::smallint[], $4::timestamptz[], $5::timestamptz[]) AS taken (bay, starts_at, ends_at)"""


async def add_appointments(
    admin_url: str, tenant_id: UUID, location_id: UUID, taken: Sequence[tuple[int, datetime, datetime]]
) -> None:
    """Confirmed appointments of nobody, each of a bay from its beginning to its end."""
    bays, begins, ends = zip(*taken, strict=True)
    connection = await asyncpg.connect(admin_url)
    await connection.execute(_TAKEN, tenant_id, location_id, list(bays), list(begins), list(ends))
    await connection.execute("VACUUM ANALYZE appointments")
    await connection.close()


_EVENTS = """
  INSERT INTO google_calendar_events (tenant_id, location_id, event_id, during)
  SELECT $1, $2, 'event' || n, tstzrange(starts_at, ends_at)
  FROM unnest($3::timestamptz[], $4::timestamptz[]) WITH ORDINALITY AS taken (starts_at, ends_at, n)"""
_THEIRS = """
  INSERT INTO shopmonkey_appointments (tenant_id, location_id, external_id, bay, during)
  SELECT $1, $2, 'appointment' || n, bay, tstzrange(starts_at, ends_at)
  FROM unnest($3::smallint[], $4::timestamptz[], $5::timestamptz[]) WITH ORDINALITY AS taken (bay, starts_at, ends_at, n)"""


async def add_mirrored(
    admin_url: str,
    tenant_id: UUID,
    location_id: UUID,
    events: Sequence[tuple[datetime, datetime]],
    theirs: Sequence[tuple[int, datetime, datetime]],
) -> None:
    """Events of the location's Google calendar, and appointments that were made in ShopMonkey."""
    connection = await asyncpg.connect(admin_url)
    await connection.execute(_EVENTS, tenant_id, location_id, *map(list, zip(*events, strict=True)))
    await connection.execute(_THEIRS, tenant_id, location_id, *map(list, zip(*theirs, strict=True)))
    await connection.execute("VACUUM ANALYZE google_calendar_events, shopmonkey_appointments")
    await connection.close()


class BareInserts:
    """Inserts into the first bay and nothing else: what the exclusion constraint alone costs."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], tenant_id: UUID, location_id: UUID) -> None:
        self._pool = pool
        self._of = tenant_id, location_id

    @classmethod
    @asynccontextmanager
    async def open(cls, admin_url: str, tenant_id: UUID, location_id: UUID, size: int) -> AsyncIterator[Self]:
        async with asyncpg.create_pool(admin_url, min_size=size, max_size=size) as pool:
            yield cls(pool, tenant_id, location_id)

    async def insert(self, starts_at: datetime, ends_at: datetime) -> None:
        await self._pool.execute(_TAKEN, *self._of, [1], [starts_at], [ends_at])


async def transactions(admin_url: str) -> int:
    """How many transactions the database has ended so far; its sessions tell once a second."""
    engine = create_async_engine(database_url(admin_url))
    async with engine.connect() as connection:
        counted = await connection.scalar(_TRANSACTIONS)
    await engine.dispose()
    return int(counted or 0)


async def explain_claim(session: WriteSession, limit: int) -> list[str]:
    """The indexes that the claim's plan uses, as the application's role sees it."""
    statement = CLAIM.params(tenant=session.scope.tenant_id, most=limit).compile(
        dialect=PGDialect(),  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
        compile_kwargs={"literal_binds": True},
    )
    plan = await session.scalar(text(f"EXPLAIN (FORMAT JSON) {statement}".replace(":", r"\:")))
    return sorted(set(_indexes(plan if isinstance(plan, list) else json.loads(str(plan)))))


def _indexes(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for item in node for name in _indexes(item)]
    if isinstance(node, dict):
        own = [str(node["Index Name"])] if "Index Name" in node else []
        return own + [name for value in node.values() for name in _indexes(value)]
    return []
