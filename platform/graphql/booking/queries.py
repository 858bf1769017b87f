"""What can be asked about appointments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import Annotated
from uuid import UUID

import strawberry

from lead_orchestrator.errors import UnavailableError
from lead_orchestrator.graphql.booking.types import Appointment, AppointmentConnection, AppointmentFilter, Slot
from lead_orchestrator.graphql.connections import Node
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.ids import Kind, decode

__all__ = ["BOOKING_NODES", "BookingQueries"]


@strawberry.type
class BookingQueries:
    @strawberry.field
    async def appointments(
        self,
        info: Request,
        first: int | None = None,
        after: str | None = None,
        filter: AppointmentFilter | None = None,  # noqa: A002 - the contract's name
    ) -> AppointmentConnection:
        """The latest first."""
        return await AppointmentConnection.load(info, (filter or AppointmentFilter()).query(), first, after)

    @strawberry.field
    async def available_slots(
        self,
        info: Request,
        location_id: strawberry.ID,
        service_ids: list[strawberry.ID],
        from_: Annotated[date, strawberry.argument(name="from")],
        to: date,
    ) -> list[Slot]:
        """When these services, one after the other, can begin on the days from `from` to `to` in the location's zone, both
        included; 62 days at most."""
        booking = info.context.services.booking
        if booking is None:
            raise UnavailableError("nothing can be booked here")
        place = decode(Kind.LOCATION, location_id, field="locationId")
        services = [decode(Kind.SERVICE, one, field="serviceIds") for one in service_ids]
        found = await info.context.serving(lambda session: booking.slots(session, place, services, from_, to))
        return [
            Slot(starts_at=one.starts_at, ends_at=one.ends_at, local_start=one.local_start, token=one.token)
            for one in found
        ]


async def _appointment(info: Request, key: UUID) -> Appointment | None:
    row = await info.context.loaders.appointments.load(key)
    return Appointment.of(row) if row else None


BOOKING_NODES: Mapping[Kind, Callable[[Request, UUID], Awaitable[Node | None]]] = {Kind.APPOINTMENT: _appointment}
