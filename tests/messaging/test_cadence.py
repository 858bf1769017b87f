from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from lead_orchestrator.demo.clock import WindingClock
from lead_orchestrator.leads.models import Lead, LeadStatus
from lead_orchestrator.touches.schedule import DEFAULT_DAYS
from tests.messaging.leads import change, lead_row, make_lead, touches
from tests.stack import Stack

LOS_ANGELES = ZoneInfo("America/Los_Angeles")
MONTH = timedelta(days=31).total_seconds()


@pytest_asyncio.fixture
async def clock(stack: Stack) -> AsyncIterator[WindingClock]:
    clock = WindingClock(stack.services, stack.database.urls.owner)
    yield clock
    await clock.close()


async def days_and_times(stack: Stack, lead: Lead, zone: ZoneInfo = LOS_ANGELES) -> list[tuple[int, str]]:
    """On which day after the first message each was sent, and at what time of the shop's wall clock."""
    moments = [row["sent_at"].astimezone(zone) for row in await touches(stack, lead.id) if row["sent_at"]]
    return [((moment.date() - moments[0].date()).days, moment.strftime("%H:%M")) for moment in moments]


def addresses(lead: Lead) -> set[str]:
    return {address for address in (lead.phone, lead.email) if address}


def received(stack: Stack, lead: Lead) -> int:
    """How many messages the providers took for this lead."""
    return sum(message.to in addresses(lead) for message in stack.world.messages)


async def test_thirteen_touches_in_thirty_days_then_the_lead_is_lost(stack: Stack, clock: WindingClock) -> None:
    lead = await make_lead(stack)

    for _ in range(31):
        await clock.wind(86_400)
        planned = [row for row in await touches(stack, lead.id) if row["status"] == "SCHEDULED"]
        assert len(planned) <= 1

    assert await days_and_times(stack, lead) == [(day, "10:00") for day in DEFAULT_DAYS]
    assert received(stack, lead) == 13
    rows = await touches(stack, lead.id)
    assert [row["touch_number"] for row in rows] == list(range(1, 14))
    assert all(row["decision"].startswith("Sent by") for row in rows)
    ended = await lead_row(stack, lead.id)
    assert (ended["status"], ended["touches_sent"]) == ("LOST", 13)


async def test_nothing_follows_the_thirteenth(stack: Stack, clock: WindingClock) -> None:
    lead = await make_lead(stack)
    await clock.wind(MONTH)

    await clock.wind(5 * MONTH)

    assert received(stack, lead) == 13


def days_until_the_clocks_change(summer: bool) -> int:
    """From today to the next day with another offset than the day before, into summer time or out of it."""
    today = datetime.now(LOS_ANGELES).date()
    noons = [datetime.combine(today + timedelta(days=ahead), time(12), LOS_ANGELES) for ahead in range(400)]
    return next(
        ahead
        for ahead in range(10, 400)
        if noons[ahead].dst() != noons[ahead - 1].dst() and bool(noons[ahead].dst()) is summer
    )


@pytest.mark.parametrize("summer", [True, False])
async def test_the_wall_time_stays_when_the_clocks_change(stack: Stack, clock: WindingClock, *, summer: bool) -> None:
    await stack.local_time(time(10, 30), days=days_until_the_clocks_change(summer) - 4)
    lead = await make_lead(stack)

    await clock.wind(MONTH)

    assert await days_and_times(stack, lead) == [(day, "10:30") for day in DEFAULT_DAYS]
    first, *_, last = await touches(stack, lead.id)
    elapsed = (last["sent_at"] - first["sent_at"]) - timedelta(days=30)
    assert round(elapsed / timedelta(hours=1)) == (-1 if summer else 1)


