"""What the law says about the hours and the number of messages, as data with its sources. Not legal advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

__all__ = ["FEDERAL", "STATES", "Law", "Week", "every_day", "week"]

Window = tuple[int, int]
"""Minutes of the day: from the first until just before the second. (0, 0) is never."""

Week = tuple[Window, ...]
"""Seven windows of the person's own days, Monday first."""


def every_day(opens: int, closes: int) -> Week:
    """The same full hours on all days."""
    return week((opens, closes), (opens, closes), (opens, closes))


def week(monday_to_friday: Window, saturday: Window, sunday: Window) -> Week:
    """Windows in full hours."""
    days = (*(monday_to_friday,) * 5, saturday, sunday)
    return tuple((60 * opens, 60 * closes) for opens, closes in days)


@dataclass(frozen=True, slots=True)
class Law:
    """`most_in_a_day`: not more solicitations than that within 24 hours. `read` is when the source was."""

    hours: Week
    source: str
    read: date
    most_in_a_day: int | None = None


_READ = date(2026, 11, 28)
_VENDOR = "support.referrizer.com, TCPA quiet hours and state-specific rules for text campaigns"
_CAPS = "blog.clickpointsoftware.com, telemarketing calling hours by state, frequency caps"

FEDERAL = Law(every_day(8, 21), "47 CFR 64.1200(c)(1); Twilio error 30610", _READ)
"""Holds everywhere, the called party's time; also outside the US, where we know no other."""

STATES: Mapping[str, Law] = {
    "CT": Law(every_day(9, 20), f"Conn. Gen. Stat. 42-288a, since 2023-10-01; {_VENDOR}", _READ),
    "FL": Law(every_day(8, 20), f"Fla. Stat. 501.616(6); {_VENDOR}; {_CAPS}", _READ, most_in_a_day=3),
    "MD": Law(every_day(8, 20), _VENDOR, _READ),
    "MS": Law(every_day(8, 20), _VENDOR, _READ),
    "NJ": Law(every_day(8, 20), _VENDOR, _READ),
    "OK": Law(every_day(8, 20), f"Okla. Stat. tit. 15, 775C.4; {_VENDOR}; {_CAPS}", _READ, most_in_a_day=3),
    "RI": Law(week((9, 18), (10, 17), (10, 17)), _VENDOR, _READ),
    "TX": Law(
        week((9, 21), (9, 21), (12, 21)),
        f"Tex. Bus. & Com. Code 302 with SB 140, since 2025-09-01; {_VENDOR}; foster.com, 2025-09-25",
        _READ,
    ),
}
"""States whose hours are stricter than the federal ones. A further one is a further line."""
