"""Whoever has the link of an appointment, and what they see of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from lead_orchestrator.booking.appointments import repository
from lead_orchestrator.booking.models import Appointment, AppointmentStatus
from lead_orchestrator.clock import app_now
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import ReadSession

__all__ = ["ManageLink", "OwnAppointment", "opened_link", "own_appointment"]

_ID, _NONCE = 16, 16


@dataclass(frozen=True)
class ManageLink:
    """What a link names; it counts while the appointment has this nonce."""

    tenant_id: UUID
    appointment_id: UUID
    nonce: bytes = field(repr=False)


@dataclass(frozen=True)
class OwnAppointment:
    """An appointment as its customer sees it; `services` are their names."""

    appointment: Appointment
    location: Location
    services: Sequence[str]
    now: datetime

    @property
    def is_open(self) -> bool:
        """Whether it can still be moved or cancelled."""
        return self.appointment.status == AppointmentStatus.CONFIRMED and self.appointment.starts_at > self.now


def opened_link(links: LinkSigner, token: str) -> ManageLink | None:
    """What the token of a link names; None if it is not one of ours."""
    body = links.signed("manage", token)
    if body is None or len(body) != 2 * _ID + _NONCE:
        return None
    return ManageLink(UUID(bytes=body[:_ID]), UUID(bytes=body[_ID : 2 * _ID]), body[2 * _ID :])


async def own_appointment(session: ReadSession, link: ManageLink) -> OwnAppointment | None:
    """None if the link was made void."""
    row = await repository.by_nonce(session, link.appointment_id, link.nonce)
    location = await tenancy_repository.location(session, row.location_id) if row else None
    if row is None or location is None:
        return None
    services = await repository.booked_services(session, row.id)
    return OwnAppointment(row, location, [service.name for service in services], await app_now(session))
