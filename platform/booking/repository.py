"""All SQL about appointments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Uuid, bindparam, func, select, text
from sqlalchemy.orm import aliased

from lead_orchestrator.booking.models import Appointment, AppointmentService
from lead_orchestrator.booking.slots import Busy
from lead_orchestrator.catalog.models import Service
from lead_orchestrator.keyset import After, cut, of_each
from lead_orchestrator.tenancy.hours import Open
from lead_orchestrator.tenancy.models import Location, LocationHours
from lead_orchestrator.tenancy.sessions import ReadSession

__all__ = [
    "AppointmentQuery",
    "appointment_counts",
    "appointments_by_id",
    "appointments_of",
    "appointments_page",
    "busy",
    "count_appointments",
    "place",
    "services_of",
]

_MOMENT = DateTime(timezone=True)


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


async def place(session: ReadSession, location_id: UUID) -> tuple[Location, Sequence[Open], datetime, datetime] | None:
    """The location with its hours, the product's time and the real one."""
    same = (LocationHours.tenant_id == Location.tenant_id) & (LocationHours.location_id == Location.id)
    statement = (
        select(Location, LocationHours, func.app_now(type_=_MOMENT), func.clock_timestamp(type_=_MOMENT))
        .outerjoin(LocationHours, same)
        .where(Location.tenant_id == session.scope.tenant_id, Location.id == location_id)
        .execution_options(populate_existing=True)
    )
    rows = (await session.execute(statement)).all()
    if not rows:
        return None
    location, _, now, real_now = rows[0]
    opened = [Open(row.day_of_week, row.opens_at, row.closes_at) for _, row, *_ in rows if row is not None]
    return location, opened, now, real_now


_BUSY = text("""
WITH taken AS (
  SELECT bay, during FROM appointments
  WHERE tenant_id = :tenant AND location_id = :location AND ends_at > :begins AND starts_at < :ends
    AND (status = 'CONFIRMED' OR status = 'HELD' AND hold_expires_at > app_now()) AND id IS DISTINCT FROM :but
  UNION ALL
  SELECT bay, during FROM shopmonkey_appointments
  WHERE tenant_id = :tenant AND location_id = :location AND during && tstzrange(:begins, :ends)
  UNION ALL
  SELECT NULL, during FROM google_calendar_events
  WHERE tenant_id = :tenant AND location_id = :location AND during && tstzrange(:begins, :ends)
  UNION ALL
  SELECT NULL, tstzrange(starts_at, ends_at) FROM location_closures
  WHERE tenant_id = :tenant AND location_id = :location AND ends_at > :begins AND starts_at < :ends
), joined AS (SELECT bay, unnest(range_agg(during)) AS during FROM taken GROUP BY bay)
SELECT bay, array_agg(date_part('epoch', lower(during))), array_agg(date_part('epoch', upper(during)))
FROM joined GROUP BY bay
""").bindparams(
    *(bindparam(name, type_=Uuid()) for name in ("tenant", "location", "but")),
    *(bindparam(name, type_=_MOMENT) for name in ("begins", "ends")),
)


async def busy(
    session: ReadSession, location_id: UUID, begins: datetime, ends: datetime, but: UUID | None = None
) -> Sequence[Busy]:
    """What is taken of a location between these instants: its bays by appointments (all `but` one) and holds that have not
    expired, by appointments made in ShopMonkey, the whole of it by closures and by events in its Google calendar. What touches in
    a bay is one span.

    It comes as one row for each bay, its moments as numbers: thousands of rows cost more to take apart than to find.
    """
    given = {"tenant": session.scope.tenant_id, "location": location_id, "begins": begins, "ends": ends, "but": but}
    moment = partial(datetime.fromtimestamp, tz=UTC)
    return [
        Busy(start, end, bay)
        for bay, starts, its_ends in await session.execute(_BUSY, given)
        for start, end in zip(map(moment, starts), map(moment, its_ends), strict=True)
    ]


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
