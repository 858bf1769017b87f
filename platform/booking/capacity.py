"""What a location says of itself: its name and place, how much work it takes on, and when it is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias
from urllib.parse import urlsplit
from uuid import UUID

from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads.addresses import checked_phone, checked_zone
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.hours import Open, ends_after_it_begins, first_overlap
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["Value", "change_location", "set_hours"]

Value: TypeAlias = str | int | list[str] | None

LONGEST_NAME = 200
LONGEST_ADDRESS = 500
MOST_ORIGINS = 50
MOST_HOURS = 70
_SHOWN = 60
_LAST_DAY = 6
_RANGES = {
    "bays": (1, 100),
    "buffer_minutes": (0, 1440),
    "lead_time_minutes": (0, 43_200),
    "horizon_days": (1, 365),
}
_NAMES = {
    "allowed_origins": "allowedOrigins",
    "buffer_minutes": "bufferMinutes",
    "lead_time_minutes": "leadTimeMinutes",
    "horizon_days": "horizonDays",
}


async def change_location(session: WriteSession, location_id: UUID, given: Mapping[str, Value]) -> Location:
    """Change what is in `given` (columns of `locations`); what is booked stays as it is.

    With fewer bays nothing more goes into those that are given up; their appointments keep them.

    Raises:
        BadInputError: a value cannot be used; `field` names it.
        NotFoundError: the caller sees no such location.
    """
    values = {name: _checked(name, value) for name, value in given.items()}
    location = await _locked(session, location_id, "id")
    changed = sorted(name for name, value in values.items() if getattr(location, name) != value)
    for name in changed:
        setattr(location, name, values[name])
    await session.flush()
    if changed:
        fields = [_NAMES.get(name, name) for name in changed]
        session.audit("location.changed", target=encode(Kind.LOCATION, location_id), detail={"fields": fields})
    return location


async def set_hours(session: WriteSession, location_id: UUID, hours: Sequence[Open]) -> Location:
    """Replace all of a location's opening hours; none at all means it is always shut.

    Raises:
        BadInputError: they overlap, or end before they begin; `field` leads to the one at fault.
        NotFoundError: the caller sees no such location.
    """
    for problem in _problems(hours):
        raise problem
    location = await _locked(session, location_id, "locationId")
    rows = [{"day_of_week": one.day_of_week, "opens_at": one.opens_at, "closes_at": one.closes_at} for one in hours]
    await repository.replace_hours(session, session.scope.tenant_id, location_id, rows)
    session.audit("location.hours_set", target=encode(Kind.LOCATION, location_id), detail={"stretches": len(rows)})
    return location


async def _locked(session: WriteSession, location_id: UUID, field: str) -> Location:
    location = await repository.lock_location(session, location_id)
    if location is None:
        raise NotFoundError(f"there is no location {encode(Kind.LOCATION, location_id)}", field=(field,))
    return location


def _problems(hours: Sequence[Open]) -> Iterator[BadInputError]:
    if len(hours) > MOST_HOURS:
        yield BadInputError(f"there are {len(hours)} stretches of hours: send {MOST_HOURS} at most", field=("hours",))
    for number, one in enumerate(hours):
        if not 0 <= one.day_of_week <= _LAST_DAY:
            message = f"dayOfWeek is {one.day_of_week}: send 0 (Sunday) to {_LAST_DAY} (Saturday)"
            yield BadInputError(message, field=("hours", str(number), "dayOfWeek"))
        for name, wall in (("opensAt", one.opens_at), ("closesAt", one.closes_at)):
            if wall.second or wall.microsecond:
                yield BadInputError(f"{name} is {wall}: send whole minutes", field=("hours", str(number), name))
        if not ends_after_it_begins(one):
            message = (
                f"closesAt is {one.closes_at:%H:%M}, which is not after opensAt {one.opens_at:%H:%M}: hours across midnight"
                " are two stretches, one until 00:00 and one of the next day from 00:00"
            )
            yield BadInputError(message, code="CLOSES_BEFORE_OPENING", field=("hours", str(number), "closesAt"))
    overlapping = first_overlap(hours)
    if overlapping is not None:
        one = hours[overlapping]
        message = f"the hours of day {one.day_of_week} overlap at {one.opens_at:%H:%M}: join them, or move one"
        yield BadInputError(message, code="HOURS_OVERLAP", field=("hours", str(overlapping), "opensAt"))


def _checked(name: str, value: Value) -> Value:
    field = _NAMES.get(name, name)
    if name in _RANGES:
        return _in_range(field, value, *_RANGES[name])
    checks: Mapping[str, Callable[[Value], Value]] = {
        "name": lambda given: _needed("name", _text("name", given, LONGEST_NAME)),
        "timezone": lambda given: _needed("timezone", checked_zone(str(given or ""), field="timezone")),
        "phone": lambda given: checked_phone(given if isinstance(given, str) else None),
        "address": lambda given: _text("address", given, LONGEST_ADDRESS),
        "allowed_origins": _origins,
    }
    return checks[name](value)


def _in_range(field: str, value: Value, lowest: int, highest: int) -> int:
    if not isinstance(value, int) or not lowest <= value <= highest:
        shown = "null" if value is None else value
        raise BadInputError(f"{field} is {shown}: send {lowest} to {highest}", field=(field,))
    return value


def _text(field: str, value: Value, longest: int) -> str | None:
    text = value.strip() if isinstance(value, str) else ""
    if len(text) > longest:
        message = f"{field} has {len(text)} characters, as in {text[:_SHOWN]!r}: send {longest} at most"
        raise BadInputError(message, field=(field,))
    return text or None


def _needed(field: str, value: str | None) -> str:
    if value is None:
        raise BadInputError(f"{field} is empty: every location has one", field=(field,))
    return value


def _origins(value: Value) -> list[str]:
    origins = value if isinstance(value, list) else []
    if len(origins) > MOST_ORIGINS:
        message = f"there are {len(origins)} origins: send {MOST_ORIGINS} at most"
        raise BadInputError(message, field=("allowedOrigins",))
    return list(dict.fromkeys(_origin(number, origin) for number, origin in enumerate(origins)))


def _origin(number: int, raw: str) -> str:
    """As a browser writes it in its Origin header."""
    origin = raw.strip().rstrip("/").lower()
    if not _is_origin(origin):
        message = f"{raw[:_SHOWN]!r} is no origin: write scheme and host only, as in https://www.example.com"
        raise BadInputError(message, field=("allowedOrigins", str(number)))
    return origin


def _is_origin(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        bare = parts.scheme in {"https", "http"} and parts.hostname and f"{parts.scheme}://{parts.netloc}" == origin
        return bool(bare) and parts.port != 0 and origin.isascii() and not {"@", "*"} & {*origin}
    except ValueError:
        return False
