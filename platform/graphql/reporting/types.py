"""The report as the API shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

import strawberry

from lead_orchestrator.errors import NotFoundError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.money import Money
from lead_orchestrator.graphql.scalars import Cents
from lead_orchestrator.graphql.tenant_types import Location
from lead_orchestrator.ids import Kind, encode

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
    location_id: strawberry.Private[UUID]
    leads: int
    booked: int
    booking_rate: float

    @strawberry.field
    async def location(self, info: Request) -> Location:
        row = await info.context.loaders.locations.load(self.location_id)
        if row is None:
            raise NotFoundError(f"there is no location {encode(Kind.LOCATION, self.location_id)} any more")
        return Location.of(row)


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
        return cls(
            **{name: found[name] for name in ("leads", "contacted", "engaged", "booked", "lost", "booking_rate")},
            median_seconds_to_first_contact=found["median_seconds"],
            p95_seconds_to_first_contact=found["p95_seconds"],
            by_day=[_day(day) for day in found["days"] or ()],
            by_touch=[ReportTouch(**touch) for touch in found["touches"] or ()],
            by_location=[_shop(shop) for shop in found["shops"] or ()],
            by_service=[_service(service) for service in found["services"] or ()],
        )


def _day(found: Mapping[str, Any]) -> ReportDay:
    return ReportDay(day=date.fromisoformat(found["date"]), leads=found["leads"], booked=found["booked"])


def _shop(found: Mapping[str, Any]) -> ReportLocation:
    return ReportLocation(
        location_id=UUID(found["location_id"]),
        leads=found["leads"],
        booked=found["booked"],
        booking_rate=found["booking_rate"],
    )


def _service(found: Mapping[str, Any]) -> ReportService:
    revenue = Money(amount_cents=Cents(found["revenue_cents"]), currency=found["currency"])
    return ReportService(name=found["name"], booked=found["booked"], revenue=revenue)
