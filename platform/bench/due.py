"""What it takes to find the tenants with due messages, among few tenants and among many."""

from __future__ import annotations

from statistics import median
from time import perf_counter

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from lead_orchestrator.bench.stage import Stage, open_stage
from lead_orchestrator.db import database_url
from lead_orchestrator.settings import Settings

__all__ = ["finding"]

_ROUNDS = 100
_FEW, _MANY, _QUICK_MANY = (10, 1_000), (1_000, 1_000), (200, 200)
_FOUND = 10

_TENANTS = text("INSERT INTO tenants (name, slug) SELECT 'Bench', 'bench-' || n FROM generate_series(1, :count) n")
_ROWS = text("""
  INSERT INTO scheduled_messages (tenant_id, location_id, lead_id, kind, channel, touch_number, due_at, created_at)
  SELECT t.id, :place, uuidv7(), 'TOUCH', 'SMS', 1, app_now() + (n - 2) * interval '1 hour', now()
  FROM tenants t, generate_series(1, :rows) n WHERE t.slug LIKE 'bench-%'""")


async def finding(settings: Settings, *, quick: bool) -> dict[str, object]:
    """Of ten tenants with a thousand messages each, and of a thousand with a million in all, the next ten are asked for."""
    many = _QUICK_MANY if quick else _MANY
    few_ms, many_ms = [await _measured(settings, tenants, rows) for tenants, rows in (_FEW, many)]
    return {
        "few": {"tenants": _FEW[0], "waiting": _FEW[0] * _FEW[1], "p50Ms": few_ms},
        "many": {"tenants": many[0], "waiting": many[0] * many[1], "p50Ms": many_ms},
        "ratio": round(many_ms / few_ms, 2),
    }


async def _measured(settings: Settings, tenants: int, rows: int) -> float:
    async with open_stage(settings) as stage:
        await _fill(stage, tenants, rows)
        seconds, after = [], None
        for _ in range(_ROUNDS):
            started = perf_counter()
            found = await stage.services.lookups.due_messages(after=after, most=_FOUND)
            seconds.append(perf_counter() - started)
            after = found[-1] if found else None
    return round(median(seconds) * 1000, 2)


async def _fill(stage: Stage, tenants: int, rows: int) -> None:
    engine = create_async_engine(database_url(stage.superuser_url))
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(_TENANTS, {"count": tenants})
        await connection.execute(_ROWS, {"place": stage.location_id, "rows": rows})
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text("VACUUM ANALYZE scheduled_messages"))
    await engine.dispose()
