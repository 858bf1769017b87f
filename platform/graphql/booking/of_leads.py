"""What a lead has booked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from lead_orchestrator.graphql.context import Request

if TYPE_CHECKING:
    from lead_orchestrator.graphql.booking.types import AppointmentConnection

__all__ = ["LeadAppointments"]


@strawberry.type
class LeadAppointments:
    """A part of Lead."""

    key: strawberry.Private[UUID]

    @strawberry.field
    async def appointments(
        self, info: Request, first: int | None = None, after: str | None = None
    ) -> Annotated[AppointmentConnection, strawberry.lazy("lead_orchestrator.graphql.booking.types")]:
        """The latest first."""
        from lead_orchestrator.graphql.booking.types import AppointmentConnection  # noqa: PLC0415 - they know each other

        return await AppointmentConnection.of_lead(info, self.key, first, after)
