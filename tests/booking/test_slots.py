"""Free times against an oracle that knows no intervals: it looks at every minute by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_orchestrator.booking.slots import Busy, Facts, FreeTime, bay_for, free_times, opening, reach
from lead_orchestrator.tenancy.hours import Open

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
LOS_ANGELES = ZoneInfo("America/Los_Angeles")
# A day before and after a change of the clock: 23 and 25 hours, half an hour, at midnight, and none at all.
CHANGES = [
    ("America/Los_Angeles", date(2026, 3, 8)),
    ("America/Los_Angeles", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Africa/Cairo", date(2026, 4, 24)),
    ("Asia/Kathmandu", date(2026, 7, 1)),
]


@cache
def first_minute(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """The first minute at which the clock on the wall shows at least this."""
    at = datetime.combine(day, time(), UTC) - timedelta(hours=16)
    wanted = datetime.combine(day, wall)
    while at.astimezone(zone).replace(tzinfo=None) < wanted:
        at += MINUTE
    return at


def minutes(begin: datetime, end: datetime) -> Iterator[datetime]:
    while begin < end:
        yield begin
        begin += MINUTE


@dataclass
class Oracle:
    facts: Facts
    work: timedelta
    first: date
    last: date
    available: set[datetime] = field(default_factory=set)

    def __post_init__(self) -> None:
        facts = self.facts
        self.limit = reach(facts.hours, self.work)
        for number in range((self.last - self.first + self.limit).days + 3):
            day = self.first + number * DAY
            for one in facts.hours:
                if one.day_of_week == day.isoweekday() % 7:
                    until = day if one.closes_at > time() else day + DAY
                    opens, closes = (
                        first_minute(day, one.opens_at, facts.zone),
                        first_minute(until, one.closes_at, facts.zone),
                    )
                    self.available.update(minutes(opens, closes))
        for busy in facts.busy:
            if busy.bay is None:
                self.available.difference_update(minutes(busy.starts_at, busy.ends_at))

    def fits_a_stretch(self) -> bool:
        """Whether some uninterrupted run of two weeks, as the clock on the wall counts, is long enough."""
        open_at = [False] * (14 * 1440)
        for one in self.facts.hours:
            begin = one.opens_at.hour * 60 + one.opens_at.minute
            end = (one.closes_at.hour * 60 + one.closes_at.minute) or 1440
            for week in (0, 7):
                at = (one.day_of_week + week) * 1440
                open_at[at + begin : at + end] = [True] * (end - begin)
        if all(open_at):
            return True
        longest = run = 0
        for is_open in open_at:
            run = run + 1 if is_open else 0
            longest = max(longest, run)
        return self.work <= longest * MINUTE

    def end(self, start: datetime) -> datetime | None:
        at, left, goes_on = start, self.work, not self.fits_a_stretch()
        if start not in self.available:
            return None
        while left:
            if at in self.available:
                left -= MINUTE
            elif not goes_on or at - start > self.limit:
                return None
            at += MINUTE
        return at if at - start <= self.limit else None

    def bay(self, start: datetime, end: datetime) -> int | None:
        for bay in range(1, self.facts.bays + 1):
            near = [busy for busy in self.facts.busy if busy.bay == bay]
            buffer = self.facts.buffer
            if all(end + buffer <= busy.starts_at or busy.ends_at + buffer <= start for busy in near):
                return bay
        return None

    def offered(self) -> Iterator[FreeTime]:
        for start in sorted(self.available):
            local = start.astimezone(self.facts.zone)
            on_grid = local.minute % 30 == 0 or start - MINUTE not in self.available
            if not on_grid or not self.first <= local.date() <= self.last:
                continue
            if not self.facts.earliest <= start <= self.facts.latest:
                continue
            end = self.end(start)
            bay = self.bay(start, end) if end else None
            if end and bay:
                yield FreeTime(start, end, bay)


def wall(minute: int) -> time:
    return time(minute // 60 % 24, minute % 60)


@st.composite
def weeks(draw: st.DrawFn) -> Sequence[Open]:
    """Up to three stretches a day, some of which join, also across midnight."""
    hours = []
    for day in range(7):
        marks = draw(st.lists(st.integers(0, 96), max_size=6, unique=True).map(sorted))
        pairs = list(zip(marks[::2], marks[1::2], strict=False))
        hours += [Open(day, wall(begin * 15), wall(end * 15)) for begin, end in pairs]
    return hours


@st.composite
def questions(draw: st.DrawFn) -> tuple[Facts, timedelta, date, date]:
    name, change = draw(st.sampled_from(CHANGES))
    zone = ZoneInfo(name)
    first = change + draw(st.integers(-1, 1)) * DAY
    last = first + draw(st.integers(0, 2)) * DAY
    noon = datetime.combine(first, time(12), UTC)
    bays = draw(st.integers(1, 3))
    near = st.integers(-36 * 60, 96 * 60).map(lambda minute: noon + minute * MINUTE)
    busy = [
        Busy(begin, begin + length * MINUTE, bay)
        for begin, length, bay in draw(
            st.lists(st.tuples(near, st.integers(1, 30 * 60), st.sampled_from([None, *range(1, bays + 2)])), max_size=8)
        )
    ]
    earliest = draw(near)
    facts = Facts(
        zone=zone,
        hours=draw(weeks()),
        bays=bays,
        buffer=draw(st.sampled_from([0, 10, 45])) * MINUTE,
        earliest=earliest,
        latest=earliest + draw(st.integers(0, 96 * 60)) * MINUTE,
        busy=busy,
    )
    return facts, draw(st.sampled_from([15, 50, 120, 600, 1500, 3000])) * MINUTE, first, last


@settings(max_examples=150, deadline=None)
@given(questions())
def test_exactly_the_times_are_offered_that_a_look_at_every_minute_finds(
    question: tuple[Facts, timedelta, date, date],
) -> None:
    facts, work, first, last = question

    offered = list(free_times(facts, work, first, last))

    assert offered == list(Oracle(facts, work, first, last).offered())


@settings(max_examples=150, deadline=None)
@given(questions())
def test_no_offered_time_overlaps_anything_and_each_can_be_booked(
    question: tuple[Facts, timedelta, date, date],
) -> None:
    facts, work, first, last = question

    for free in free_times(facts, work, first, last):
        taken = [busy for busy in facts.busy if busy.bay == free.bay]
        assert all(busy.ends_at <= free.starts_at or free.ends_at <= busy.starts_at for busy in taken)
        assert opening(facts, work, free.starts_at) == free.ends_at
        assert bay_for(facts, free.starts_at, free.ends_at) == free.bay
        booked = replace(facts, busy=[*facts.busy, Busy(free.starts_at, free.ends_at, free.bay)])
        assert bay_for(booked, free.starts_at, free.ends_at) != free.bay


def shop(*hours: Open, **values: object) -> Facts:
    facts = Facts(
        zone=LOS_ANGELES,
        hours=hours,
        bays=1,
        buffer=timedelta(),
        earliest=datetime(2026, 1, 1, tzinfo=UTC),
        latest=datetime(2027, 1, 1, tzinfo=UTC),
        busy=[],
    )
    return replace(facts, **values)  # type: ignore[arg-type]  # each test names the fields it means


def local(found: Iterator[FreeTime]) -> list[tuple[str, str]]:
    return [
        (
            one.starts_at.astimezone(LOS_ANGELES).strftime("%a %H:%M"),
            one.ends_at.astimezone(LOS_ANGELES).strftime("%a %H:%M"),
        )
        for one in found
    ]


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (date(2026, 7, 5), 24)])
def test_a_day_has_as_many_hours_as_it_has(day: date, hours: int) -> None:
    always = shop(*(Open(day, time(), time()) for day in range(7)))

    offered = list(free_times(always, timedelta(hours=1), day, day))

    assert len(offered) == hours * 2


def test_hours_across_midnight_join() -> None:
    night = shop(Open(5, time(22), time()), Open(6, time(), time(2)))

    offered = local(free_times(night, timedelta(hours=3), date(2026, 7, 3), date(2026, 7, 3)))

    assert offered == [("Fri 22:00", "Sat 01:00"), ("Fri 22:30", "Sat 01:30"), ("Fri 23:00", "Sat 02:00")]


def test_work_longer_than_a_day_keeps_its_bay_overnight() -> None:
    weekdays = [Open(day, time(9), time(17)) for day in range(1, 6)]
    friday, monday = datetime(2026, 7, 3, 16, tzinfo=UTC), datetime(2026, 7, 6, 17, tzinfo=UTC)

    # Ten hours from Friday 9:00 are done on Monday at 11:00, and nothing else goes into the bay over the weekend.
    [first, *_] = free_times(shop(*weekdays), timedelta(hours=10), date(2026, 7, 3), date(2026, 7, 3))
    on_saturday = Busy(datetime(2026, 7, 4, 20, tzinfo=UTC), datetime(2026, 7, 4, 21, tzinfo=UTC), 1)
    taken = shop(*weekdays, busy=[on_saturday])

    assert (first.starts_at, first.ends_at) == (friday, monday + timedelta(hours=1))
    assert list(free_times(taken, timedelta(hours=10), date(2026, 7, 3), date(2026, 7, 3))) == []


def test_a_closure_stops_work_that_goes_on_for_days_and_leaves_no_room_for_other_work() -> None:
    every_day = [Open(day, time(9), time(17)) for day in range(7)]
    holiday = Busy(datetime(2026, 7, 4, 7, tzinfo=UTC), datetime(2026, 7, 5, 7, tzinfo=UTC))
    facts = shop(*every_day, busy=[holiday])

    long = local(free_times(facts, timedelta(hours=10), date(2026, 7, 3), date(2026, 7, 4)))
    short = local(free_times(facts, timedelta(hours=8), date(2026, 7, 3), date(2026, 7, 5)))

    assert long[0] == ("Fri 09:00", "Sun 11:00")
    assert short == [("Fri 09:00", "Fri 17:00"), ("Sun 09:00", "Sun 17:00")]


def test_the_buffer_lies_between_two_appointments() -> None:
    booked = Busy(datetime(2026, 7, 6, 18, tzinfo=UTC), datetime(2026, 7, 6, 19, tzinfo=UTC), 1)
    facts = shop(Open(1, time(9), time(15)), buffer=timedelta(minutes=30), busy=[booked])

    offered = local(free_times(facts, timedelta(hours=1), date(2026, 7, 6), date(2026, 7, 6)))

    assert [start for start, _ in offered] == [
        "Mon 09:00",
        "Mon 09:30",
        "Mon 12:30",
        "Mon 13:00",
        "Mon 13:30",
        "Mon 14:00",
    ]
