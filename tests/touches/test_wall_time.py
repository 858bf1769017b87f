from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from lead_orchestrator.touches.wall_time import change_between, instants_of, wall_instant

NEW_YORK = ZoneInfo("America/New_York")
SPRING, AUTUMN = date(2026, 3, 8), date(2026, 11, 1)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # year, month, day, hour, minute


def test_an_ordinary_time_is_one_instant() -> None:
    assert instants_of(date(2026, 7, 1), time(10, 0), NEW_YORK) == (utc(2026, 7, 1, 14),)


def test_a_time_in_the_gap_is_the_end_of_the_gap() -> None:
    for minute in (0, 1, 30, 59):
        assert instants_of(SPRING, time(2, minute), NEW_YORK) == (utc(2026, 3, 8, 7),)
    assert wall_instant(SPRING, time(3, 0), NEW_YORK) == utc(2026, 3, 8, 7)
    assert wall_instant(SPRING, time(1, 59), NEW_YORK) == utc(2026, 3, 8, 6, 59)


def test_a_repeated_time_is_two_instants_and_the_first_counts() -> None:
    assert instants_of(AUTUMN, time(1, 30), NEW_YORK) == (utc(2026, 11, 1, 5, 30), utc(2026, 11, 1, 6, 30))
    assert wall_instant(AUTUMN, time(1, 30, fold=1), NEW_YORK) == utc(2026, 11, 1, 5, 30)
    assert instants_of(AUTUMN, time(2, 0), NEW_YORK) == (utc(2026, 11, 1, 7),)


def test_a_day_a_zone_left_out_is_the_beginning_of_the_next() -> None:
    apia = ZoneInfo("Pacific/Apia")
    assert wall_instant(date(2011, 12, 30), time(12, 0), apia) == utc(2011, 12, 30, 10)


def test_the_change_of_a_clock_is_found_to_the_second() -> None:
    assert change_between(utc(2026, 3, 8), utc(2026, 3, 9), NEW_YORK) == utc(2026, 3, 8, 7)
    assert change_between(utc(2026, 3, 8, 6, 59), utc(2026, 3, 8, 7), NEW_YORK) == utc(2026, 3, 8, 7)
    assert change_between(utc(2026, 3, 8, 7), utc(2026, 3, 9), NEW_YORK) is None
