"""An appointment as calendars read it (RFC 5545)."""

from __future__ import annotations

from icalendar import Calendar, Event

from lead_orchestrator.booking.appointments.customers import OwnAppointment
from lead_orchestrator.booking.models import AppointmentStatus

__all__ = ["as_calendar"]


def as_calendar(own: OwnAppointment, manage_url: str) -> bytes:
    """One event; its UID stays when the appointment moves, so that a calendar replaces what it has."""
    row = own.appointment
    event = Event()
    event.add("uid", f"{row.id}@appointments")
    event.add("dtstamp", own.now)
    event.add("dtstart", row.starts_at)
    event.add("dtend", row.ends_at)
    event.add("summary", f"{', '.join(own.services)} - {own.location.name}")
    event.add("location", own.location.address or own.location.name)
    event.add("description", manage_url)
    event.add("url", manage_url)
    event.add("status", "CANCELLED" if row.status == AppointmentStatus.CANCELLED else "CONFIRMED")
    event.add("sequence", int(own.now.timestamp()))
    calendar = Calendar()
    calendar.add("prodid", "-//Lead Orchestrator//Appointments//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add_component(event)
    return bytes(calendar.to_ical())
