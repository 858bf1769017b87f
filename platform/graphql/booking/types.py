"""Appointments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Self
from uuid import UUID
from zoneinfo import ZoneInfo

import strawberry

from lead_orchestrator.booking import models, repository
from lead_orchestrator.booking.models import AppointmentStatus
from lead_orchestrator.booking.repository import AppointmentQuery
from lead_orchestrator.errors import ForbiddenError
from lead_orchestrator.graphql.catalog.types import Service, money
from lead_orchestrator.graphql.connections import Connection, Count, Node
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.cursors import Key, Page, cursor, page
from lead_orchestrator.graphql.filters import lead_key, location_keys
from lead_orchestrator.graphql.lead_types import Lead
from lead_orchestrator.graphql.money import Money
from lead_orchestrator.graphql.tenant_types import Location
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.keyset import After
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["APPOINTMENT_ORDER", "Appointment", "AppointmentConnection", "AppointmentFilter", "Slot"]

APPOINTMENT_ORDER = "appointment.starts_at"
NO_MANAGE_URL = ""  # of an appointment without a link of its own

strawberry.enum(AppointmentStatus)


@strawberry.type
class Slot:
    """A time that is free; `token` books it."""

    starts_at: datetime
    ends_at: datetime
    local_start: str
    token: str


@strawberry.type
class Appointment(Node):
    """`localStart` is in the location's zone; `manageUrl` is empty when the customer was given no link.

    `syncStatus` is NOT_NEEDED, PENDING, SYNCED or FAILED; `syncError` is what the other system answered last."""

    key: strawberry.Private[UUID]
    location_key: strawberry.Private[UUID]
    lead_key: strawberry.Private[UUID | None]
    starts_at: datetime
    ends_at: datetime
    status: AppointmentStatus
    bay: int
    notes: str | None
    total: Money | None
    hold_expires_at: datetime | None
    shopmonkey_appointment_id: str | None
    sync_status: str
    nonce: strawberry.Private[bytes | None]
    sync_error: str | None

    @classmethod
    def of(cls, row: models.Appointment) -> Appointment:
        return cls(
            id=strawberry.ID(encode(Kind.APPOINTMENT, row.id)),
            key=row.id,
            location_key=row.location_id,
            lead_key=row.lead_id,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            status=AppointmentStatus(row.status),
            bay=row.bay,
            notes=row.notes,
            total=money(row.total_cents, row.currency),
            hold_expires_at=row.hold_expires_at,
            shopmonkey_appointment_id=row.shopmonkey_appointment_id,
            sync_status=row.sync_status,
            nonce=row.manage_nonce,
            sync_error=row.sync_error,
        )

    @classmethod
    def of_visitor(cls, row: models.Appointment) -> Appointment:
        """As a visitor sees what they booked: nothing of the lead that it became, and nothing of other systems."""
        shown = cls.of(row)
        shown.lead_key, shown.shopmonkey_appointment_id, shown.sync_error = None, None, None
        return shown

    @strawberry.field
    async def manage_url(self, info: Request) -> str:
        """Where the customer moves or cancels it."""
        links, tenant_id = info.context.services.links, info.context.scope.tenant_id
        return links.manage(tenant_id, self.key, self.nonce) if links and self.nonce else NO_MANAGE_URL

    @strawberry.field
    async def lead(self, info: Request) -> Lead | None:
        row = await info.context.loaders.leads.load(self.lead_key) if self.lead_key else None
        return Lead.of(row) if row else None

    @strawberry.field
    async def location(self, info: Request) -> Location:
        if info.context.claims.role is Role.VISITOR:
            raise ForbiddenError("a VISITOR may not ask for the location of an appointment: it is the one they book at")
        row = await info.context.loaders.locations.load(self.location_key)
        if row is None:
            raise LookupError("an appointment without its location")
        return Location.of(row)

    @strawberry.field
    async def services(self, info: Request) -> list[Service]:
        """As the catalog has them now, in the order of the booking."""
        if info.context.claims.role is Role.VISITOR:
            found = await info.context.serving(lambda session: repository.services_of(session, [self.key]))
            return [Service.of(row) for row in found.get(self.key, [])]
        return [Service.of(row) for row in await info.context.loaders.appointment_services.load(self.key)]

    @strawberry.field
    async def local_start(self, info: Request) -> str:
        if info.context.claims.role is Role.VISITOR:
            row = await info.context.serving(lambda session: tenancy_repository.location(session, self.location_key))
        else:
            row = await info.context.loaders.locations.load(self.location_key)
        zone = ZoneInfo(row.timezone if row else "UTC")
        return self.starts_at.astimezone(zone).strftime("%a %Y-%m-%d %H:%M")


@strawberry.input
class AppointmentFilter:
    """What is left out or null does not narrow; an empty list matches nothing. `to` itself is not included."""

    status: list[AppointmentStatus] | None = None
    location_ids: list[strawberry.ID] | None = None
    from_: datetime | None = strawberry.field(name="from", default=None)
    to: datetime | None = None
    lead_id: strawberry.ID | None = None

    def query(self) -> AppointmentQuery:
        """Raises BadInputError: an id is none."""
        return AppointmentQuery(
            self.status, location_keys(self.location_ids), self.from_, self.to, lead_key(self.lead_id)
        )


@strawberry.type
class AppointmentConnection(Connection[Appointment]):
    """The latest first."""

    @classmethod
    async def load(cls, info: Request, query: AppointmentQuery, first: int | None, after: str | None) -> Self:
        """A page of all that `query` matches."""
        wanted = page(first, after, APPOINTMENT_ORDER, (Kind.APPOINTMENT,))
        rows = await info.context.run(repository.appointments_page, query, place(wanted), wanted.first + 1)
        return cls._of(rows, wanted, after, partial(info.context.run, repository.count_appointments, query))

    @classmethod
    async def of_lead(cls, info: Request, lead: UUID, first: int | None, after: str | None) -> Self:
        """A page of those of one lead."""
        wanted = page(first, after, APPOINTMENT_ORDER, (Kind.APPOINTMENT,))
        rows = await info.context.loaders.lead_appointments.load((lead, place(wanted), wanted.first + 1))
        return cls._of(rows, wanted, after, partial(info.context.loaders.appointment_counts.load, lead))

    @classmethod
    def _of(cls, rows: Sequence[models.Appointment], wanted: Page, after: str | None, count: Count) -> Self:
        order, kind = APPOINTMENT_ORDER, Kind.APPOINTMENT
        found = ((cursor(order, Key(row.starts_at, row.id), kind), Appointment.of(row)) for row in rows)
        return cls.page(found, wanted.first, after, count)


def place(wanted: Page) -> After:
    """Where a page begins."""
    return (wanted.after.value, wanted.after.id) if wanted.after else None