async def test_a_quote_at_night_is_answered_in_the_morning_and_the_days_count_from_there(
    stack: Stack, clock: WindingClock
) -> None:
    night = await stack.local_time(time(23))
    lead = await make_lead(stack)

    await clock.wind(MONTH + 86_400)

    assert await days_and_times(stack, lead) == [(day, "09:00") for day in DEFAULT_DAYS]
    [first, *_] = await touches(stack, lead.id)
    assert first["sent_at"].astimezone(LOS_ANGELES).date() == night.date() + timedelta(days=1)
    assert received(stack, lead) == 13


async def test_a_shop_in_a_zone_without_summer_time_keeps_its_own_clock(stack: Stack, clock: WindingClock) -> None:
    phoenix = ZoneInfo("America/Phoenix")
    place = next(place for slug, place in stack.locations.items() if "phoenix" in slug)
    await stack.local_time(time(11), "America/Phoenix", days=days_until_the_clocks_change(True) - 4)
    lead = await make_lead(stack, location_id=place)

    await clock.wind(MONTH)

    assert await days_and_times(stack, lead, phoenix) == [(day, "11:00") for day in DEFAULT_DAYS]


@pytest.mark.parametrize(("missing", "channel"), [("email", "SMS"), ("phone", "EMAIL")])
async def test_one_address_gets_all_thirteen_on_its_channel(
    stack: Stack, clock: WindingClock, missing: str, channel: str
) -> None:
    lead = await make_lead(stack, **{missing: None})

    await clock.wind(MONTH)

    assert [message.channel for message in stack.world.messages if message.to in addresses(lead)] == [channel] * 13
    assert {row["channel"] for row in await touches(stack, lead.id)} == {channel}
    assert (await lead_row(stack, lead.id))["status"] == "LOST"


async def test_without_consent_the_quote_is_answered_and_no_more(stack: Stack, clock: WindingClock) -> None:
    lead = await make_lead(stack, consents=())

    await clock.wind(MONTH)

    assert received(stack, lead) == 1
    statuses = [row["status"] for row in await touches(stack, lead.id)]
    assert statuses == ["SENT"] + ["SUPPRESSED"] * 12
    row = await lead_row(stack, lead.id)
    assert (row["status"], row["touches_sent"]) == ("LOST", 1)


async def test_a_lead_that_nothing_reached_is_not_lost(stack: Stack, clock: WindingClock) -> None:
    lead = await make_lead(stack, phone="+0", email=None)

    await clock.wind(MONTH + 86_400)

    rows = await touches(stack, lead.id)
    assert [(row["status"], row["error_code"]) for row in rows] == [("FAILED", "21211")] * 13
    row = await lead_row(stack, lead.id)
    assert (row["status"], row["touches_sent"]) == ("NEW", 0)


@pytest.mark.parametrize("status", [LeadStatus.ENGAGED, LeadStatus.BOOKED, LeadStatus.WON])
async def test_an_answer_a_booking_or_a_sale_ends_the_touches(
    stack: Stack, clock: WindingClock, status: LeadStatus
) -> None:
    lead = await make_lead(stack)
    await clock.wind(timedelta(days=4).total_seconds())
    before = received(stack, lead)

    await change(stack, lead.id, lambda session, held: stack.services.leads.move(session, held, status, "It happened"))
    await clock.wind(MONTH)

    assert received(stack, lead) == before == 3
    assert (await lead_row(stack, lead.id))["status"] == status


async def test_after_an_outage_the_rest_shifts_with_a_day_between_at_least(stack: Stack, clock: WindingClock) -> None:
    lead = await make_lead(stack)
    await clock.wind(60)
    await stack.wind(timedelta(days=9))

    await clock.wind(MONTH)

    days = [day for day, _ in await days_and_times(stack, lead)]
    assert len(days) == received(stack, lead) == 13
    assert days[:6] == [0, 9, 10, 11, 12, 13]
    assert days[-1] == 30
    moments: list[Any] = [row["sent_at"] for row in await touches(stack, lead.id)]
    assert min(later - earlier for earlier, later in pairwise(moments)) >= timedelta(days=1)
    assert all(moment.astimezone(UTC) <= moments[0] + timedelta(days=31) for moment in moments)
