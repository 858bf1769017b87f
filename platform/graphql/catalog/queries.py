"""What can be asked about the catalog."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

import strawberry

from lead_orchestrator.graphql.catalog.types import Service
from lead_orchestrator.graphql.connections import Node
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.ids import Kind, decode

__all__ = ["CATALOG_NODES", "CatalogQueries"]


@strawberry.type
class CatalogQueries:
    @strawberry.field
    async def services(
        self, info: Request, location_id: strawberry.ID, active_only: bool | None = True
    ) -> list[Service]:
        """What a location sells, in its display order: its own services, and the franchise's where it has none of that
        name. Nothing for a location that the caller does not see."""
        key = decode(Kind.LOCATION, location_id, field="locationId")
        rows = await info.context.loaders.location_services.load((key, active_only is not False))
        return [Service.of(row) for row in rows]


async def _service(info: Request, key: UUID) -> Service | None:
    row = await info.context.loaders.services.load(key)
    return Service.of(row) if row else None


async def _no_node(_info: Request, _key: UUID) -> None:
    """A closure has an id, but is no node."""


CATALOG_NODES: Mapping[Kind, Callable[[Request, UUID], Awaitable[Node | None]]] = {
    Kind.SERVICE: _service,
    Kind.CLOSURE: _no_node,
}
