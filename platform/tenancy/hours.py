"""Opening hours as wall time: what a stretch may be, and when two of them are at odds.

A stretch lies within one day. Midnight as its end is the end of that day (24:00), so a shop that is open from Friday 20:00 until
Saturday 02:00 has two stretches, Friday 20:00-00:00 and Saturday 00:00-02:00, which are one without a gap. An end before the
beginning is a mistake therefore, never the next day.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time
from typing import Protocol

__all__ = ["MINUTES_A_DAY", "Open", "Stretch", "closing_minute", "ends_after_it_begins", "first_overlap", "minute"]

MINUTES_A_DAY = 24 * 60


class Stretch(Protocol):
    """Day 0 is Sunday."""

    @property
    def day_of_week(self) -> int: ...
    @property
    def opens_at(self) -> time: ...
    @property
    def closes_at(self) -> time: ...


@dataclass(frozen=True)
class Open:
    """A stretch by itself."""

    day_of_week: int
    opens_at: time
    closes_at: time


def minute(wall: time) -> int:
    """The minute of the day."""
    return wall.hour * 60 + wall.minute


def closing_minute(closes_at: time) -> int:
    """The minute of the day at which a stretch ends: midnight is the day's end."""
    return minute(closes_at) or MINUTES_A_DAY


def ends_after_it_begins(stretch: Stretch) -> bool:
    return minute(stretch.opens_at) < closing_minute(stretch.closes_at)


def first_overlap(stretches: Sequence[Stretch]) -> int | None:
    """The index of a stretch that begins while another of its day is open; None when there is none. Touching is no overlap."""
    ordered = sorted(range(len(stretches)), key=lambda n: (stretches[n].day_of_week, minute(stretches[n].opens_at)))
    for before, after in itertools.pairwise(ordered):
        one, other = stretches[before], stretches[after]
        if one.day_of_week == other.day_of_week and minute(other.opens_at) < closing_minute(one.closes_at):
            return after
    return None
