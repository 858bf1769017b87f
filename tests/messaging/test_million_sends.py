"""A million planned touches over every zone, ZIP prefix and area code of the US, around each change of the clocks in ten years.

What is sent is judged by an oracle that shares nothing with the gate: it asks zoneinfo what the wall clock shows in the zone the person
really lives in, and has hours and states of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from importlib.resources import files
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from phonenumbers import timezone

from lead_orchestrator.leads.models import Channel, LeadStatus, MessageKind
from lead_orchestrator.messaging.gate import Defer, Facts, Send, Suppress, decide
from lead_orchestrator.touches.prefixes import AREA_STATES
from lead_orchestrator.touches.quiet_hours import QuietHours
from lead_orchestrator.touches.schedule import DEFAULT_DAYS, next_due
from lead_orchestrator.touches.whereabouts import Whereabouts, locate

SENDS = 1_000_000
PARTS = 8
YEARS = range(2021, 2031)
SHOP = ZoneInfo("America/Los_Angeles")
TERRITORIES = {"US", "PR", "VI", "GU", "AS", "MP"}
MISPLACED = {"689", "684"}  # phonenumbers has Orlando in Chicago's zone and does not know Samoa

FEDERAL = [(8, 21)] * 7
LAW = {
    "CT": [(9, 20)] * 7,
    **dict.fromkeys(("FL", "MD", "MS", "NJ", "OK"), [(8, 20)] * 7),
    "RI": [(9, 18)] * 5 + [(10, 17)] * 2,
    "TX": [(9, 21)] * 6 + [(12, 21)],
}  # Monday first
OWN = [QuietHours(), QuietHours(time(6), time(23)), QuietHours(time(10, 30), time(19, 15))]


@dataclass(frozen=True)
class Person:
    """Somebody as the product knows them, and where they really are."""

    place: Whereabouts
    zones: Sequence[ZoneInfo]
    hours: Sequence[tuple[int, int]]
    """By weekday: minutes of the day in which they may be written to."""
    window: QuietHours


def person(place: Whereabouts, zones: Sequence[str], states: Sequence[str], number: int) -> Person:
    window = OWN[number % len(OWN)]
    own = tuple(edge.hour * 60 + edge.minute for edge in (window.opens, window.closes))
    laws = [FEDERAL, *(LAW[state] for state in states if state in LAW)]
    hours = [
        (max(own[0], *(60 * law[day][0] for law in laws)), min(own[1], *(60 * law[day][1] for law in laws)))
        for day in range(7)
    ]
    return Person(place, [ZoneInfo(zone) for zone in zones], hours, window)


def people() -> Iterator[Person]:
    """One for every way to be somewhere in the US."""
    number = 0
    for line in (files("tzdata.zoneinfo") / "zone.tab").read_text().splitlines():
        if line[:2] in TERRITORIES:
            zone = line.split("\t")[2]
            yield person(locate(zone, None, None, SHOP.key), [zone], [], number := number + 1)
    for line in (Path(__file__).parents[1] / "touches" / "places.txt").read_text().splitlines():
        code, state, zone = line.split()
        yield person(locate(None, code, None, SHOP.key), [zone], [state], number := number + 1)
    for state, codes in AREA_STATES.items():
        for code in set(codes.split()) - MISPLACED:
            phone = f"+1{code}5550101"
            zones = timezone.time_zones_for_number(phonenumbers.parse(phone))
            yield person(locate(None, None, phone, SHOP.key), zones, [state], number := number + 1)


def changes() -> list[datetime]:
    """Each morning of ten years on which the clocks of the US change: the second Sunday of March, the first of November."""
    found = []
    for year in YEARS:
        for month, sunday in ((3, 2), (11, 1)):
            first = datetime(year, month, 1, 10, tzinfo=UTC)
            found.append(first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (sunday - 1)))
    return found


def facts(known: Person, number: int, now: datetime, opted_out: frozenset[Channel], sent: Sequence[datetime]) -> Facts:
    return Facts(
        now=now,
        kind=MessageKind.TOUCH,
        touch_number=number,
        channels=CHANNELS,
        addresses=ADDRESSES,
        status=LeadStatus.CONTACTED,
        paused=False,
        opted_out=opted_out,
        consented=BOTH,
        place=known.place,
        window=known.window,
        instant_replies=False,
        tenant_active=True,
        demo_mode=False,
        allowlist=(),
        senders=BOTH,
        daily_cap=3,
        weekly_cap=10,
        sent=sent,
    )


CHANNELS = [Channel.SMS, Channel.EMAIL]
BOTH, NONE = frozenset(CHANNELS), frozenset[Channel]()
ADDRESSES: dict[Channel, str | None] = {Channel.SMS: "+12135550101", Channel.EMAIL: "ada@example.com"}


@dataclass
class Played:
    """What became of the touches of many people."""

    planned: int = 0
    sent: int = 0
    deferred: int = 0
    refused: int = 0


def outside(known: Person, moment: datetime) -> bool:
    """Whether somewhere the person may really be the wall clock shows a time at which they must not be written to."""
    for zone in known.zones:
        wall = moment.astimezone(zone)
        opens, closes = known.hours[wall.weekday()]
        if not opens <= wall.hour * 60 + wall.minute < closes:
            return True
    return False


def play(known: Person, enrolled_at: datetime, opts_out_at: datetime | None, random: Random, played: Played) -> None:
    """The 13 touches of one person, each decided when it is due and again when it was put off."""
    sent: list[datetime] = []
    for number, day in enumerate(DEFAULT_DAYS, start=1):
        now = next_due(enrolled_at, day, SHOP, sent[-1] if sent else None) + timedelta(seconds=random.random() * 90)
        played.planned += 1
        while True:
            gone = opts_out_at is not None and now >= opts_out_at
            decision = decide(facts(known, number, now, BOTH if gone else NONE, sent[-4:]))
            if not isinstance(decision, Defer):
                break
            assert decision.until > now
            assert not outside(known, decision.until), (known, decision)
            played.deferred += 1
            now = decision.until
        if isinstance(decision, Suppress):
            assert gone, (known, decision)
            assert decision.ends_touches
            played.refused += 1
            return
        assert isinstance(decision, Send)
        assert not gone, (known, now)
        assert not outside(known, now), (known, decision)
        assert not outside(known, decision.before - timedelta(seconds=1)), (known, decision)
        assert not sent or now > sent[-1]
        sent.append(now)
        played.sent += 1
    assert len(sent) <= len(DEFAULT_DAYS)


@pytest.mark.parametrize("part", range(PARTS))
def test_of_a_million_planned_sends_none_is_outside_its_hours_or_after_an_opt_out(part: int) -> None:
    random, everybody, played = Random(part), list(people()), Played()  # noqa: S311 - a seed to repeat it by
    mornings = changes()

    turn = 0
    while played.planned < SENDS // PARTS:
        morning = mornings[(part + PARTS * turn) % len(mornings)]
        aimed = DEFAULT_DAYS[random.randrange(len(DEFAULT_DAYS))]  # this touch falls on the day of the change
        for known in everybody * 2:
            enrolled_at = morning - timedelta(days=aimed) + timedelta(seconds=random.uniform(-43_200, 43_200))
            ends = enrolled_at + timedelta(days=random.uniform(0, 120))  # a quarter of them within the 30 days
            play(known, enrolled_at, ends, random, played)
        turn += 1

    assert played.sent > SENDS // PARTS * 0.9
    assert played.deferred > played.sent * 0.2
    assert played.refused > 500
