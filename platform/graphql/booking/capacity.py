"""What can be changed of a location: what it says of itself, and when it is open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import time
from uuid import UUID

import strawberry

from lead_orchestrator.booking.capacity import Value, change_location, set_hours
from lead_orchestrator.graphql.catalog.types import LocationPayload
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.payloads import answer
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.tenancy import models
from lead_orchestrator.tenancy.hours import Open
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["CapacityMutations"]

Work = Callable[[WriteSession], Awaitable[models.Location]]
_GIVEN = (
    "name",
    "timezone",
    "phone",
    "address",
    "bays",
    "allowed_origins",
    "buffer_minutes",
    "lead_time_minutes",
    "horizon_days",
)


@strawberry.input
class UpdateLocationInput:
    """What is left out stays; null removes the phone number or the address. `bufferMinutes` are kept free after each
    appointment, `leadTimeMinutes` is how long before it somebody may still book it, `horizonDays` how far ahead."""

    id: strawberry.ID
    name: str | None = strawberry.UNSET
    timezone: str | None = strawberry.UNSET
    phone: str | None = strawberry.UNSET
    address: str | None = strawberry.UNSET
    bays: int | None = strawberry.UNSET
    allowed_origins: list[str] | None = strawberry.UNSET
    buffer_minutes: int | None = strawberry.UNSET
    lead_time_minutes: int | None = strawberry.UNSET
    horizon_days: int | None = strawberry.UNSET

    def key(self) -> UUID:
        """Raises BadInputError: the id is none."""
        return decode(Kind.LOCATION, self.id, field="id")

    def given(self) -> Iterator[tuple[str, Value]]:
        for name in _GIVEN:
            value = getattr(self, name)
            if value is not strawberry.UNSET:
                yield name, value


@strawberry.input
class OpeningHoursInput:
    """Within one day, 0 = Sunday; `closesAt` 00:00 is its end. Hours across midnight are two of them."""

    day_of_week: int
    opens_at: time
    closes_at: time


@strawberry.type
class CapacityMutations:
    @strawberry.mutation
    async def update_location(self, info: Request, input: UpdateLocationInput) -> LocationPayload:  # noqa: A002 - the contract's name
        """What is booked stays as it is, also in bays that are given up."""

        async def work(session: WriteSession) -> models.Location:
            return await change_location(session, input.key(), dict(input.given()))

        return await answer(info, work, LocationPayload.of)

    @strawberry.mutation
    async def set_location_hours(
        self, info: Request, location_id: strawberry.ID, hours: list[OpeningHoursInput]
    ) -> LocationPayload:
        """Replace all of a location's opening hours; with none it is always shut. What is booked stays booked."""

        async def work(session: WriteSession) -> models.Location:
            key = decode(Kind.LOCATION, location_id, field="locationId")
            return await set_hours(session, key, [Open(one.day_of_week, one.opens_at, one.closes_at) for one in hours])

        return await answer(info, work, LocationPayload.of)
