"""What there is to know before a time is offered or taken, read in three statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from lead_orchestrator.booking import repository
from lead_orchestrator.booking.models import Appointment, AppointmentService
from lead_orchestrator.booking.slots import Facts, days_of, reach
from lead_orchestrator.catalog import repository as catalog_repository
from lead_orchestrator.catalog.models import Service
from lead_orchestrator.clock import note_app_now
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.tenancy.hours import Open
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import ReadSession

__all__ = ["Request", "booked", "known", "read_facts"]

MOST_SERVICES = 20


@dataclass(frozen=True)
class Request:
    """So much work at a location that is open at `hours`, one service after the other; `now` is the product's time, `real_now` what
    tokens go by."""

    location: Location
    hours: Sequence[Open]
    work: timedelta
    now: datetime
    real_now: datetime
    services: Sequence[Service] = ()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.location.timezone)

    @property
    def latest(self) -> datetime:
        return self.now + timedelta(days=self.location.horizon_days)


async def known(session: ReadSession, location_id: UUID, service_ids: Sequence[UUID]) -> Request:
    """The location and what is wanted there.

    Raises:
        NotFoundError: the caller sees no such location.
        BadInputError: UNKNOWN_SERVICE, for one that the location does not sell; none or too many.
    """
    if not 1 <= len(service_ids) <= MOST_SERVICES:
        message = f"serviceIds has {len(service_ids)} services: send 1 to {MOST_SERVICES}"
        raise BadInputError(message, field=("serviceIds",))
    request = await _request(session, location_id)
    offered = await catalog_repository.offered_at(session, [location_id], active_only=True, of=service_ids)
    sold = {service.id: service for service in offered[location_id]}
    for number, service_id in enumerate(service_ids):
        if service_id not in sold:
            message = f"this location has no service {encode(Kind.SERVICE, service_id)}: see its services"
            raise BadInputError(message, code="UNKNOWN_SERVICE", field=("serviceIds", str(number)))
    services = [sold[service_id] for service_id in service_ids]
    return replace(request, services=services, work=_work(services))


async def booked(session: ReadSession, appointment: Appointment, services: Sequence[AppointmentService]) -> Request:
    """What was booked already, with the durations it was booked with; without services it takes as long as it was to take.

    Raises:
        NotFoundError: the caller sees no such location.
    """
    work = _work(services) or appointment.ends_at - appointment.starts_at
    return replace(await _request(session, appointment.location_id), work=work)


async def read_facts(session: ReadSession, request: Request, first: date, last: date, but: UUID | None = None) -> Facts:
    """All that decides about the days from `first` to `last`, as if the appointment `but` were not there."""
    location = request.location
    buffer = timedelta(minutes=location.buffer_minutes)
    begins, ends = days_of(request.zone, first, last)
    until = ends + reach(request.hours, request.work) + buffer
    return Facts(
        zone=request.zone,
        hours=request.hours,
        bays=location.bays,
        buffer=buffer,
        earliest=request.now + timedelta(minutes=location.lead_time_minutes),
        latest=request.latest,
        busy=await repository.busy(session, location.id, begins - buffer, until, but),
    )


async def _request(session: ReadSession, location_id: UUID) -> Request:
    found = await repository.place(session, location_id)
    if found is None:
        raise NotFoundError(f"there is no location {encode(Kind.LOCATION, location_id)}", field=("locationId",))
    location, hours, now, real_now = found
    note_app_now(session, now)
    return Request(location, hours, timedelta(), now, real_now)


def _work(services: Sequence[Service] | Sequence[AppointmentService]) -> timedelta:
    return timedelta(minutes=sum(service.duration_minutes for service in services))
