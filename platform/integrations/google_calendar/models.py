"""What we say to Google and what it answers, as far as we use it.

Reading is lenient: an event whose times cannot be read takes no time, and an unknown status counts as confirmed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import SecretStr

__all__ = [
    "Busy",
    "CalendarEvent",
    "Channel",
    "EventDraft",
    "EventPage",
    "FreeBusy",
    "GoogleApp",
    "Tokens",
    "event_of",
    "moment",
]


@dataclass(frozen=True, slots=True)
class GoogleApp:
    """Our registration at Google."""

    client_id: str
    client_secret: SecretStr


@dataclass(frozen=True, slots=True)
class Tokens:
    """`refresh_token` comes with the consent only; `email` is the account's, if Google names it."""

    access_token: SecretStr
    expires_in: float
    refresh_token: SecretStr | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Busy:
    """A time that is taken, from `starts_at` until before `ends_at`."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class CalendarEvent:
    """An event, or the news that it is gone (`cancelled`); `busy` is None when it takes no time of the shop's."""

    id: str
    cancelled: bool
    busy: Busy | None
    ours: str | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """One page of a list. Only the last page has `sync_token`, the others `next_page`."""

    events: Sequence[CalendarEvent]
    next_page: str | None
    sync_token: str | None


@dataclass(frozen=True, slots=True)
class FreeBusy:
    """What one calendar says of a span; `error` is Google's reason why it says nothing, as `notFound`."""

    busy: Sequence[Busy]
    error: str | None


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event as we write it. `id` is ours: a to v and digits, as in a uuid's hex. `ours` comes back with the event."""

    id: str
    summary: str
    description: str
    starts_at: datetime
    ends_at: datetime
    timezone: str
    ours: str

    def body(self) -> dict[str, Any]:
        """The whole event, so that writing it twice is writing it once."""
        return {
            "summary": self.summary,
            "description": self.description,
            "start": {"dateTime": _stamp(self.starts_at), "timeZone": self.timezone},
            "end": {"dateTime": _stamp(self.ends_at), "timeZone": self.timezone},
            "status": "confirmed",
            "extendedProperties": {"private": {OURS: self.ours}},
        }


@dataclass(frozen=True, slots=True)
class Channel:
    """A push channel until `expires_at`; both ids are needed to stop it."""

    id: str
    resource_id: str
    expires_at: datetime | None


OURS = "appointmentId"
"""The private property that names our appointment."""


def event_of(row: object, timezone: str) -> CalendarEvent | None:
    """The event of a list's row; None when it has no id. `timezone` is the calendar's, for whole days."""
    if not isinstance(row, Mapping) or not isinstance(row.get("id"), str) or not row["id"]:
        return None
    cancelled = row.get("status") == "cancelled"
    free = cancelled or row.get("transparency") == "transparent"
    return CalendarEvent(row["id"], cancelled, None if free else _busy(row, timezone), _ours(row))


def moment(value: object) -> datetime | None:
    """An RFC 3339 time in UTC; None for anything else."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found.astimezone(UTC) if found and found.tzinfo else None


def _busy(row: Mapping[str, Any], timezone: str) -> Busy | None:
    starts_at, ends_at = _edge(row.get("start"), timezone), _edge(row.get("end"), timezone)
    return Busy(starts_at, ends_at) if starts_at and ends_at and starts_at < ends_at else None


def _edge(stated: object, timezone: str) -> datetime | None:
    """The moment of a `dateTime`, or midnight of a whole day's `date` in the calendar's zone."""
    if not isinstance(stated, Mapping):
        return None
    if found := moment(stated.get("dateTime")):
        return found
    try:
        day = date.fromisoformat(str(stated.get("date")))
        return datetime.combine(day, time(), ZoneInfo(timezone)).astimezone(UTC)
    except (ValueError, OverflowError, ZoneInfoNotFoundError):
        return None


def _ours(row: Mapping[str, Any]) -> str | None:
    extended = row.get("extendedProperties")
    private = extended.get("private") if isinstance(extended, Mapping) else None
    value = private.get(OURS) if isinstance(private, Mapping) else None
    return value if isinstance(value, str) else None


def _stamp(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
