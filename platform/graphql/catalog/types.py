"""What a shop sells, and when it is shut."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry

from lead_orchestrator.booking.calendar.models import GoogleCredential
from lead_orchestrator.catalog import models
from lead_orchestrator.graphql.connections import Node, UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.money import Money
from lead_orchestrator.graphql.scalars import Cents
from lead_orchestrator.graphql.tenant_types import Location
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.tenancy import models as tenancy_models

GOOGLE = "GOOGLE"

__all__ = [
    "CalendarConnection",
    "CatalogPayload",
    "Closure",
    "ConnectCalendarPayload",
    "LocationPayload",
    "Service",
    "ServicePayload",
    "money",
]


def money(cents: int | None, currency: str) -> Money | None:
    return None if cents is None else Money(amount_cents=Cents(cents), currency=currency)


@strawberry.type
class Service(Node):
    """`durationMinutes` is its category's default until it was set; the price is before tax."""

    key: strawberry.Private[UUID]
    location_key: strawberry.Private[UUID | None]
    name: str
    description: str | None
    category: str | None
    price: Money | None
    duration_minutes: int
    active: bool
    display_order: int
    shopmonkey_id: str | None

    @classmethod
    def of(cls, row: models.Service) -> Service:
        return cls(
            id=strawberry.ID(encode(Kind.SERVICE, row.id)),
            key=row.id,
            location_key=row.location_id,
            name=row.name,
            description=row.description,
            category=row.category,
            price=money(row.price_cents, row.currency),
            duration_minutes=row.duration_minutes,
            active=row.active,
            display_order=row.display_order,
            shopmonkey_id=row.shopmonkey_id,
        )

    @strawberry.field
    async def location(self, info: Request) -> Location | None:
        """Null for a service of the whole franchise."""
        row = await info.context.loaders.locations.load(self.location_key) if self.location_key else None
        return Location.of(row) if row else None


@strawberry.type
class Closure:
    id: strawberry.ID
    starts_at: datetime
    ends_at: datetime
    reason: str | None

    @classmethod
    def of(cls, row: models.Closure) -> Closure:
        return cls(
            id=strawberry.ID(encode(Kind.CLOSURE, row.id)),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            reason=row.reason,
        )


@strawberry.type
class CalendarConnection:
    """A calendar outside that is kept in step with a location's. `status` is CONNECTED, ERROR (it cannot be read for the
    moment) or DISCONNECTED (connect it again); `error` says why."""

    provider: str
    email: str | None
    status: str
    synced_at: datetime | None
    error: str | None

    @classmethod
    def of(cls, row: GoogleCredential) -> CalendarConnection:
        return cls(provider=GOOGLE, email=row.email, status=row.status, synced_at=row.synced_at, error=row.error)


@strawberry.type
class ServicePayload:
    service: Service | None
    errors: list[UserError]

    @classmethod
    def of(cls, row: models.Service | None, errors: list[UserError]) -> Self:
        return cls(service=Service.of(row) if row else None, errors=errors)


@strawberry.type
class CatalogPayload:
    services: list[Service] | None
    errors: list[UserError]


@strawberry.type
class ConnectCalendarPayload:
    """`authorizationUrl` is where the caller gives the permission; it works once, within 15 minutes."""

    authorization_url: str | None
    errors: list[UserError]


@strawberry.type
class LocationPayload:
    location: Location | None
    errors: list[UserError]

    @classmethod
    def of(cls, row: tenancy_models.Location | None, errors: list[UserError]) -> Self:
        return cls(location=Location.of(row) if row else None, errors=errors)
