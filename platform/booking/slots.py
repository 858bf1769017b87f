"""Free times, from facts alone: nothing is read here and nothing is written.

The rules. Work that fits into an uninterrupted stretch of the week's hours is done within one; longer work begins while the shop is
open, goes on in its opening hours, and keeps its bay until it is done, overnight and over closed days. It is done within
`reach` of its beginning, or it is not taken. A closure, or a time in which the whole shop is busy, is no opening hour. Between
two appointments of a bay lies the buffer at least; it need not lie within the opening hours.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from lead_orchestrator.tenancy.hours import MINUTES_A_DAY, Stretch, closing_minute, minute
from lead_orchestrator.touches.wall_time import wall_instant

__all__ = ["GRID", "Busy", "Facts", "FreeTime", "bay_for", "days_of", "free_times", "opening", "reach"]

GRID = timedelta(minutes=30)
"""Times are offered at these steps of the wall clock, and where an opening begins."""

_WEEK = 7 * MINUTES_A_DAY
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)

Span = tuple[datetime, datetime]
"""From the first instant, up to and without the second; in UTC."""


class Busy(NamedTuple):
    """`bay` None is the whole location."""

    starts_at: datetime
    ends_at: datetime
    bay: int | None = None


@dataclass(frozen=True)
class Facts:
    """What decides whether a location is free. `earliest` and `latest` are when an appointment may begin; `busy` reaches over all
    days that are asked about and the `reach` of the work behind them."""

    zone: ZoneInfo
    hours: Sequence[Stretch]
    bays: int
    buffer: timedelta
    earliest: datetime
    latest: datetime
    busy: Sequence[Busy]


class FreeTime(NamedTuple):
    """`bay` is the first one that is free all the time."""

    starts_at: datetime
    ends_at: datetime
    bay: int


def free_times(facts: Facts, work: timedelta, first: date, last: date) -> Iterator[FreeTime]:
    """When this work can begin on the days from `first` to `last`, in order."""
    last = min(last, facts.latest.astimezone(facts.zone).date())
    windows = _Windows(facts, first, last, work)
    bays = _Bays(facts)
    begins, ends = days_of(facts.zone, first, last)
    earliest = max(begins, facts.earliest)
    for start in windows.starts():
        if start < earliest:
            continue
        if start >= ends or start > facts.latest:
            break
        end = windows.end(start)
        bay = bays.free(start, end) if end else None
        if end and bay:
            yield FreeTime(start, end, bay)


def opening(facts: Facts, work: timedelta, start: datetime) -> datetime | None:
    """When this work would be done if it began then; None if the hours do not allow it."""
    day = start.astimezone(facts.zone).date()
    return _Windows(facts, day, day, work).end(start)


def bay_for(facts: Facts, start: datetime, end: datetime) -> int | None:
    """The first bay that is free all the time."""
    return _Bays(facts).free(start, end)


def reach(hours: Sequence[Stretch], work: timedelta) -> timedelta:
    """How long after its beginning work may still not be done: what it takes or, if it goes on over several stretches, twice the
    time the week's hours make of it and a week more."""
    if work <= _longest(hours):
        return work
    a_week = sum(closing_minute(one.closes_at) - minute(one.opens_at) for one in hours)
    weeks = -(-(work // _MINUTE) // a_week) if a_week else 0
    return timedelta(weeks=2 * weeks + 1)


def days_of(zone: ZoneInfo, first: date, last: date) -> Span:
    """The instants of these days."""
    return wall_instant(first, time(), zone), wall_instant(last + _DAY, time(), zone)


class _Windows:
    """The opening hours of some days and of the `reach` behind them, joined, and what they make of some work."""

    def __init__(self, facts: Facts, first: date, last: date, work: timedelta) -> None:
        self._facts = facts
        self._work = work
        self._reach = reach(facts.hours, work)
        self._goes_on = work > _longest(facts.hours)
        whole = sorted((busy.starts_at, busy.ends_at) for busy in facts.busy if busy.bay is None)
        opened = _joined(_opened(facts, first, last + self._reach + 2 * _DAY))
        self._windows = list(_without(opened, _joined(whole)))
        self._begins = [begin for begin, _ in self._windows]

    def starts(self) -> Iterator[datetime]:
        for begin, end in self._windows:
            yield begin
            yield from _on_grid(begin, end, self._facts.zone)

    def end(self, start: datetime) -> datetime | None:
        """When the work is done that begins then."""
        place = bisect_right(self._begins, start) - 1
        if place < 0 or start >= self._windows[place][1]:
            return None
        if not self._goes_on:
            done = start + self._work
            return done if done <= self._windows[place][1] else None
        left = self._work
        for begin, end in self._windows[place:]:
            begins = max(begin, start)
            if left <= end - begins:
                done = begins + left
                return done if done - start <= self._reach else None
            left -= end - begins
        return None


class _Bays:
    """What is taken of each bay, buffers included."""

    def __init__(self, facts: Facts) -> None:
        taken: dict[int, list[Span]] = {bay: [] for bay in range(1, facts.bays + 1)}
        for busy in facts.busy:
            if busy.bay in taken:
                taken[busy.bay].append((busy.starts_at - facts.buffer, busy.ends_at + facts.buffer))
        self._taken = {bay: list(_joined(sorted(spans))) for bay, spans in taken.items()}
        self._ends = {bay: [end for _, end in spans] for bay, spans in self._taken.items()}

    def free(self, start: datetime, end: datetime) -> int | None:
        for bay, spans in self._taken.items():
            place = bisect_right(self._ends[bay], start)
            if place == len(spans) or spans[place][0] >= end:
                return bay
        return None


def _opened(facts: Facts, first: date, until: date) -> Iterator[Span]:
    """The stretches of these days as instants; those the clock's change swallowed are left out."""
    of_days: dict[int, list[Stretch]] = {}
    for one in sorted(facts.hours, key=lambda one: minute(one.opens_at)):
        of_days.setdefault(one.day_of_week, []).append(one)
    day = first
    while day < until:
        for one in of_days.get(day.isoweekday() % 7, ()):
            begin = wall_instant(day, one.opens_at, facts.zone)
            closes_on = day if minute(one.closes_at) else day + _DAY
            end = wall_instant(closes_on, one.closes_at, facts.zone)
            if begin < end:
                yield begin, end
        day += _DAY


def _longest(hours: Sequence[Stretch]) -> timedelta:
    """The longest uninterrupted stretch of a week that repeats; endless where it is never interrupted."""
    joined: list[list[int]] = []
    for one in sorted(hours, key=lambda one: (one.day_of_week, minute(one.opens_at))):
        midnight = one.day_of_week * MINUTES_A_DAY
        begin, end = midnight + minute(one.opens_at), midnight + closing_minute(one.closes_at)
        if joined and begin <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([begin, end])
    if not joined:
        return timedelta()
    if joined == [[0, _WEEK]]:
        return timedelta.max
    lengths = [end - begin for begin, end in joined]
    if joined[0][0] == 0 and joined[-1][1] == _WEEK:
        lengths.append(lengths[0] + lengths[-1])
    return max(lengths) * _MINUTE


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Sorted spans, those that touch or overlap made one."""
    current: Span | None = None
    for begin, end in spans:
        if current is not None and begin <= current[1]:
            current = current[0], max(current[1], end)
            continue
        if current is not None:
            yield current
        current = begin, end
    if current is not None:
        yield current


def _without(spans: Iterable[Span], shut: Iterable[Span]) -> Iterator[Span]:
    """What is left of sorted spans."""
    holes = list(shut)
    ends = [end for _, end in holes]
    for begin, end in spans:
        at = begin
        for hole_begin, hole_end in holes[bisect_right(ends, begin) :]:
            if hole_begin >= end:
                break
            if at < hole_begin:
                yield at, hole_begin
            at = max(at, hole_end)
        if at < end:
            yield at, end


def _on_grid(begin: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The instants in between at which the wall clock shows a step of the grid."""
    at = _next_on_grid(begin, zone)
    steady = _skew(begin, zone) == _skew(end, zone)  # a change of the clock by whole steps leaves the grid as it is
    while at < end:
        yield at
        at = at + GRID if steady else _next_on_grid(at, zone)


def _skew(instant: datetime, zone: ZoneInfo) -> timedelta:
    return (instant.astimezone(zone).utcoffset() or timedelta()) % GRID


def _next_on_grid(instant: datetime, zone: ZoneInfo) -> datetime:
    """The next instant at which the wall clock shows a step of the grid."""
    local = instant.astimezone(zone)
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond) % GRID
    return instant + (GRID - past)
