"""The franchise, its locations and its people."""

from __future__ import annotations

from datetime import datetime, time
from functools import partial
from typing import Self
from uuid import UUID

import strawberry

from lead_orchestrator.administration.readiness import readiness
from lead_orchestrator.chat.assistant.setup import chosen
from lead_orchestrator.graphql import repository
from lead_orchestrator.graphql.catalog.of_locations import LocationCatalog
from lead_orchestrator.graphql.chat.settings import TenantAssistant
from lead_orchestrator.graphql.connections import Connection, Node
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.cursors import Key, Page, cursor
from lead_orchestrator.graphql.enums import Role
from lead_orchestrator.graphql.operations import repository as operations_repository
from lead_orchestrator.graphql.scalars import JSON
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.tenancy import models, tokens
from lead_orchestrator.tenancy import repository as tenancy_repository

__all__ = ["LOCATION_ORDER", "Location", "LocationConnection", "Tenant", "User", "Viewer", "tenant"]

LOCATION_ORDER = "location.name"
MOST_LOCATIONS = 1000


@strawberry.type
class OpeningHours:
    """0 = Sunday; several rows a day are allowed."""

    day_of_week: int
    opens_at: time
    closes_at: time


@strawberry.type
class Location(LocationCatalog, Node):
    key: strawberry.Private[UUID]
    name: str
    slug: str
    shopmonkey_location_id: str | None
    timezone: str
    phone: str | None
    address: str | None
    bays: int
    buffer_minutes: int
    lead_time_minutes: int
    horizon_days: int
    allowed_origins: list[str]
    survey: JSON | None

    @classmethod
    def of(cls, row: models.Location) -> Location:
        return cls(
            id=strawberry.ID(encode(Kind.LOCATION, row.id)),
            key=row.id,
            name=row.name,
            slug=row.slug,
            shopmonkey_location_id=row.shopmonkey_location_id,
            timezone=row.timezone,
            phone=row.phone,
            address=row.address,
            bays=row.bays,
            buffer_minutes=row.buffer_minutes,
            lead_time_minutes=row.lead_time_minutes,
            horizon_days=row.horizon_days,
            allowed_origins=row.allowed_origins,
            survey=JSON(row.survey) if row.survey is not None else None,
        )

    @strawberry.field
    async def hours(self, info: Request) -> list[OpeningHours]:
        rows = await info.context.loaders.hours.load(self.key)
        return [
            OpeningHours(day_of_week=row.day_of_week, opens_at=row.opens_at, closes_at=row.closes_at) for row in rows
        ]


@strawberry.type
class LocationConnection(Connection[Location]):
    """By name."""

    @classmethod
    async def load(cls, info: Request, search: str | None, wanted: Page, after: str | None) -> Self:
        rows = await info.context.run(repository.locations_page, search, wanted)
        found = ((cursor(LOCATION_ORDER, Key(row.name, row.id), Kind.LOCATION), Location.of(row)) for row in rows)
        return cls.page(found, wanted.first, after, lambda: info.context.run(repository.count_locations, search))


@strawberry.type
class ReadinessCheck:
    """Going live waits for those that are `required`."""

    name: str
    ok: bool
    detail: str | None
    required: bool


@strawberry.type
class TenantUsage:
    """Of what the caller sees; month and day are the calendar's in UTC. The assistant's tokens of a month are the whole
    franchise's. `leadTokenBudget` is what one customer may use on a day, `leadTokensToday` the most that one has used today, and
    `leadsUsedUpToday` how many have used it up."""

    leads: int
    messages_this_month: int
    assistant_tokens_this_month: int
    assistant_token_budget: int
    lead_tokens_today: int
    lead_token_budget: int
    leads_used_up_today: int


@strawberry.type
class TenantLimits:
    """Null where the limit is the one of all franchises, which for messages is none. The assistant's budget is a month's."""

    assistant_token_budget: int | None
    requests_per_minute: int | None
    messages_per_day: int | None
    webhook_retention_days: int | None
    conversation_retention_days: int | None


