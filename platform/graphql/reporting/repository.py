"""The report in SQL: one row over a period's leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Date,
    Float,
    FromClause,
    Uuid,
    cast,
    column,
    literal,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import JSON

from lead_orchestrator.tenancy.models import Tenant
from lead_orchestrator.tenancy.sessions import ReadSession

__all__ = ["report", "report_row"]

# Of `asked`, a row with tenant_id, begins, ends and location_ids. One pass over the period's leads by leads_at_location, a
# shop at a time: each shop's days are its own. Postgres leaves out the parts that nobody reads.
_REPORT = """
WITH places AS MATERIALIZED (
  SELECT l.id, l.timezone, timezone(l.timezone, asked.begins::timestamp) AS begins,
    timezone(l.timezone, (asked.ends + 1)::timestamp) AS ends, l.name
  FROM locations l
  WHERE l.tenant_id = asked.tenant_id AND (asked.location_ids IS NULL OR l.id = ANY (asked.location_ids))
),
stories AS MATERIALIZED (
  SELECT l.location_id, timezone(p.timezone, l.created_at)::date AS day, l.touched, l.answered_after, l.booked_after,
    date_part('epoch', l.first_contacted_at - l.created_at) AS seconds,
    l.answered_after IS NOT NULL OR l.booked_after IS NOT NULL OR l.status IN ('ENGAGED', 'HOT', 'BOOKED', 'WON') AS engaged,
    l.booked_after IS NOT NULL OR l.status IN ('BOOKED', 'WON') AS booked,
    l.status = 'LOST' AS lost
  FROM places p JOIN leads l ON l.location_id = p.id
  WHERE l.tenant_id = asked.tenant_id AND l.created_at >= p.begins AND l.created_at < p.ends
),
counted AS MATERIALIZED (
  SELECT location_id, day, count(*) AS leads, count(seconds) AS contacted, count(*) FILTER (WHERE engaged) AS engaged,
    count(*) FILTER (WHERE booked) AS booked, count(*) FILTER (WHERE lost) AS lost
  FROM stories GROUP BY location_id, day
),
totals AS (
  SELECT coalesce(sum(leads), 0)::bigint AS leads, coalesce(sum(contacted), 0)::bigint AS contacted,
    coalesce(sum(engaged), 0)::bigint AS engaged, coalesce(sum(booked), 0)::bigint AS booked,
    coalesce(sum(lost), 0)::bigint AS lost
  FROM counted
),
days AS (
  SELECT d::date AS date, coalesce(sum(c.leads), 0) AS leads, coalesce(sum(c.booked), 0) AS booked
  FROM generate_series(asked.begins::timestamp, asked.ends::timestamp, '1 day') d
  LEFT JOIN counted c ON c.day = d::date
  GROUP BY d
),
paths AS MATERIALIZED (
  SELECT touched, answered_after, booked_after, count(*) AS leads FROM stories GROUP BY touched, answered_after, booked_after
),
touches AS (
  SELECT n AS number, coalesce(sum(leads) FILTER (WHERE touched & (1 << n) <> 0), 0) AS sent,
    coalesce(sum(leads) FILTER (WHERE answered_after = n), 0) AS replied,
    coalesce(sum(leads) FILTER (WHERE booked_after = n), 0) AS booked
  FROM generate_series(1, 13) n LEFT JOIN paths ON true
  GROUP BY n
),
shops AS (
  SELECT p.id AS location_id, p.name, coalesce(sum(c.leads), 0) AS leads, coalesce(sum(c.booked), 0) AS booked,
    coalesce(sum(c.booked)::float8 / nullif(sum(c.leads), 0)::float8, 0) AS booking_rate
  FROM places p LEFT JOIN counted c ON c.location_id = p.id
  GROUP BY p.id, p.name
),
sold AS (
  SELECT s.name, a.currency, count(*) AS booked, coalesce(sum(s.price_cents), 0) AS revenue_cents
  FROM places p
  JOIN appointments a ON a.location_id = p.id
  JOIN appointment_services s ON s.tenant_id = a.tenant_id AND s.appointment_id = a.id
  WHERE a.tenant_id = asked.tenant_id AND s.tenant_id = asked.tenant_id AND a.status IN ('CONFIRMED', 'COMPLETED')
    AND a.created_at >= p.begins AND a.created_at < p.ends
  GROUP BY s.name, a.currency
)
SELECT totals.*, coalesce(totals.booked::float8 / nullif(totals.leads, 0)::float8, 0) AS booking_rate,
  waited.seconds[1] AS median_seconds, waited.seconds[2] AS p95_seconds,
  (SELECT json_agg(days ORDER BY date) FROM days) AS days,
  (SELECT json_agg(touches ORDER BY number) FROM touches) AS touches,
  (SELECT json_agg(shops ORDER BY name, location_id) FROM shops) AS shops,
  (SELECT json_agg(sold ORDER BY booked DESC, name, currency) FROM sold) AS services
FROM totals, (SELECT percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY seconds) AS seconds FROM stories) AS waited
"""
_COUNTS = ("leads", "contacted", "engaged", "booked", "lost")
_RATES = ("booking_rate", "median_seconds", "p95_seconds")
_LISTS = ("days", "touches", "shops", "services")


def report_row(tenant_id: ColumnElement[UUID], begins: Any, ends: Any, location_ids: Any) -> FromClause:
    """The tenant's report as one row, none without a tenant: tenant_id, leads, contacted, engaged, booked, lost, booking_rate,
    median_seconds and p95_seconds (null where nobody was contacted), and as JSON arrays, null when empty: days (date, leads,
    booked), touches (number, sent, replied, booked), shops (location_id, name, leads, booked, booking_rate) and services
    (name, currency, booked, revenue_cents), in the order of days, of numbers, of names, and the most often booked first.

    Both dates are local to each location and included; `location_ids` null is all that the caller sees.
    """
    asked = (
        select(
            Tenant.id.label("tenant_id"),
            cast(begins, Date).label("begins"),
            cast(ends, Date).label("ends"),
            cast(location_ids, ARRAY(Uuid)).label("location_ids"),
        )
        .where(Tenant.id == tenant_id)
        .subquery("asked")
    )
    parts = [
        *(column(name, BigInteger) for name in _COUNTS),
        *(column(name, Float) for name in _RATES),
        *(column(name, JSON) for name in _LISTS),
    ]
    found = text(_REPORT).columns(*parts).lateral("found")
    return select(asked.c.tenant_id, *found.c).select_from(asked.join(found, true())).subquery()


async def report(
    session: ReadSession, begins: date, ends: date, location_ids: Sequence[UUID] | None
) -> Mapping[str, Any]:
    """The row of `report_row`, its arrays decoded."""
    row = report_row(literal(session.scope.tenant_id), begins, ends, location_ids)
    return dict((await session.execute(select(row))).mappings().one())
