"""The report over a month of 100,000 leads, and the search among 200,000, beside the same search without its index."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import date
from time import perf_counter
from typing import Any

from sqlalchemy import literal, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from lead_orchestrator.bench.stage import Stage, milliseconds, open_stage
from lead_orchestrator.db import database_url
from lead_orchestrator.graphql import repository
from lead_orchestrator.graphql.cursors import Page
from lead_orchestrator.graphql.planner.run import Planner
from lead_orchestrator.graphql.reporting.repository import report_row
from lead_orchestrator.graphql.repository import LeadQuery
from lead_orchestrator.graphql.schema import make_schema
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.sessions import ReadSession, Scope
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["run"]

_LEADS, _QUICK_LEADS = 100_000, 20_000
_ROUNDS, _QUICK_ROUNDS = 100, 20
_SHOPS = 200
_BEGINS, _ENDS = date(2026, 3, 1), date(2026, 3, 31)

_FILL = (
    """INSERT INTO locations (tenant_id, name, slug, timezone)
       SELECT :tenant, 'Shop ' || n, 'bench-' || n,
         (ARRAY['America/Los_Angeles', 'America/Denver', 'America/Chicago', 'America/New_York'])[1 + n % 4]
       FROM generate_series(1, :shops) n""",
    # As many in the month that is reported as before it.
    """INSERT INTO leads (tenant_id, location_id, first_name, last_name, email, phone, status, source, enrolled_at, created_at,
         last_activity_at, first_contacted_at, touched, answered_after, booked_after)
       SELECT tenant_id, id, 'Ada', 'Name' || substr(md5(n || slug), 1, 7), md5(slug || n) || '@example.com',
         '+1213555' || lpad((n % 10000)::text, 4, '0'),
         (ARRAY['CONTACTED', 'CONTACTED', 'CONTACTED', 'LOST', 'LOST', 'LOST', 'ENGAGED', 'BOOKED', 'WON', 'NEW'])[1 + n % 10],
         'API', at, at, at, CASE WHEN n % 10 < 9 THEN at + random() * interval '1 hour' END,
         (1 << (2 + n % 13)) - 2, CASE WHEN n % 10 IN (6, 7, 8) THEN 1 + n % 5 END, CASE WHEN n % 10 IN (7, 8) THEN 1 + n % 7 END
       FROM (SELECT l.tenant_id, l.id, l.slug, n,
           timestamptz '2026-03-01 08:00Z' + random() * interval '30 days' - (n % 2) * interval '31 days' AS at
         FROM locations l, generate_series(1, 2 * :leads / :shops) n WHERE l.slug LIKE 'bench-%') story""",
    """INSERT INTO appointments (tenant_id, location_id, lead_id, bay, during, status, created_at)
       SELECT tenant_id, location_id, id, 1, tstzrange(created_at, created_at + interval '1 hour'), 'COMPLETED', created_at
       FROM leads WHERE booked_after IS NOT NULL AND tenant_id = :tenant""",
    """WITH service AS (INSERT INTO service_catalog (tenant_id, name, duration_minutes) VALUES (:tenant, 'Full tint', 60)
         RETURNING id)
       INSERT INTO appointment_services (tenant_id, location_id, appointment_id, service_id, position, name, price_cents,
         duration_minutes)
       SELECT a.tenant_id, a.location_id, a.id, service.id, 1, 'Full tint', 30000, 60 FROM appointments a, service
       WHERE a.tenant_id = :tenant""",
)
_REPORT = """query($from: Date!, $to: Date!) { report(from: $from, to: $to) {
  leads contacted engaged booked lost bookingRate medianSecondsToFirstContact p95SecondsToFirstContact
  byDay { date leads booked } byTouch { number sent replied booked }
  byLocation { location { id name } leads booked bookingRate } byService { name booked revenue { amountCents currency } } } }"""
_PLAIN = text("""
  SELECT * FROM leads WHERE tenant_id = :tenant AND (lower(concat_ws(' ', first_name, last_name)) LIKE '%' || lower(:words) || '%'
    OR lower(email) LIKE '%' || lower(:words) || '%') ORDER BY created_at DESC, id DESC LIMIT 26""")
_SOMEBODY = text("SELECT last_name FROM leads WHERE tenant_id = :tenant AND location_id = :location LIMIT 1")


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """Both for an owner; the search for somebody who is there, also for an agent of one shop."""
    leads, rounds = (_QUICK_LEADS, _QUICK_ROUNDS) if quick else (_LEADS, _ROUNDS)
    async with open_stage(settings) as stage:
        await _fill(stage, leads)
        owner = Scope.service(stage.tenant_id, "bench")
        async with stage.services.tenancy.read(owner) as session:
            shop = await session.scalar(text("SELECT id FROM locations WHERE slug = 'bench-1'"))
            words = str(await session.scalar(_SOMEBODY, {"tenant": stage.tenant_id, "location": shop}))
            indexes = await _indexes_of_report(session)
        agent = stage.services.tenancy.narrowed(owner, frozenset({shop}))
        planner = Planner(make_schema(development=False)._schema, stage.services.reader)  # noqa: SLF001 - the library's own schema is what can be compiled
        return {
            "bench": "report",
            "leads": (await _report(planner, owner))["leads"],
            "report": await _reported(planner, owner, rounds),
            "reportOfOneShop": await _reported(planner, agent, rounds),
            "indexes": indexes,
            "searchedLeads": 2 * leads,
            "search": await _measured(stage, owner, rounds, lambda session: _search(session, words)),
            "searchOfOneShop": await _measured(stage, agent, rounds, lambda session: _search(session, words)),
            "searchWithoutIndex": await _measured(stage, owner, rounds, lambda session: _plain(session, words)),
        }


async def _fill(stage: Stage, leads: int) -> None:
    engine = create_async_engine(database_url(stage.superuser_url))
    values = {"tenant": stage.tenant_id, "shops": _SHOPS, "leads": leads}
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(text("ALTER TABLE appointments DROP CONSTRAINT appointments_do_not_overlap"))
        for statement in _FILL:
            await connection.execute(
                text(statement), {name: values[name] for name in values if f":{name}" in statement}
            )
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text("VACUUM ANALYZE"))
    await engine.dispose()


async def _measured(
    stage: Stage, scope: Scope, rounds: int, work: Callable[[ReadSession], Awaitable[None]]
) -> dict[str, float]:
    seconds = []
    async with stage.services.tenancy.read(scope) as session:
        await work(session)
    for _ in range(rounds):
        async with stage.services.tenancy.read(scope) as session:
            started = perf_counter()
            await work(session)
            seconds.append(perf_counter() - started)
    return milliseconds(seconds)


async def _reported(planner: Planner, scope: Scope, rounds: int) -> dict[str, float]:
    """All of it, as the API answers it."""
    await _report(planner, scope)
    seconds = []
    for _ in range(rounds):
        started = perf_counter()
        await _report(planner, scope)
        seconds.append(perf_counter() - started)
    return milliseconds(seconds)


async def _report(planner: Planner, scope: Scope) -> dict[str, Any]:
    variables = {"from": str(_BEGINS), "to": str(_ENDS)}
    answer = await planner.answer(_REPORT, variables, None, replace(scope, role=Role.OWNER))
    if answer is None:
        raise RuntimeError("the report was left to the ordinary executor")
    report: dict[str, Any] = json.loads(answer)["data"]["report"]
    return report


async def _search(session: ReadSession, words: str) -> None:
    if not await repository.leads_page(session, LeadQuery(search=words), "CREATED_AT_DESC", Page(25)):
        raise RuntimeError("the search found nobody")


async def _plain(session: ReadSession, words: str) -> None:
    values = {"tenant": session.scope.tenant_id, "words": words}
    if not (await session.execute(_PLAIN, values)).all():
        raise RuntimeError("the search found nobody")


async def _indexes_of_report(session: ReadSession) -> list[str]:
    """As the application's role sees it."""
    row = report_row(literal(session.scope.tenant_id), _BEGINS, _ENDS, None)
    compiled = select(row).compile(dialect=session.get_bind().dialect, compile_kwargs={"literal_binds": True})
    plan = await session.scalar(text(f"EXPLAIN (FORMAT JSON) {compiled}"))
    return sorted(set(_names(plan if isinstance(plan, list) else json.loads(str(plan)))))


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "Index Name" in node:
            yield str(node["Index Name"])
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from _names(part)
