"""The report in SQL: a row made of the period asked for, and lists made of that row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import DOUBLE_PRECISION, BigInteger, Date, Integer, Text, Uuid

from lead_orchestrator.graphql.planner.catalog_types import money
from lead_orchestrator.graphql.planner.declare import Arguments, Entity, Field, Many, One, Root, Target
from lead_orchestrator.graphql.planner.expressions import column, columns, rows_of, tenant
from lead_orchestrator.graphql.reporting.queries import ReportQuery
from lead_orchestrator.graphql.reporting.repository import report_row

__all__ = ["ENTITIES", "MORE_FIELDS", "ROOTS", "TARGETS"]

_COUNTS = {"leads": Integer, "booked": Integer}


def _read(arguments: Mapping[str, Any]) -> Arguments:
    asked = ReportQuery.of(arguments["from"], arguments["to"], arguments.get("locationIds"))
    return Arguments(None, {"begins": asked.begins, "ends": asked.ends, "location_ids": asked.location_ids})


REPORT = Entity(
    "Report",
    None,
    {
        **columns("leads", "contacted", "engaged", "booked", "lost", "booking_rate"),
        "medianSecondsToFirstContact": column("median_seconds"),
        "p95SecondsToFirstContact": column("p95_seconds"),
        "byDay": Many(
            "ReportDay",
            None,
            lambda day: (day.c.date,),
            of=lambda report: rows_of(report, report.c.days, date=Date, **_COUNTS),
        ),
        "byTouch": Many(
            "ReportTouch",
            None,
            lambda touch: (touch.c.number,),
            of=lambda report: rows_of(
                report, report.c.touches, number=Integer, sent=Integer, replied=Integer, booked=Integer
            ),
        ),
        "byLocation": Many(
            "ReportLocation",
            None,
            lambda shop: (shop.c.name, shop.c.location_id),
            of=lambda report: rows_of(
                report, report.c.shops, location_id=Uuid, name=Text, booking_rate=DOUBLE_PRECISION, **_COUNTS
            ),
        ),
        "byService": Many(
            "ReportService",
            None,
            lambda service: (service.c.booked.desc(), service.c.name, service.c.currency),
            of=lambda report: rows_of(
                report, report.c.services, name=Text, currency=Text, booked=Integer, revenue_cents=BigInteger
            ),
        ),
    },
)
REPORT_DAY = Entity("ReportDay", None, columns("date", "leads", "booked"))
REPORT_TOUCH = Entity("ReportTouch", None, columns("number", "sent", "replied", "booked"))
REPORT_LOCATION = Entity(
    "ReportLocation",
    None,
    {
        "location": One("Location", lambda shop, place: place.c.id == shop.c.location_id),
        **columns("leads", "booked", "booking_rate"),
    },
)
REPORT_SERVICE = Entity("ReportService", None, {**columns("name", "booked"), "revenue": money("revenue_cents")})

MORE_FIELDS: Mapping[str, Mapping[str, Field]] = {}
TARGETS: Mapping[str, Target] = {}
ENTITIES = {entity.name: entity for entity in (REPORT, REPORT_DAY, REPORT_TOUCH, REPORT_LOCATION, REPORT_SERVICE)}
ROOTS: dict[str, Root] = {
    "report": Root(
        read=_read,
        entity_of=lambda _shape: "Report",
        made=lambda bind: report_row(tenant(), bind("begins"), bind("ends"), bind("location_ids")),
        entities=frozenset({"Report"}),
    ),
}
