from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lead_orchestrator.leads.models import Channel
from lead_orchestrator.touches.schedule import DEFAULT_DAYS, DEFAULT_TOUCHES, VARIABLES, next_due
from lead_orchestrator.touches.templates import check, render, segments

CHICAGO = ZoneInfo("America/Chicago")
VALUES = {
    "first_name": "Christopher",
    "shop_name": "Example Window Tint of Springfield",
    "shop_address": "1 Example Street, Springfield, IL 62701",
    "vehicle": "2021 Mercedes-Benz GLC 300",
    "chat_link": "https://chat.example.com/c/0123456789abcdef0123456789abcdef",
    "unsubscribe_link": "https://chat.example.com/u/0123456789abcdef0123456789abcdef",
}


def local(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=CHICAGO).astimezone(UTC)  # type: ignore[misc,arg-type]  # year to minute


def shown(moment: datetime) -> str:
    return moment.astimezone(CHICAGO).strftime("%m-%d %H:%M")


def test_there_are_thirteen_touches_on_their_days() -> None:
    assert [touch.day for touch in DEFAULT_TOUCHES] == [0, 1, 3, 5, 7, 10, 13, 16, 19, 22, 25, 27, 30]
    assert [touch.number for touch in DEFAULT_TOUCHES] == list(range(1, 14))
    assert tuple(touch.day for touch in DEFAULT_TOUCHES) == DEFAULT_DAYS


def test_most_touches_are_texts_and_some_are_mails() -> None:
    mails = [touch.number for touch in DEFAULT_TOUCHES if touch.channel is Channel.EMAIL]
    assert mails == [3, 6, 9, 12]
    assert all((touch.subject is None) == (touch.channel is Channel.SMS) for touch in DEFAULT_TOUCHES)


def test_every_default_text_can_be_rendered_and_no_two_are_alike() -> None:
    for touch in DEFAULT_TOUCHES:
        assert check(touch.body, VARIABLES) == []
        assert check(touch.subject or "", VARIABLES) == []
        assert "{" not in render(touch.body, VALUES)
    assert len({touch.body for touch in DEFAULT_TOUCHES}) == 13


def test_texts_are_short_and_travel_as_gsm_7() -> None:
    for touch in DEFAULT_TOUCHES:
        if touch.channel is Channel.SMS:
            encoding, count = segments(render(touch.body, VALUES))
            assert (encoding, count <= 2) == ("GSM-7", True), touch.number


def test_texts_read_well_when_nothing_is_known_of_the_customer() -> None:
    unknown = {**VALUES, "first_name": "", "vehicle": ""}
    for touch in DEFAULT_TOUCHES:
        text = render(touch.body, unknown)
        assert "  " not in text
        assert " ," not in text


def test_the_first_text_names_the_shop_and_the_way_out() -> None:
    first = render(DEFAULT_TOUCHES[0].body, VALUES)
    assert first.startswith("Hi Christopher, it's Example Window Tint of Springfield.")
    assert first.endswith("Reply STOP to opt out")
    assert segments(first)[1] <= 2


def test_every_mail_can_be_unsubscribed_from_and_says_who_wrote() -> None:
    for touch in DEFAULT_TOUCHES:
        if touch.channel is Channel.EMAIL:
            text = render(touch.body, VALUES)
            assert VALUES["unsubscribe_link"] in text
            assert VALUES["shop_address"] in text


def test_touches_keep_their_wall_time_over_a_clock_change() -> None:
    anchor = local(2026, 2, 20, 14, 30)
    assert [shown(next_due(anchor, day, CHICAGO, None)) for day in (0, 1, 13, 30)] == [
        "02-20 14:30", "02-21 14:30", "03-05 14:30", "03-22 14:30",
    ]  # fmt: skip
    assert next_due(anchor, 30, CHICAGO, None) - anchor == timedelta(days=30) - timedelta(hours=1)


def test_a_wall_time_the_clock_leaves_out_is_the_end_of_the_gap() -> None:
    assert shown(next_due(local(2026, 3, 7, 2, 30), 1, CHICAGO, None)) == "03-08 03:00"


def test_a_wall_time_shown_twice_is_the_first() -> None:
    due = next_due(local(2026, 10, 31, 1, 30), 1, CHICAGO, None)
    assert due == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)


def test_a_touch_in_time_moves_nothing() -> None:
    anchor = local(2026, 7, 1, 14, 30)
    assert shown(next_due(anchor, 3, CHICAGO, anchor + timedelta(days=1, seconds=2))) == "07-04 14:30"


def test_a_late_touch_shifts_the_next_ones_a_day_apart_until_the_plan_is_met_again() -> None:
    anchor = local(2026, 7, 1, 14, 30)
    sent = local(2026, 7, 9, 16, 0)
    dues = []
    for day in (5, 7, 10, 13):
        sent = next_due(anchor, day, CHICAGO, sent)
        dues.append(shown(sent))
    assert dues == ["07-10 16:00", "07-11 16:00", "07-12 16:00", "07-14 14:30"]


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        next_due(datetime(2026, 7, 1), 1, CHICAGO, None)  # noqa: DTZ001  # the fault under test


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.datetimes(datetime(2021, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # hypothesis adds it
    st.lists(st.integers(0, 200_000), min_size=12, max_size=12),
    st.sampled_from(["America/New_York", "America/Phoenix", "America/Adak", "Pacific/Honolulu"]),
)
def test_no_two_touches_share_a_day_however_late_they_go_out(anchor: datetime, delays: list[int], name: str) -> None:
    zone = ZoneInfo(name)
    sent = anchor
    for day, delay in zip(DEFAULT_DAYS[1:], delays, strict=True):
        due = next_due(anchor, day, zone, sent)
        assert due.astimezone(zone).date() > sent.astimezone(zone).date()
        assert due >= next_due(anchor, day, zone, None)
        assert due - sent >= timedelta(hours=23)
        sent = due + timedelta(seconds=delay)
