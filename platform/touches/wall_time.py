"""The clock on the shop's wall, turned into instants."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

__all__ = ["change_between", "instants_of", "wall_instant"]

GRAIN = timedelta(seconds=1)


def wall_instant(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """When the wall clock shows `wall` on `day`, in UTC; the first time if twice, the end of the gap if never."""
    return instants_of(day, wall, zone)[0]


def instants_of(day: date, wall: time, zone: ZoneInfo) -> tuple[datetime, ...]:
    """Each instant the wall clock shows `wall` on `day`, in UTC and in order; the end of the gap if it shows it never."""
    local = datetime.combine(day, wall.replace(fold=0), zone)
    first, second = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
    if first == second:
        return (first,)
    if first < second:
        return (first, second)
    end_of_gap = change_between(second, first, zone)
    return (end_of_gap or first,)


def change_between(start: datetime, end: datetime, zone: ZoneInfo) -> datetime | None:
    """The instant in (start, end] from which the zone has the offset it has at `end`; None if nothing changes.

    To the second. At most one change is expected in between.
    """
    if _offset(start, zone) == _offset(end, zone):
        return None
    while end - start > GRAIN:
        middle = start + timedelta(seconds=(end - start) // GRAIN // 2)
        if _offset(middle, zone) == _offset(end, zone):
            end = middle
        else:
            start = middle
    return end


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta | None:
    return instant.astimezone(zone).utcoffset()
