"""The rows that the GraphQL benchmark reads, and the function with which its peers write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from lead_orchestrator.db import database_url

__all__ = ["LOCATIONS", "SERVICES", "Crowd", "count_written", "fill"]

LOCATIONS = 23
SERVICES = 23
_MESSAGES = _APPOINTMENTS = 4
_LEADS_KEPT = 12

_FILL = (
    # The cluster is thrown away: checking a million foreign keys would tell nothing.
    "SET LOCAL session_replication_role = replica",
    """INSERT INTO tenants (name, slug, demo_mode)
       SELECT 'Franchise ' || n, 'franchise-' || n, false FROM generate_series(1, {tenants}) n""",
    "INSERT INTO tenant_heads (tenant_id) SELECT id FROM tenants WHERE slug LIKE 'franchise-%'",
    """INSERT INTO locations (tenant_id, name, slug, timezone, phone, address, bays, buffer_minutes)
       SELECT id, 'Shop ' || lpad(n::text, 2, '0'), 'shop-' || n, 'America/Los_Angeles', '+12135550101',
         n || '00 Example Street, Los Angeles, CA 90001', 1 + n % 4, 15
       FROM tenants, generate_series(1, {locations}) n WHERE tenants.slug LIKE 'franchise-%'""",
    """INSERT INTO leads (tenant_id, location_id, first_name, last_name, email, phone, status, source, enrolled_at,
         created_at, last_activity_at)
       SELECT p.tenant_id, p.id, 'Maya', 'Rivera ' || n, 'maya.' || n || '@example.com', '+12135550' || 100 + n % 100, 'NEW',
         'API', now(), now() - (n * {locations} + right(p.slug, 1)::int) * interval '1 minute', now()
       FROM locations p, generate_series(1, {leads}) n WHERE p.slug LIKE 'shop-%'""",
    """INSERT INTO scheduled_messages (tenant_id, location_id, lead_id, kind, channel, body, due_at, status, sent_at, created_at)
       SELECT tenant_id, location_id, id, 'AD_HOC', 'SMS', 'Your quote is ready: answer with a day that suits you (' || n || ')',
         created_at + n * interval '1 hour', 'DELIVERED', created_at + n * interval '1 hour', created_at + n * interval '1 hour'
       FROM leads, generate_series(1, {messages}) n WHERE leads.email LIKE 'maya.%'""",
)
_FILL_SCHEDULE = (
    "SET LOCAL session_replication_role = replica",
    """INSERT INTO service_catalog (tenant_id, name, description, category, price_cents, duration_minutes, display_order)
       SELECT t.id, 'Ceramic tint, variant ' || n, 'Film, labour and a warranty for life', 'Tint', 9900 + n * 1000, 30 + n * 5, n
       FROM tenants t, generate_series(1, {services}) n WHERE t.slug LIKE 'franchise-%'""",
    """INSERT INTO appointments (tenant_id, location_id, lead_id, bay, during, status, notes, created_at)
       SELECT tenant_id, location_id, id, 1, tstzrange(date_trunc('hour', created_at) + n * interval '1 day',
         date_trunc('hour', created_at) + n * interval '1 day' + interval '2 hours'), 'COMPLETED', 'Visit ' || n, created_at
       FROM leads, generate_series(1, {appointments}) n WHERE leads.email LIKE 'maya.%'""",
)
# What the product does for one change of status, as whoever builds on PostGraphile would write it.
_FUNCTIONS = (
    "CREATE SCHEMA bench AUTHORIZATION lead_owner",
    """CREATE FUNCTION bench.set_lead_status(target uuid, new_status text) RETURNS public.leads LANGUAGE plpgsql AS $$
       DECLARE
         tenant uuid := current_setting('app.tenant_id')::uuid;
         lead public.leads;
         detail jsonb;
       BEGIN
         SELECT * INTO lead FROM public.leads l WHERE l.tenant_id = tenant AND l.id = target FOR NO KEY UPDATE;
         IF NOT FOUND OR lead.status = new_status THEN RETURN lead; END IF;
         detail := jsonb_build_object('from', lead.status, 'to', new_status);
         UPDATE public.leads l SET status = new_status, last_activity_at = public.app_now()
           WHERE l.tenant_id = tenant AND l.id = target RETURNING * INTO lead;
         IF new_status IN ('ENGAGED', 'HOT', 'BOOKED', 'WON', 'LOST', 'OPTED_OUT') THEN
           UPDATE public.scheduled_messages m SET status = 'CANCELLED', decision = 'Set by staff: the lead is ' || lower(new_status)
             WHERE m.tenant_id = tenant AND m.lead_id = target AND m.kind = 'TOUCH' AND m.status = 'SCHEDULED';
         END IF;
         PERFORM public.append_events(
           jsonb_build_array(jsonb_build_object(
             'locationId', lead.location_id, 'leadId', target, 'kind', 'lead.status', 'detail', detail)),
           jsonb_build_array(jsonb_build_object(
             'actor', current_setting('app.subject'), 'action', 'lead.set_status', 'target', 'lead_' || target, 'detail', detail)));
         RETURN lead;
       END $$""",
    """CREATE FUNCTION bench.answer_lead_status(tenant text, locations text, subject text, target uuid, new_status text)
       RETURNS text LANGUAGE plpgsql AS $$
       DECLARE
         lead public.leads;
       BEGIN
         PERFORM set_config('app.tenant_id', tenant, true), set_config('app.location_ids', locations, true),
           set_config('app.subject', subject, true);
         lead := bench.set_lead_status(target, new_status);
         RETURN json_build_object('lead', json_build_object('id', 'lead_' || lead.id, 'status', lead.status));
       END $$""",
    "COMMENT ON FUNCTION bench.answer_lead_status IS E'@behavior -*'",
    "ALTER FUNCTION bench.set_lead_status OWNER TO lead_owner",
    "ALTER FUNCTION bench.answer_lead_status OWNER TO lead_owner",
    "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA bench FROM PUBLIC",
    "GRANT USAGE ON SCHEMA bench TO lead_app",
    "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA bench TO lead_app",
)
_CROWD = text("""
  SELECT t.id AS tenant, (array_agg(l.location_id))[1] AS location, array_agg(l.id ORDER BY l.n) AS leads,
    (SELECT (array_agg(p.id ORDER BY p.id))[1:3] FROM locations p WHERE p.tenant_id = t.id) AS some
  FROM tenants t CROSS JOIN LATERAL (
    SELECT id, location_id, row_number() OVER (ORDER BY created_at DESC, id DESC) AS n FROM leads WHERE tenant_id = t.id
    ORDER BY created_at DESC, id DESC LIMIT :kept) l
  WHERE t.slug LIKE 'franchise-%' GROUP BY t.id ORDER BY t.id""")
_WRITTEN = text("""
  SELECT (SELECT count(*) FROM lead_events WHERE kind = 'lead.status' AND lead_id = ANY (:leads)),
    (SELECT count(*) FROM audit_log WHERE action = 'lead.set_status' AND substr(target, 6)::uuid = ANY (:leads))""")


@dataclass(frozen=True)
class Crowd:
    """The tenants, each with the newest of its leads, the location of one of them, and three locations."""

    leads: dict[UUID, Sequence[UUID]]
    locations: dict[UUID, UUID]
    some: dict[UUID, Sequence[UUID]]


async def fill(superuser_url: str, *, tenants: int, leads: int) -> Crowd:
    """`leads` in all, with their messages, over the locations of so many tenants; and the peers' functions."""
    numbers = {
        "tenants": tenants,
        "locations": LOCATIONS,
        "leads": max(leads // (tenants * LOCATIONS), 1),
        "messages": _MESSAGES,
        "services": SERVICES,
        "appointments": _APPOINTMENTS,
    }
    engine = create_async_engine(database_url(superuser_url))
    await _run(engine, [statement.format(**numbers) for statement in _FILL])
    if await _has_schedule(engine):
        await _run(engine, [statement.format(**numbers) for statement in _FILL_SCHEDULE])
    await _run(engine, _FUNCTIONS)
    await _vacuum(engine)
    async with engine.connect() as connection:
        rows = (await connection.execute(_CROWD, {"kept": _LEADS_KEPT})).all()
    await engine.dispose()
    return Crowd(
        {row.tenant: row.leads for row in rows},
        {row.tenant: row.location for row in rows},
        {row.tenant: row.some for row in rows},
    )


async def _run(engine: AsyncEngine, statements: Sequence[str]) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement.replace(":", r"\:")))


async def _has_schedule(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        return bool(await connection.scalar(text("SELECT to_regclass('appointments') IS NOT NULL")))


async def _vacuum(engine: AsyncEngine) -> None:
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text("VACUUM ANALYZE"))
        await connection.execute(text("CHECKPOINT"))


async def count_written(superuser_url: str, leads: Sequence[UUID]) -> tuple[int, int]:
    """How many changes of these leads' status the events and the audit trail tell of."""
    engine = create_async_engine(database_url(superuser_url))
    async with engine.connect() as connection:
        events, audits = (await connection.execute(_WRITTEN, {"leads": list(leads)})).one()
    await engine.dispose()
    return events, audits
