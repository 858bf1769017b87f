"""What a location has of its catalog and calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from lead_orchestrator.graphql.context import Request

if TYPE_CHECKING:
    from lead_orchestrator.graphql.catalog.types import CalendarConnection, Closure, Service

__all__ = ["LocationCatalog"]


@strawberry.type
class LocationCatalog:
    """A part of Location."""

    key: strawberry.Private[UUID]

    @strawberry.field
    async def services(
        self, info: Request, active_only: bool | None = True
    ) -> list[Annotated[Service, strawberry.lazy("lead_orchestrator.graphql.catalog.types")]]:
        """What it sells, in its display order: its own services, and the franchise's where it has none of that name."""
        from lead_orchestrator.graphql.catalog.types import Service  # noqa: PLC0415 - a service knows its location

        rows = await info.context.loaders.location_services.load((self.key, active_only is not False))
        return [Service.of(row) for row in rows]

    @strawberry.field
    async def closures(
        self, info: Request
    ) -> list[Annotated[Closure, strawberry.lazy("lead_orchestrator.graphql.catalog.types")]]:
        """By their beginning."""
        from lead_orchestrator.graphql.catalog.types import Closure  # noqa: PLC0415 - as above

        return [Closure.of(row) for row in await info.context.loaders.closures.load(self.key)]

    @strawberry.field
    async def calendar(
        self, info: Request
    ) -> Annotated[CalendarConnection, strawberry.lazy("lead_orchestrator.graphql.catalog.types")] | None:
        """The calendar that is kept in step with this location's; null while none is connected."""
        from lead_orchestrator.graphql.catalog.types import CalendarConnection  # noqa: PLC0415 - as above

        row = await info.context.loaders.calendars.load(self.key)
        return CalendarConnection.of(row) if row else None
