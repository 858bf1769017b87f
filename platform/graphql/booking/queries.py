"""What can be asked about appointments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

import strawberry

from lead_orchestrator.graphql.booking.types import Appointment, AppointmentConnection, AppointmentFilter
from lead_orchestrator.graphql.connections import Node
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.enums import Role
from lead_orchestrator.graphql.permissions import requires
from lead_orchestrator.ids import Kind

__all__ = ["BOOKING_NODES", "BookingQueries"]


@strawberry.type
class BookingQueries:
    @strawberry.field
    @requires(Role.AGENT)
    async def appointments(
        self,
        info: Request,
        first: int | None = None,
        after: str | None = None,
        filter: AppointmentFilter | None = None,  # noqa: A002 - the contract's name
    ) -> AppointmentConnection:
        """The latest first."""
        return await AppointmentConnection.load(info, (filter or AppointmentFilter()).query(), first, after)


async def _appointment(info: Request, key: UUID) -> Appointment | None:
    row = await info.context.loaders.appointments.load(key)
    return Appointment.of(row) if row else None


BOOKING_NODES: Mapping[Kind, Callable[[Request, UUID], Awaitable[Node | None]]] = {Kind.APPOINTMENT: _appointment}
