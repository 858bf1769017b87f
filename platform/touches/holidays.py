"""The federal holidays of the US (5 U.S.C. 6103(a)): eleven rules, on the day itself."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

__all__ = ["federal_holidays"]

_FIXED = ((1, 1), (6, 19), (7, 4), (11, 11), (12, 25))
_MONDAY, _THURSDAY = 0, 3
_NTH = ((1, _MONDAY, 3), (2, _MONDAY, 3), (9, _MONDAY, 1), (10, _MONDAY, 2), (11, _THURSDAY, 4))
_MAY_31 = (5, 31)  # Memorial Day is the last Monday up to it


@lru_cache(maxsize=64)
def federal_holidays(year: int) -> frozenset[date]:
    """The holidays of a year."""
    nth = [_nth(date(year, month, 1), weekday, number) for month, weekday, number in _NTH]
    end_of_may = date(year, *_MAY_31)
    return frozenset(
        [date(year, *day) for day in _FIXED] + nth + [end_of_may - timedelta(days=end_of_may.weekday() - _MONDAY)]
    )


def _nth(first: date, weekday: int, number: int) -> date:
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))
