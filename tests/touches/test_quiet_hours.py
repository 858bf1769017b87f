from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.touches.contact_hours import ContactHours
from lead_orchestrator.touches.quiet_hours import QuietHours
from lead_orchestrator.touches.wall_time import change_between

NEW_YORK = ZoneInfo("America/New_York")
MINUTE = timedelta(minutes=1)
ZONES = [
    "America/New_York", "America/Detroit", "America/Indiana/Indianapolis", "America/Kentucky/Louisville",
    "America/Chicago", "America/Menominee", "America/North_Dakota/Center", "America/Denver", "America/Boise",
    "America/Phoenix", "America/Los_Angeles", "America/Anchorage", "America/Juneau", "America/Nome", "America/Adak",
    "Pacific/Honolulu", "America/Puerto_Rico", "Pacific/Guam", "Pacific/Pago_Pago",
]  # fmt: skip


def changes_of_ten_years() -> list[tuple[str, datetime]]:
    """Each zone with each instant its clock changes, and one summer and winter noon for those that never do."""
    found = []
    for name in ZONES:
        zone = ZoneInfo(name)
        days = [datetime(2021, 1, 1, 12, tzinfo=UTC) + timedelta(days=number) for number in range(3653)]
        changes = [change_between(day, day + timedelta(days=1), zone) for day in days]
        moments = [change for change in changes if change] or [days[0], days[180]]
        found += [(name, moment) for moment in moments]
    return found


PLACES = changes_of_ten_years()
windows = st.tuples(st.integers(0, 1439), st.integers(0, 1439)).filter(lambda edges: edges[0] < edges[1])


def window_of(edges: tuple[int, int]) -> QuietHours:
    opens, closes = (time(*divmod(edge, 60)) for edge in edges)
    return QuietHours(opens, closes)


def local(zone: ZoneInfo, *parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=zone, fold=fold).astimezone(UTC)  # type: ignore[misc,arg-type]  # year to minute


def next_allowed(now: datetime, zone: ZoneInfo, window: QuietHours) -> datetime:
    """By the tenant's window alone."""
    edges = (window.opens, window.closes)
    opens, closes = (edge.hour * 60 + edge.minute for edge in edges)
    opening = ContactHours((zone,), [((opens, closes),) * 7]).opening(now)
    assert opening is not None
    return max(now, opening.opens)


def shown(moment: datetime, zone: ZoneInfo = NEW_YORK) -> str:
    return moment.astimezone(zone).strftime("%m-%d %H:%M")


@pytest.mark.parametrize(
    ("hour", "minute", "expected"),
    [
        (8, 59, "07-01 09:00"),
        (9, 0, "07-01 09:00"),
        (19, 59, "07-01 19:59"),
        (20, 0, "07-02 09:00"),
        (23, 0, "07-02 09:00"),
    ],
)
def test_the_default_is_nine_to_eight(hour: int, minute: int, expected: str) -> None:
    assert shown(next_allowed(local(NEW_YORK, 2026, 7, 1, hour, minute), NEW_YORK, QuietHours())) == expected


def test_an_allowed_now_is_returned_to_the_microsecond() -> None:
    now = datetime(2026, 7, 1, 15, 0, 1, 234, tzinfo=UTC)
    assert next_allowed(now, NEW_YORK, QuietHours()) == now
    last = local(NEW_YORK, 2026, 7, 1, 19, 59) + timedelta(seconds=59.9)
    assert next_allowed(last, NEW_YORK, QuietHours()) == last


def test_the_night_of_a_clock_change_is_an_hour_shorter_or_longer() -> None:
    for day, hours in ((date(2026, 3, 7), 12), (date(2026, 10, 31), 14), (date(2026, 7, 1), 13)):
        evening = local(NEW_YORK, day.year, day.month, day.day, 20, 0)
        assert next_allowed(evening, NEW_YORK, QuietHours()) - evening == timedelta(hours=hours)


def test_a_window_that_opens_in_the_gap_opens_at_its_end() -> None:
    night = local(NEW_YORK, 2026, 3, 8, 1, 30)
    assert shown(next_allowed(night, NEW_YORK, QuietHours(time(2, 15), time(20, 0)))) == "03-08 03:00"


def test_a_window_the_gap_swallows_is_there_the_next_day() -> None:
    night = local(NEW_YORK, 2026, 3, 8, 1, 30)
    assert shown(next_allowed(night, NEW_YORK, QuietHours(time(2, 10), time(2, 50)))) == "03-09 02:10"


def test_a_window_in_the_repeated_hour_opens_twice() -> None:
    window = QuietHours(time(1, 15), time(1, 45))
    again = next_allowed(local(NEW_YORK, 2026, 11, 1, 1, 50), NEW_YORK, window)
    assert again == local(NEW_YORK, 2026, 11, 1, 1, 15, fold=1)


def test_a_clock_set_back_into_the_window_opens_it() -> None:
    window = QuietHours(time(0, 30), time(1, 30))
    again = next_allowed(local(NEW_YORK, 2026, 11, 1, 1, 40), NEW_YORK, window)
    assert again == local(NEW_YORK, 2026, 11, 1, 1, 0, fold=1)


@pytest.mark.parametrize(
    ("opens", "closes", "words"),
    [
        (time(20, 0), time(9, 0), "past midnight"),
        (time(9, 0), time(9, 0), "empty"),
        (time(9, 0), time(0, 0), "past midnight"),
        (time(9, 0, 30), time(20, 0), "09:00:30"),
        (time(9, 0), time(20, 0, tzinfo=UTC), "20:00:00+00:00"),
    ],
)
def test_a_window_that_cannot_be_used_is_explained(opens: time, closes: time, words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        QuietHours(opens, closes)
    assert words in caught.value.message


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        next_allowed(datetime(2026, 7, 1), NEW_YORK, QuietHours())  # noqa: DTZ001  # the fault under test


def oracle(now: datetime, zone: ZoneInfo, window: QuietHours) -> datetime:
    """The first allowed minute, found by looking at each."""
    moment = now
    while not window.allows(moment.astimezone(zone)):
        moment = (moment + MINUTE).replace(second=0, microsecond=0)
    return moment


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PLACES), st.integers(-2 * 86_400, 2 * 86_400), windows)
@example(("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)), -1, (121, 122))
@example(("America/Adak", datetime(2026, 11, 1, 11, tzinfo=UTC)), -60, (30, 61))
def test_it_is_the_first_allowed_minute_around_every_clock_change(
    place: tuple[str, datetime], seconds: int, edges: tuple[int, int]
) -> None:
    zone, now, window = ZoneInfo(place[0]), place[1] + timedelta(seconds=seconds), window_of(edges)
    found = next_allowed(now, zone, window)
    assert found >= now
    assert window.allows(found.astimezone(zone))
    assert found == oracle(now, zone, window)


def test_the_default_window_holds_at_every_hour_around_every_clock_change() -> None:
    window = QuietHours()
    for name, change in PLACES:
        zone = ZoneInfo(name)
        for hours in range(-24, 25):
            now = change + timedelta(hours=hours)
            found = next_allowed(now, zone, window)
            assert now <= found <= now + timedelta(hours=15)
            assert window.allows(found.astimezone(zone))
