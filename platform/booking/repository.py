"""All SQL about appointments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import aliased

from lead_orchestrator.booking.models import Appointment, AppointmentService
from lead_orchestrator.catalog.models import Service
from lead_orchestrator.keyset import After, cut, of_each
from lead_orchestrator.tenancy.sessions import ReadSession

__all__ = [
    "AppointmentQuery",
    "appointment_counts",
    "appointments_by_id",
    "appointments_of",
    "appointments_page",
    "count_appointments",
    "services_of",
]


@dataclass(frozen=True)
class AppointmentQuery:
    """Which appointments; None does not narrow, an empty list is none. Those that begin at `begins_from` are included, those
    at `begins_to` are not."""

    status: Sequence[str] | None = None
    location_ids: Sequence[UUID] | None = None
    begins_from: datetime | None = None
    begins_to: datetime | None = None
    lead_id: UUID | None = None


async def appointments_page(
    session: ReadSession, query: AppointmentQuery, after: After, limit: int
) -> Sequence[Appointment]:
    """The latest first."""
    part = cut(Appointment.starts_at, Appointment.id, after, limit)
    return list(await session.scalars(part.of(select(Appointment).where(*_terms(session, query)))))


async def count_appointments(session: ReadSession, query: AppointmentQuery) -> int:
    statement = select(func.count()).select_from(Appointment).where(*_terms(session, query))
    return int(await session.scalar(statement) or 0)


async def appointments_by_id(session: ReadSession, ids: Sequence[UUID]) -> Mapping[UUID, Appointment]:
    statement = select(Appointment).where(Appointment.tenant_id == session.scope.tenant_id, Appointment.id.in_(ids))
    return {row.id: row for row in await session.scalars(statement)}


async def appointments_of(
    session: ReadSession, lead_ids: Sequence[UUID], after: After, limit: int
) -> Mapping[UUID, list[Appointment]]:
    """Of each lead the latest first."""
    row = aliased(Appointment)
    own = select(row).where(row.tenant_id == session.scope.tenant_id)
    return await of_each(session, lead_ids, own, row, row.lead_id, cut(row.starts_at, row.id, after, limit))


async def appointment_counts(session: ReadSession, lead_ids: Sequence[UUID]) -> Mapping[UUID, int]:
    statement = (
        select(Appointment.lead_id, func.count())
        .where(Appointment.tenant_id == session.scope.tenant_id, Appointment.lead_id.in_(lead_ids))
        .group_by(Appointment.lead_id)
    )
    return {lead_id: number for lead_id, number in await session.execute(statement) if lead_id is not None}


async def services_of(session: ReadSession, appointment_ids: Sequence[UUID]) -> Mapping[UUID, list[Service]]:
    """What each appointment is for, as the catalog has it now, in the order of the booking."""
    booked = AppointmentService
    statement = (
        select(booked.appointment_id, Service)
        .join(Service, (Service.tenant_id == booked.tenant_id) & (Service.id == booked.service_id))
        .where(booked.tenant_id == session.scope.tenant_id, booked.appointment_id.in_(appointment_ids))
        .order_by(booked.position)
    )
    found: dict[UUID, list[Service]] = {}
    for appointment_id, row in await session.execute(statement):
        found.setdefault(appointment_id, []).append(row)
    return found


def _terms(session: ReadSession, query: AppointmentQuery) -> Iterable[ColumnElement[bool]]:
    yield Appointment.tenant_id == session.scope.tenant_id
    if query.status is not None:
        yield Appointment.status.in_(query.status)
    if query.location_ids is not None:
        yield Appointment.location_id.in_(query.location_ids)
    if query.begins_from is not None:
        yield Appointment.starts_at >= query.begins_from
    if query.begins_to is not None:
        yield Appointment.starts_at < query.begins_to
    if query.lead_id is not None:
        yield Appointment.lead_id == query.lead_id
