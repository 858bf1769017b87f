"""An appointment as calendars are told of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lead_orchestrator.booking.models import Appointment, AppointmentStatus
from lead_orchestrator.messaging.invites import Invite
from lead_orchestrator.tenancy.models import Location

__all__ = ["invite"]


def invite(row: Appointment, location: Location, services: Sequence[str], manage_url: str, now: datetime) -> Invite:
    """`services` are their names."""
    return Invite(
        uid=f"{row.id}@appointments",
        sequence=row.sequence,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        summary=f"{', '.join(services)} - {location.name}",
        place=location.address or location.name,
        url=manage_url,
        stamped_at=now,
        cancelled=row.status == AppointmentStatus.CANCELLED,
    )
