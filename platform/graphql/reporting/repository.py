"""The report's one statement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Date, Uuid, bindparam, text

from lead_orchestrator.tenancy.sessions import ReadSession

__all__ = ["PARAMETERS", "REPORT", "report"]

# One pass over the period's leads by leads_at_location, a shop at a time: each shop's days are its own.
REPORT = """
WITH places AS MATERIALIZED (
  SELECT l.id, l.timezone, timezone(l.timezone, cast(:begins AS date)::timestamp) AS begins,
    timezone(l.timezone, (cast(:ends AS date) + 1)::timestamp) AS ends, row_to_json(l)::text AS place, l.name
  FROM locations l
  WHERE l.tenant_id = :tenant AND (cast(:locations AS uuid[]) IS NULL OR l.id = ANY (cast(:locations AS uuid[])))
),
asked AS MATERIALIZED (
  SELECT l.location_id, timezone(p.timezone, l.created_at)::date AS day, l.touched, l.answered_after, l.booked_after,
    date_part('epoch', l.first_contacted_at - l.created_at) AS seconds,
    l.answered_after IS NOT NULL OR l.booked_after IS NOT NULL OR l.status IN ('ENGAGED', 'HOT', 'BOOKED', 'WON') AS engaged,
    l.booked_after IS NOT NULL OR l.status IN ('BOOKED', 'WON') AS booked,
    l.status = 'LOST' AS lost
  FROM places p JOIN leads l ON l.location_id = p.id
  WHERE l.tenant_id = :tenant AND l.created_at >= p.begins AND l.created_at < p.ends
),
counted AS MATERIALIZED (
  SELECT location_id, day, count(*) AS leads, count(seconds) AS contacted, count(*) FILTER (WHERE engaged) AS engaged,
    count(*) FILTER (WHERE booked) AS booked, count(*) FILTER (WHERE lost) AS lost
  FROM asked GROUP BY location_id, day
),
totals AS (
  SELECT coalesce(sum(leads), 0) AS leads, coalesce(sum(contacted), 0) AS contacted, coalesce(sum(engaged), 0) AS engaged,
    coalesce(sum(booked), 0) AS booked, coalesce(sum(lost), 0) AS lost
  FROM counted
),
days AS (
  SELECT d::date AS date, coalesce(sum(c.leads), 0) AS leads, coalesce(sum(c.booked), 0) AS booked
  FROM generate_series(cast(:begins AS date)::timestamp, cast(:ends AS date)::timestamp, '1 day') d
  LEFT JOIN counted c ON c.day = d::date
  GROUP BY d ORDER BY d
),
paths AS MATERIALIZED (
  SELECT touched, answered_after, booked_after, count(*) AS leads FROM asked GROUP BY touched, answered_after, booked_after
),
touches AS (
  SELECT n AS number, coalesce(sum(leads) FILTER (WHERE touched & (1 << n) <> 0), 0) AS sent,
    coalesce(sum(leads) FILTER (WHERE answered_after = n), 0) AS replied,
    coalesce(sum(leads) FILTER (WHERE booked_after = n), 0) AS booked
  FROM generate_series(1, 13) n LEFT JOIN paths ON true
  GROUP BY n ORDER BY n
),
shops AS (
  SELECT p.place, coalesce(sum(c.leads), 0) AS leads, coalesce(sum(c.booked), 0) AS booked
  FROM places p LEFT JOIN counted c ON c.location_id = p.id
  GROUP BY p.id, p.place, p.name ORDER BY p.name, p.id
),
sold AS (
  SELECT s.name, a.currency, count(*) AS booked, coalesce(sum(s.price_cents), 0) AS cents
  FROM places p
  JOIN appointments a ON a.location_id = p.id
  JOIN appointment_services s ON s.tenant_id = a.tenant_id AND s.appointment_id = a.id
  WHERE a.tenant_id = :tenant AND s.tenant_id = :tenant AND a.status IN ('CONFIRMED', 'COMPLETED')
    AND a.created_at >= p.begins AND a.created_at < p.ends
  GROUP BY s.name, a.currency ORDER BY count(*) DESC, s.name, a.currency
)
SELECT json_build_object(
  'totals', (SELECT row_to_json(totals) FROM totals),
  'seconds', (SELECT percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY seconds) FROM asked),
  'days', (SELECT json_agg(row_to_json(days)) FROM days),
  'touches', (SELECT json_agg(row_to_json(touches)) FROM touches),
  'shops', (SELECT coalesce(json_agg(row_to_json(shops)), '[]') FROM shops),
  'services', (SELECT coalesce(json_agg(row_to_json(sold)), '[]') FROM sold)
)::text
"""

PARAMETERS = (
    bindparam("begins", type_=Date()),
    bindparam("ends", type_=Date()),
    bindparam("tenant", type_=Uuid()),
    bindparam("locations", type_=ARRAY(Uuid())),
)


async def report(session: ReadSession, begins: date, ends: date, locations: Sequence[UUID] | None) -> Any:
    """totals, seconds (median and 95th percentile, or null), days, touches, shops and services, as JSON decoded.

    Both dates are local to each location and included. A shop's `place` is its row as JSON text.
    """
    values = {"begins": begins, "ends": ends, "tenant": session.scope.tenant_id, "locations": locations}
    return json.loads(await session.scalar(text(REPORT).bindparams(*PARAMETERS), values))
