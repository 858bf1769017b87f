"""What can be changed of the catalog and the times a shop is shut."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import strawberry

from lead_orchestrator.catalog import models
from lead_orchestrator.catalog.service import ServiceChange, close_location, reopen_location, upsert_service
from lead_orchestrator.catalog.sync import store
from lead_orchestrator.errors import AppError, BadInputError, UnavailableError
from lead_orchestrator.graphql.catalog.types import CatalogPayload, LocationPayload, Service, ServicePayload
from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.payloads import answer
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.tenancy import models as tenancy_models
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["CatalogMutations", "ServiceInput"]


@strawberry.input
class ServiceInput:
    """With an `id` that service is changed: what is left out stays, null removes. Without one a service is made, for the
    location or, without that, for the whole franchise. Name and price of a service that comes from ShopMonkey are what the
    next sync brings."""

    id: strawberry.ID | None = None
    location_id: strawberry.ID | None = None
    name: str
    description: str | None = strawberry.UNSET
    category: str | None = strawberry.UNSET
    price_cents: int | None = strawberry.UNSET
    duration_minutes: int
    active: bool | None = True
    display_order: int | None = strawberry.UNSET

    def change(self) -> ServiceChange:
        """Raises BadInputError: an id is none."""
        return ServiceChange(
            id=decode(Kind.SERVICE, self.id, field="id") if self.id is not None else None,
            location_id=decode(Kind.LOCATION, self.location_id, field="locationId") if self.location_id else None,
            name=self.name,
            duration_minutes=self.duration_minutes,
            active=self.active is not False,
            given=dict(self._given()),
        )

    def _given(self) -> Iterator[tuple[str, str | int | None]]:
        for name in ("description", "category", "price_cents", "display_order"):
            value = getattr(self, name)
            if value is not strawberry.UNSET:
                yield name, value


@strawberry.type
class CatalogMutations:
    @strawberry.mutation
    async def sync_catalog(self, info: Request, location_id: strawberry.ID) -> CatalogPayload:
        """Take over ShopMonkey's canned services; durations and the display order stay ours. Send it as an operation of its
        own: ShopMonkey is asked before anything is written."""
        try:
            key = decode(Kind.LOCATION, location_id, field="locationId")
            if info.context.wrote:
                raise BadInputError("syncCatalog is not the first change of the operation: send it as one of its own")
            sync = info.context.services.catalog
            if sync is None:
                raise UnavailableError("ShopMonkey is not connected here")
            fetched = await sync.fetch(info.context.scope, key)
            async with info.context.writing() as session:
                rows = await store(session, fetched)
        except AppError as error:
            return CatalogPayload(services=None, errors=[UserError.of(error)])
        return CatalogPayload(services=[Service.of(row) for row in rows], errors=[])

    @strawberry.mutation
    async def upsert_service(self, info: Request, input: ServiceInput) -> ServicePayload:  # noqa: A002 - the contract's name
        async def work(session: WriteSession) -> models.Service:
            return await upsert_service(session, input.change())

        return await answer(info, work, ServicePayload.of)

    @strawberry.mutation
    async def add_closure(
        self,
        info: Request,
        location_id: strawberry.ID,
        starts_at: datetime,
        ends_at: datetime,
        reason: str | None = None,
    ) -> LocationPayload:
        """Shut a location for a while; what is booked in that time stays booked."""

        async def work(session: WriteSession) -> tenancy_models.Location:
            key = decode(Kind.LOCATION, location_id, field="locationId")
            return await close_location(session, key, starts_at, ends_at, reason)

        return await answer(info, work, LocationPayload.of)

    @strawberry.mutation
    async def remove_closure(self, info: Request, id: strawberry.ID) -> LocationPayload:  # noqa: A002 - the contract's name
        async def work(session: WriteSession) -> tenancy_models.Location:
            return await reopen_location(session, decode(Kind.CLOSURE, id, field="id"))

        return await answer(info, work, LocationPayload.of)
