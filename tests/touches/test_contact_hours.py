from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from lead_orchestrator.touches.contact_hours import ContactHours, Opening, contact_hours, most_in_a_day
from lead_orchestrator.touches.holidays import federal_holidays
from lead_orchestrator.touches.quiet_hours import QuietHours
from lead_orchestrator.touches.state_hours import FEDERAL, STATES

CHICAGO, NEW_YORK = ZoneInfo("America/Chicago"), ZoneInfo("America/New_York")
MONDAY, SATURDAY, SUNDAY = date(2026, 11, 23), date(2026, 11, 28), date(2026, 11, 29)
DAWN = QuietHours(time(4), time(7))


def hours(
    *states: str, zones: tuple[ZoneInfo, ...] = (CHICAGO,), window: QuietHours | None = None, holidays: bool = False
) -> ContactHours:
    return contact_hours(zones, states, window, holidays=holidays)


def opening(of: ContactHours, day: date, zone: ZoneInfo = CHICAGO) -> Opening:
    """The first one of a day, from its midnight on."""
    found = of.opening(datetime.combine(day, time(), zone))
    assert found is not None
    return found


def shown(of: Opening, zone: ZoneInfo = CHICAGO) -> str:
    opens, closes = (moment.astimezone(zone) for moment in (of.opens, of.closes))
    return f"{opens:%a %H:%M}-{closes:%H:%M}"


@pytest.mark.parametrize(
    ("state", "weekday", "saturday", "sunday"),
    [
        ("CA", "Mon 08:00-21:00", "Sat 08:00-21:00", "Sun 08:00-21:00"),
        ("CT", "Mon 09:00-20:00", "Sat 09:00-20:00", "Sun 09:00-20:00"),
        ("FL", "Mon 08:00-20:00", "Sat 08:00-20:00", "Sun 08:00-20:00"),
        ("MD", "Mon 08:00-20:00", "Sat 08:00-20:00", "Sun 08:00-20:00"),
        ("MS", "Mon 08:00-20:00", "Sat 08:00-20:00", "Sun 08:00-20:00"),
        ("NJ", "Mon 08:00-20:00", "Sat 08:00-20:00", "Sun 08:00-20:00"),
        ("OK", "Mon 08:00-20:00", "Sat 08:00-20:00", "Sun 08:00-20:00"),
        ("RI", "Mon 09:00-18:00", "Sat 10:00-17:00", "Sun 10:00-17:00"),
        ("TX", "Mon 09:00-21:00", "Sat 09:00-21:00", "Sun 12:00-21:00"),
    ],
)
def test_the_law_of_a_state_by_day(state: str, weekday: str, saturday: str, sunday: str) -> None:
    law = hours(state)

    assert [shown(opening(law, day)) for day in (MONDAY, SATURDAY, SUNDAY)] == [weekday, saturday, sunday]


def test_every_law_has_its_source_and_is_within_the_federal_one() -> None:
    for state, law in STATES.items():
        assert law.source, state
        assert law.read >= date(2026, 11, 28), state
        for own, federal in zip(law.hours, FEDERAL.hours, strict=True):
            assert federal[0] <= own[0] < own[1] <= federal[1], state
            assert own != federal or state == "TX"


def test_the_franchises_own_hours_narrow_the_law_and_never_widen_it() -> None:
    assert shown(opening(hours("TX", window=QuietHours(time(10, 30), time(19, 15))), SUNDAY)) == "Sun 12:00-19:15"
    assert shown(opening(hours("FL", window=QuietHours(time(6), time(23))), MONDAY)) == "Mon 08:00-20:00"


def test_the_laws_of_two_states_both_hold() -> None:
    assert shown(opening(hours("CT", "TX"), SUNDAY)) == "Sun 12:00-20:00"


def test_in_several_zones_it_must_be_allowed_in_each() -> None:
    found = opening(hours(zones=(CHICAGO, NEW_YORK), window=QuietHours()), MONDAY)

    assert (shown(found), shown(found, NEW_YORK)) == ("Mon 09:00-19:00", "Mon 10:00-20:00")


def test_zones_that_change_their_clocks_at_different_hours_are_met_in_both() -> None:
    phoenix, denver = ZoneInfo("America/Phoenix"), ZoneInfo("America/Denver")
    both = hours(zones=(phoenix, denver))

    assert shown(opening(both, date(2027, 3, 13), phoenix), phoenix) == "Sat 08:00-21:00"
    assert shown(opening(both, date(2027, 3, 14), phoenix), phoenix) == "Sun 08:00-20:00"


def test_own_hours_that_the_law_has_none_of_give_way_to_the_default_ones() -> None:
    assert shown(opening(hours(window=DAWN), MONDAY)) == "Mon 09:00-20:00"
    assert shown(opening(hours("RI", window=DAWN), SUNDAY)) == "Sun 10:00-17:00"


def test_hours_that_are_open_on_some_days_only_wait_for_those() -> None:
    evening = hours("RI", window=QuietHours(time(17, 30), time(20)))

    assert shown(opening(evening, SATURDAY)) == "Mon 17:30-18:00"


def test_where_even_the_default_hours_never_meet_the_law_alone_holds() -> None:
    far = (NEW_YORK, ZoneInfo("Asia/Bangkok"))  # twelve hours apart

    found = opening(hours(zones=far, window=QuietHours()), MONDAY, far[0])

    assert (shown(found, far[0]), shown(found, far[1])) == ("Mon 08:00-09:00", "Mon 20:00-21:00")


def test_where_the_law_leaves_no_time_there_is_none() -> None:
    anywhere = tuple(ZoneInfo(name) for name in ("Pacific/Honolulu", "America/New_York", "Europe/Berlin", "Asia/Tokyo"))

    assert hours(zones=anywhere).opening(datetime(2026, 11, 23, tzinfo=UTC)) is None


def test_an_evening_that_lies_on_the_next_day_of_utc_is_one_stretch() -> None:
    honolulu = ZoneInfo("Pacific/Honolulu")
    late = datetime(2026, 11, 23, 13, 30, tzinfo=honolulu)

    for moment in (late, late + timedelta(hours=3)):
        assert (
            shown(hours(zones=(honolulu,)).opening(moment) or opening(hours(), MONDAY), honolulu) == "Mon 08:00-21:00"
        )


def test_holidays_are_closed_where_they_are_kept() -> None:
    christmas = date(2026, 12, 25)

    assert shown(opening(hours(holidays=True), christmas)) == "Sat 08:00-21:00"
    assert shown(opening(hours(), christmas)) == "Fri 08:00-21:00"


def test_the_federal_holidays_of_a_year() -> None:
    assert sorted(f"{day:%m-%d}" for day in federal_holidays(2026)) == [
        "01-01", "01-19", "02-16", "05-25", "06-19", "07-04", "09-07", "10-12", "11-11", "11-26", "12-25",
    ]  # fmt: skip
    assert date(2027, 5, 31) in federal_holidays(2027)


def test_some_states_allow_three_a_day() -> None:
    assert (most_in_a_day(["FL"]), most_in_a_day(["CA", "OK"]), most_in_a_day(["TX"]), most_in_a_day([])) == (
        3,
        3,
        None,
        None,
    )
