"""The report as the API shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

import strawberry

from lead_orchestrator.graphql.money import Money
from lead_orchestrator.graphql.scalars import Cents
from lead_orchestrator.graphql.tenant_types import Location
from lead_orchestrator.tenancy import models

__all__ = ["Report"]


@strawberry.type
class ReportDay:
    """Every day of the period is there; it is a day of each location's own zone."""

    day: date = strawberry.field(name="date")
    leads: int
    booked: int


@strawberry.type
class ReportTouch:
    """Of the period's leads: how many got this touch, and how many answered and booked first after it as their last one."""

    number: int
    sent: int
    replied: int
    booked: int


@strawberry.type
class ReportLocation:
    location: Location
    leads: int
    booked: int
    booking_rate: float


@strawberry.type
class ReportService:
    """Of the appointments made in the period and neither cancelled nor missed, by the name the service had then."""

    name: str
    booked: int
    revenue: Money


@strawberry.type
class Report:
    """What became, until now, of the leads that were created in the period.

    Contacted: something reached the provider. Engaged: ever answered or booked. Booked: ever booked or won. Lost: lost now.
    `bookingRate` is booked / leads, 0 without leads. The seconds are from a lead's creation to its first contact, null where
    nobody was contacted.
    """

    leads: int
    contacted: int
    engaged: int
    booked: int
    lost: int
    booking_rate: float
    median_seconds_to_first_contact: float | None
    p95_seconds_to_first_contact: float | None
    by_day: list[ReportDay]
    by_touch: list[ReportTouch]
    by_location: list[ReportLocation]
    by_service: list[ReportService]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Report:
        """From what `repository.report` answers."""
        median, p95 = found["seconds"] or (None, None)
        return cls(
            **found["totals"],
            booking_rate=_rate(found["totals"]),
            median_seconds_to_first_contact=median,
            p95_seconds_to_first_contact=p95,
            by_day=[_day(day) for day in found["days"]],
            by_touch=[ReportTouch(**touch) for touch in found["touches"]],
            by_location=[_shop(shop) for shop in found["shops"]],
            by_service=[_service(service) for service in found["services"]],
        )


def _day(found: Mapping[str, Any]) -> ReportDay:
    return ReportDay(day=date.fromisoformat(found["date"]), leads=found["leads"], booked=found["booked"])


def _shop(found: Mapping[str, Any]) -> ReportLocation:
    return ReportLocation(
        location=Location.of(_location(json.loads(found["place"]))),
        leads=found["leads"],
        booked=found["booked"],
        booking_rate=_rate(found),
    )


def _location(row: Mapping[str, Any]) -> models.Location:
    names = models.Location.__table__.columns.keys()
    values = {name: row[name] for name in names if name != "created_at"}
    return models.Location(**{**values, "id": UUID(row["id"]), "tenant_id": UUID(row["tenant_id"])})


def _service(found: Mapping[str, Any]) -> ReportService:
    revenue = Money(amount_cents=Cents(found["cents"]), currency=found["currency"])
    return ReportService(name=found["name"], booked=found["booked"], revenue=revenue)


def _rate(counts: Mapping[str, Any]) -> float:
    return counts["booked"] / counts["leads"] if counts["leads"] else 0.0
