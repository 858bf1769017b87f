"""When a person may be written to: in every zone they may be in, by every law that may hold, within the tenant's hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache, reduce
from typing import NamedTuple
from zoneinfo import ZoneInfo

from lead_orchestrator.touches.holidays import federal_holidays
from lead_orchestrator.touches.quiet_hours import QuietHours
from lead_orchestrator.touches.state_hours import FEDERAL, STATES, Week
from lead_orchestrator.touches.wall_time import change_between

__all__ = ["ContactHours", "Opening", "contact_hours", "most_in_a_day"]

DAY = 86_400
DAYS_AHEAD = 15  # a week of windows, of which holidays and clock changes may take some
DAYS_KEPT = 64
_THURSDAY = 3  # the epoch's
_EPOCH = date(1970, 1, 1).toordinal()

Span = tuple[int, int]
"""Seconds since the epoch: from the first until just before the second."""


class Opening(NamedTuple):
    """A stretch of time in which contact is allowed, and the hours it comes from."""

    opens: datetime
    closes: datetime
    week: Week


@lru_cache(maxsize=1024)
def contact_hours(
    zones: tuple[ZoneInfo, ...], states: tuple[str, ...], window: QuietHours | None, *, holidays: bool
) -> ContactHours:
    """The hours of somebody who may be in these zones and states. `window` None: as far as the law goes.

    Where the tenant's window and the law leave no time in all zones, the default window takes its place, then the law
    alone; never anything outside the law. `holidays`: no contact on federal ones.
    """
    law = _narrowed([FEDERAL.hours, *(STATES[state].hours for state in states if state in STATES)])
    wanted = [window, QuietHours()] if window is not None else []
    return ContactHours(zones, [*(_narrowed([_whole(own), law]) for own in wanted), law], holidays=holidays)


def most_in_a_day(states: Sequence[str]) -> int | None:
    """How many solicitations these states allow in 24 hours; None if they do not say."""
    limits = [limit for state in states if state in STATES and (limit := STATES[state].most_in_a_day)]
    return min(limits, default=None)


@dataclass(eq=False)
class ContactHours:
    """`weeks` in the order in which they are tried: the first that has any time holds."""

    zones: tuple[ZoneInfo, ...]
    weeks: Sequence[Week]
    holidays: bool = False

    def __post_init__(self) -> None:
        self._openings: list[dict[int, list[Opening]]] = [{} for _ in self.weeks]

    def opening(self, now: datetime) -> Opening | None:
        """The stretch `now` (aware) is in, else the next one; None if there is none in two weeks.

        Raises:
            ValueError: `now` has no zone.
        """
        if now.tzinfo is None:
            raise ValueError("now must be aware")
        today = int(now.timestamp() // DAY)
        for rung in range(len(self.weeks)):
            for ahead in range(DAYS_AHEAD):
                for opening in self._of_day(rung, today + ahead):
                    if opening.closes > now:
                        return opening
        return None

    def _of_day(self, rung: int, day: int) -> list[Opening]:
        """The stretches that touch a day of UTC, whole ones."""
        known = self._openings[rung]
        if day not in known:
            if len(known) >= DAYS_KEPT:
                known.clear()
            known[day] = self._computed(self.weeks[rung], day)
        return known[day]

    def _computed(self, week: Week, day: int) -> list[Opening]:
        start, end = (day - 1) * DAY, (day + 2) * DAY
        of_zones = [_open(zone, week, start, end, holidays=self.holidays) for zone in self.zones]
        spans = reduce(_common, of_zones)
        return [
            Opening(_instant(opens), _instant(closes), week)
            for opens, closes in spans
            if opens < (day + 1) * DAY and closes > day * DAY
        ]


def _narrowed(weeks: Sequence[Week]) -> Week:
    days = [(max(opens for opens, _ in day), min(closes for _, closes in day)) for day in zip(*weeks, strict=True)]
    return tuple((opens, closes) if opens < closes else (0, 0) for opens, closes in days)


def _whole(window: QuietHours) -> Week:
    return ((_minutes(window.opens), _minutes(window.closes)),) * 7


def _minutes(wall: time) -> int:
    return wall.hour * 60 + wall.minute


@lru_cache(maxsize=4096)
def _open(zone: ZoneInfo, week: Week, start: int, end: int, *, holidays: bool) -> Sequence[Span]:
    """The stretches in [start, end) in which the zone's wall clock shows a time of the week's windows, in order.

    Between two changes of the clock wall time and UTC run in parallel, so gaps and folds need no rule of their own.
    """
    found: list[Span] = []
    for begin, until, offset in _steady(zone, start, end):
        for local_day in range((begin + offset) // DAY, (until + offset - 1) // DAY + 1):
            opens, closes = week[(local_day + _THURSDAY) % 7]
            midnight = local_day * DAY - offset
            opened, closed = max(begin, midnight + opens * 60), min(until, midnight + closes * 60)
            if opened >= closed or (holidays and _is_holiday(local_day)):
                continue
            if found and found[-1][1] == opened:
                opened = found.pop()[0]
            found.append((opened, closed))
    return found


def _is_holiday(day: int) -> bool:
    found = date.fromordinal(_EPOCH + day)
    return found in federal_holidays(found.year)


@lru_cache(maxsize=4096)
def _steady(zone: ZoneInfo, start: int, end: int) -> Sequence[tuple[int, int, int]]:
    """[start, end), whole days, cut where the zone changes its clock; each part with its offset from UTC."""
    parts: list[tuple[int, int, int]] = []
    for begin in range(start, end, DAY):
        until = begin + DAY
        change = change_between(_instant(begin), _instant(until), zone)
        cut = int(change.timestamp()) if change is not None else until
        parts += [(begin, cut, _offset(begin, zone)), (cut, until, _offset(cut, zone))]
    return [part for part in parts if part[0] < part[1]]


def _offset(second: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(second, zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def _common(one: Sequence[Span], other: Sequence[Span]) -> Sequence[Span]:
    found = ((max(a[0], b[0]), min(a[1], b[1])) for a in one for b in other)
    return [span for span in found if span[0] < span[1]]


def _instant(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
