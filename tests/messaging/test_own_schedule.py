"""What is sent follows the schedule that is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest_asyncio

from lead_orchestrator.demo.clock import WindingClock
from lead_orchestrator.leads.models import Channel
from lead_orchestrator.touches.planning import ScheduleChange, set_schedule
from lead_orchestrator.touches.schedule import Touch
from tests.messaging.leads import lead_row, make_lead, touches
from tests.stack import Stack

DAY = timedelta(days=1).total_seconds()
THREE = (
    Touch(1, 0, Channel.SMS, None, "One for {first_name}"),
    Touch(2, 2, Channel.SMS, None, "Two"),
    Touch(3, 5, Channel.SMS, None, "Three"),
)


@pytest_asyncio.fixture
async def clock(stack: Stack) -> AsyncIterator[WindingClock]:
    clock = WindingClock(stack.services, stack.database.urls.owner)
    yield clock
    await clock.close()


async def schedule(stack: Stack, *planned: Touch) -> None:
    async with stack.services.tenancy.write(stack.scope) as session:
        await set_schedule(session, ScheduleChange(None, planned))


async def sent(stack: Stack, lead_id: object) -> Sequence[tuple[int, str]]:
    """(days after the first, status) of every touch."""
    rows = await touches(stack, lead_id)  # type: ignore[arg-type]  # a lead's id
    first = rows[0]["sent_at"]
    return [((row["due_at"].date() - first.date()).days, row["status"]) for row in rows]


async def test_a_stored_schedule_is_followed_to_its_end(stack: Stack, clock: WindingClock) -> None:
    await schedule(stack, *THREE)
    lead = await make_lead(stack)

    for _ in range(8):
        await clock.wind(DAY)

    assert stack.texts(lead.phone) == [f"One for {lead.first_name}", "Two", "Three"]
    assert [day for day, _ in await sent(stack, lead.id)] == [0, 2, 5]
    assert (await lead_row(stack, lead.id))["status"] == "LOST"


async def test_a_touch_that_was_taken_out_is_not_sent(stack: Stack, clock: WindingClock) -> None:
    await schedule(stack, *THREE)
    lead = await make_lead(stack)
    await clock.wind(3 * DAY)

    await schedule(stack, *THREE[:2])
    await clock.wind(4 * DAY)

    rows = await touches(stack, lead.id)
    assert [row["status"] for row in rows][2:] == ["SUPPRESSED"]
    assert rows[2]["decision"].endswith("(the schedule has no touch 3 any more)")
    assert stack.texts(lead.phone) == [f"One for {lead.first_name}", "Two"]
    assert (await lead_row(stack, lead.id))["status"] == "LOST"


async def test_what_a_planned_touch_says_is_of_the_new_schedule(stack: Stack, clock: WindingClock) -> None:
    await schedule(stack, *THREE)
    lead = await make_lead(stack)
    await clock.wind(DAY)

    await schedule(stack, THREE[0], Touch(2, 2, Channel.SMS, None, "Two, reworded"))
    await clock.wind(2 * DAY)

    assert stack.texts(lead.phone)[1:] == ["Two, reworded"]