@strawberry.type
class Tenant(Node):
    key: strawberry.Private[UUID]
    name: str
    slug: str
    status: str
    demo_mode: bool
    demo_allowlist: list[str]
    limits: TenantLimits

    @classmethod
    def of(cls, row: models.Tenant) -> Tenant:
        return cls(
            id=strawberry.ID(encode(Kind.TENANT, row.id)),
            key=row.id,
            name=row.name,
            slug=row.slug,
            status=row.status,
            demo_mode=row.demo_mode,
            demo_allowlist=row.demo_allowlist,
            limits=TenantLimits(
                assistant_token_budget=row.assistant_token_budget,
                requests_per_minute=row.requests_per_minute,
                messages_per_day=row.messages_per_day,
                webhook_retention_days=row.webhook_retention_days,
                conversation_retention_days=row.conversation_retention_days,
            ),
        )

    @strawberry.field
    async def readiness(self, info: Request) -> list[ReadinessCheck]:
        """What is still missing before go-live, each check with its reason."""
        checks = await info.context.within(self.key, partial(readiness, demo_mode=self.demo_mode))
        return [ReadinessCheck(name=c.name, ok=c.ok, detail=c.detail, required=c.required) for c in checks]

    @strawberry.field
    async def assistant(self, info: Request) -> TenantAssistant:
        """What `setAssistant` has set."""
        return TenantAssistant.of(await info.context.within(self.key, chosen))

    @strawberry.field
    async def usage(self, info: Request) -> TenantUsage:
        """Counts only."""
        used = await info.context.within(self.key, operations_repository.usage)
        return TenantUsage(
            leads=used.leads,
            messages_this_month=used.messages_this_month,
            assistant_tokens_this_month=used.assistant_tokens_this_month,
            assistant_token_budget=used.assistant_token_budget,
            lead_tokens_today=used.lead_tokens_today,
            lead_token_budget=used.lead_token_budget,
            leads_used_up_today=used.leads_used_up_today,
        )


@strawberry.type
class User(Node):
    email: str
    name: str | None
    role: Role
    active: bool
    location_ids: strawberry.Private[list[UUID] | None]

    @classmethod
    def of(cls, row: models.User) -> User:
        return cls(
            id=strawberry.ID(encode(Kind.USER, row.id)),
            email=row.email,
            name=row.name,
            role=tokens.Role(row.role),
            active=row.active,
            location_ids=row.location_ids,
        )

    @strawberry.field
    async def locations(self, info: Request) -> list[Location]:
        if self.role is Role.PLATFORM_ADMIN:
            return []
        rows = await info.context.loaders.every_location.load(MOST_LOCATIONS)
        return [Location.of(row) for row in rows if self.location_ids is None or row.id in self.location_ids]


@strawberry.type
class Viewer:
    """Who asks. A platform administrator has no franchise; a visitor sees neither the franchise's nor its locations' rows."""

    role: Role
    expires_at: datetime
    user_id: strawberry.Private[UUID | None]

    @classmethod
    def of(cls, claims: tokens.Claims, user_id: UUID | None) -> Viewer:
        return cls(role=claims.role, expires_at=claims.expires_at, user_id=user_id)

    @strawberry.field
    async def user(self, info: Request) -> User | None:
        if self.role is Role.PLATFORM_ADMIN and self.user_id is not None:
            return await _administrator(info, self.user_id)
        if self.user_id is None or not self._is_staff():
            return None
        row = await info.context.loaders.users.load(self.user_id)
        return User.of(row) if row else None

    @strawberry.field
    async def tenant(self, info: Request) -> Tenant | None:
        return await tenant(info) if self._is_staff() else None

    @strawberry.field
    async def locations(self, info: Request) -> list[Location]:
        if not self._is_staff():
            return []
        rows = await info.context.run(repository.visible_locations, None, MOST_LOCATIONS)
        return [Location.of(row) for row in rows]

    def _is_staff(self) -> bool:
        return self.role not in (Role.VISITOR, Role.PLATFORM_ADMIN)


async def _administrator(info: Request, user_id: UUID) -> User | None:
    async with info.context.services.tenancy.platform() as session:
        row = await operations_repository.platform_user(session, user_id)
    if row is None:
        return None
    return User(
        id=strawberry.ID(encode(Kind.USER, row.id)),
        email=row.email,
        name=row.name,
        role=Role.PLATFORM_ADMIN,
        active=row.active,
        location_ids=[],
    )


async def tenant(info: Request) -> Tenant | None:
    """The caller's franchise; a platform administrator has none."""
    if info.context.claims.tenant_id is None:
        return None
    return Tenant.of(await info.context.run(tenancy_repository.tenant))
