"""An appointment as calendars read it (RFC 5545), and as an invitation by mail (RFC 5546)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

from icalendar import Calendar, Event, vCalAddress, vText

__all__ = ["Invite", "Party"]


@dataclass(frozen=True)
class Party:
    """The shop that invites, or the customer."""

    address: str = field(repr=False)
    name: str | None = None

    def written(self, **parameters: str) -> vCalAddress:
        found = vCalAddress(f"mailto:{self.address}")
        for name, value in {**({"CN": self.name} if self.name else {}), **parameters}.items():
            found.params[name] = vText(value)
        return found


_MOMENTS = ("starts_at", "ends_at", "stamped_at")


@dataclass(frozen=True)
class Invite:
    """`uid` stays when the appointment moves, and `sequence` rises, so that a calendar replaces what it has; `stamped_at` is when
    that was said."""

    uid: str
    sequence: int
    starts_at: datetime
    ends_at: datetime
    summary: str
    place: str
    url: str = field(repr=False)
    stamped_at: datetime
    cancelled: bool = False

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Self:
        moments = {name: datetime.fromisoformat(stored[name]) for name in _MOMENTS}
        return cls(**{**stored, **moments})

    def to_json(self) -> dict[str, object]:
        moments = {name: getattr(self, name).isoformat() for name in _MOMENTS}
        return {**asdict(self), **moments}

    def published(self) -> bytes:
        """As a file for whoever opens it."""
        return self._calendar("PUBLISH", self._event())

    def addressed(self, organizer: Party, attendee: Party) -> bytes:
        """As what a mail carries: it puts the event into the reader's calendar, moves it there or removes it."""
        event = self._event()
        event.add("organizer", organizer.written())
        event.add("attendee", attendee.written(ROLE="REQ-PARTICIPANT", PARTSTAT="ACCEPTED", RSVP="FALSE"))
        return self._calendar("CANCEL" if self.cancelled else "REQUEST", event)

    def _event(self) -> Event:
        event = Event()
        event.add("uid", self.uid)
        event.add("dtstamp", self.stamped_at)
        event.add("dtstart", self.starts_at)
        event.add("dtend", self.ends_at)
        event.add("summary", self.summary)
        event.add("location", self.place)
        if self.url:
            event.add("description", self.url)
            event.add("url", self.url)
        event.add("status", "CANCELLED" if self.cancelled else "CONFIRMED")
        event.add("sequence", self.sequence)
        return event

    def _calendar(self, method: str, event: Event) -> bytes:
        calendar = Calendar()
        calendar.add("prodid", "-//Lead Orchestrator//Appointments//EN")
        calendar.add("version", "2.0")
        calendar.add("method", method)
        calendar.add_component(event)
        return bytes(calendar.to_ical())
