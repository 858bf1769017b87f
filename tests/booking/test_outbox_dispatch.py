"""Whatever is lost on the way: one appointment in ShopMonkey and one event at Google, as the appointment is now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import Range

from lead_orchestrator.booking.outbox import repository
from lead_orchestrator.booking.outbox.dispatch import OutboxDispatcher, OutboxPolicy
from lead_orchestrator.leads.models import Lead
from tests.booking.calendar.shop import HOUR, Shop
from tests.database import Cluster, TestDatabase
from tests.holding import holding
from tests.sandbox.google import ACCOUNT
from tests.stack import Stack, open_stack

DUE = text("UPDATE outbox SET next_attempt_at = now(), lease_until = NULL WHERE status = 'PENDING'")


@pytest_asyncio.fixture
async def stack(fresh_database: TestDatabase, cluster: Cluster) -> AsyncIterator[Stack]:
    async with open_stack(fresh_database, cluster.redis_url) as stack:
        yield stack


@pytest_asyncio.fixture
async def shop(stack: Stack) -> Shop:
    shop = Shop(stack)
    await shop.connect()
    return shop


@pytest.fixture
def outbox(stack: Stack) -> OutboxDispatcher:
    return stack.services.calendars.outbox


async def later(stack: Stack, outbox: OutboxDispatcher) -> int:
    """One batch, when every pause and lease is over."""
    async with stack.services.tenancy.write(stack.scope) as session:
        await session.execute(DUE)
    return await outbox.dispatch(stack.tenant_id)


def at_shopmonkey(shop: Shop) -> list[tuple[str, datetime]]:
    rows = shop.company.appointments.values()
    return [(row["note"].splitlines()[-1], datetime.fromisoformat(row["startDate"])) for row in rows]


def at_google(shop: Shop) -> list[tuple[str, datetime, str]]:
    return [
        (event_id, datetime.fromisoformat(event["start"]["dateTime"]), event["status"])
        for event_id, event in shop.account.events.items()
    ]


async def test_an_appointment_is_told_once_and_its_changes_follow(
    shop: Shop, stack: Stack, outbox: OutboxDispatcher
) -> None:
    stack.world.quirks.unstable_lists = False
    await stack.quote(firstName="Ada", lastName="Example")
    await stack.services.polling.poll(stack.tenant_id)
    await stack.services.ingestion.sweep(stack.tenant_id)
    async with stack.services.tenancy.read(stack.scope) as session:
        [lead] = await session.scalars(select(Lead))
    noon = shop.noon
    made = await shop.book(noon, lead=lead)
    assert await outbox.dispatch(stack.tenant_id) == 2
    assert await later(stack, outbox) == 0
    row = await shop.appointment(made)
    [(shopmonkey_id, told)] = shop.company.appointments.items()
    assert (row["sync_status"], row["sync_error"], row["shopmonkey_appointment_id"]) == ("SYNCED", None, shopmonkey_id)
    assert (told["name"], told["orderId"]) == ("Ada Example (bay 1)", next(iter(shop.company.orders)))
    assert (at_shopmonkey(shop), at_google(shop)) == ([(f"appt_{made}", noon)], [(made.hex, noon, "confirmed")])

    await shop.change(made, during=Range(noon + HOUR, noon + 2 * HOUR))
    await outbox.dispatch(stack.tenant_id)
    assert at_shopmonkey(shop) == [(f"appt_{made}", noon + HOUR)]
    assert at_google(shop) == [(made.hex, noon + HOUR, "confirmed")]

    await shop.change(made, status="CANCELLED")
    await outbox.dispatch(stack.tenant_id)
    assert (at_shopmonkey(shop), at_google(shop)) == ([], [(made.hex, noon + HOUR, "cancelled")])
    assert (await shop.appointment(made))["sync_status"] == "SYNCED"


@pytest.mark.parametrize("service", ["shopmonkey", "google"])
async def test_what_was_taken_and_not_answered_is_not_made_again(
    shop: Shop, stack: Stack, outbox: OutboxDispatcher, service: str
) -> None:
    made = await shop.book(shop.noon)
    await stack.fault(service, "accept_then_drop", count=1)

    await outbox.dispatch(stack.tenant_id)
    row = await shop.appointment(made)
    assert row["sync_status"] == "PENDING"
    assert row["sync_error"] is not None
    await later(stack, outbox)

    assert at_shopmonkey(shop) == [(f"appt_{made}", shop.noon)]
    assert at_google(shop) == [(made.hex, shop.noon, "confirmed")]
    assert (await shop.appointment(made))["sync_status"] == "SYNCED"


async def test_a_create_of_unknown_fate_is_found_after_the_appointment_moved_far_away(
    shop: Shop, stack: Stack, outbox: OutboxDispatcher
) -> None:
    """And what the change resets does not make it forgotten."""
    made = await shop.book(shop.noon)
    await stack.fault("shopmonkey", "accept_then_drop", count=1)
    await outbox.dispatch(stack.tenant_id)
    moved = shop.noon + timedelta(days=14)
    await shop.change(made, during=Range(moved, moved + HOUR))

    await later(stack, outbox)

    assert at_shopmonkey(shop) == [(f"appt_{made}", moved)]
    assert at_google(shop) == [(made.hex, moved, "confirmed")]


async def test_a_cancellation_after_a_create_of_unknown_fate_leaves_nothing_behind(
    shop: Shop, stack: Stack, outbox: OutboxDispatcher
) -> None:
    made = await shop.book(shop.noon)
    for service in ("shopmonkey", "google"):
        await stack.fault(service, "accept_then_drop", count=1)
    await outbox.dispatch(stack.tenant_id)
    await shop.change(made, status="CANCELLED")

    await later(stack, outbox)

    assert at_shopmonkey(shop) == []
    assert [status for _, _, status in at_google(shop)] == ["cancelled"]


async def test_a_worker_that_dies_after_the_call_leaves_one_of_each(
    shop: Shop, stack: Stack, outbox: OutboxDispatcher
) -> None:
    """Its claim is committed, its result is not."""
    made = await shop.book(shop.noon)
    async with stack.services.tenancy.write(stack.scope) as session:
        claimed = await repository.claim(session, timedelta(seconds=60), 10)
    async with stack.services.tenancy.read(stack.scope) as session:
        facts = await repository.facts(session, made)
    for entry in claimed:
        await outbox._tell(stack.scope, entry, facts)  # noqa: SLF001 - what the dead worker did
    assert await outbox.dispatch(stack.tenant_id) == 0  # leased

    await later(stack, outbox)

    assert at_shopmonkey(shop) == [(f"appt_{made}", shop.noon)]
    assert at_google(shop) == [(made.hex, shop.noon, "confirmed")]


async def test_two_workers_tell_it_once(shop: Shop, stack: Stack, outbox: OutboxDispatcher) -> None:
    made = [await shop.book(shop.noon + number * HOUR) for number in range(6)]
    await stack.fault("shopmonkey", "delay", seconds=0.1)

    await asyncio.gather(*(outbox.dispatch(stack.tenant_id) for _ in range(4)))

    assert sorted(note for note, _ in at_shopmonkey(shop)) == sorted(f"appt_{one}" for one in made)


async def test_a_change_during_the_call_is_told_afterwards(shop: Shop, stack: Stack, outbox: OutboxDispatcher) -> None:
    made = await shop.book(shop.noon)
    async with holding(stack.world, "shopmonkey") as hold:
        telling = asyncio.create_task(outbox.dispatch(stack.tenant_id))
        await hold.reached()
        await shop.change(made, during=Range(shop.noon + HOUR, shop.noon + 2 * HOUR))
    await telling
    assert (await shop.appointment(made))["sync_status"] == "PENDING"

    await outbox.dispatch(stack.tenant_id)

    assert at_shopmonkey(shop) == [(f"appt_{made}", shop.noon + HOUR)]
    assert (await shop.appointment(made))["sync_status"] == "SYNCED"


async def test_trouble_of_one_system_does_not_hold_up_the_other(
    shop: Shop, stack: Stack, outbox: OutboxDispatcher
) -> None:
    made = await shop.book(shop.noon)
    await stack.fault("shopmonkey", "error_429", count=1, seconds=3)

    await outbox.dispatch(stack.tenant_id)

    row = await shop.appointment(made)
    assert (row["sync_status"], row["sync_error"]) == ("PENDING", "ShopMonkey: busy (http_429)")
    assert at_google(shop) == [(made.hex, shop.noon, "confirmed")]
    [entry] = await stack.rows("SELECT next_attempt_at - now() AS pause FROM outbox WHERE status = 'PENDING'")
    assert timedelta(seconds=4) < entry["pause"] < timedelta(seconds=7)


async def test_attempts_end_and_the_reason_is_shown_until_the_appointment_changes(
    shop: Shop, stack: Stack, outbox: OutboxDispatcher
) -> None:
    made = await shop.book(shop.noon)
    impatient = replace(outbox, policy=OutboxPolicy(most_attempts=2))
    await stack.fault("shopmonkey", "bad_credentials", count=2)
    for _ in range(2):
        await later(stack, impatient)
    row = await shop.appointment(made)
    assert (row["sync_status"], row["sync_error"]) == (
        "FAILED",
        "ShopMonkey: ShopMonkey does not accept the API key",
    )
    assert await later(stack, impatient) == 0

    await shop.change(made, notes="call first")
    await outbox.dispatch(stack.tenant_id)

    row = await shop.appointment(made)
    assert (row["sync_status"], row["sync_error"]) == ("SYNCED", None)


async def test_what_the_shop_deleted_is_made_again_when_it_changes(
    shop: Shop, stack: Stack, outbox: OutboxDispatcher
) -> None:
    made = await shop.book(shop.noon)
    await outbox.dispatch(stack.tenant_id)
    shop.company.appointments.clear()
    await stack.http.delete(f"{stack.sandbox.url}/calendars/{ACCOUNT}/events/{made.hex}")

    await shop.change(made, during=Range(shop.noon + HOUR, shop.noon + 2 * HOUR))
    await outbox.dispatch(stack.tenant_id)

    assert at_shopmonkey(shop) == [(f"appt_{made}", shop.noon + HOUR)]
    assert at_google(shop) == [(made.hex, shop.noon + HOUR, "confirmed")]


async def test_a_calendar_that_is_connected_later_is_told_of_what_is_to_come(
    stack: Stack, outbox: OutboxDispatcher
) -> None:
    shop = Shop(stack)
    made = await shop.book(shop.noon)
    await outbox.dispatch(stack.tenant_id)
    assert at_google(shop) == []

    await shop.connect()
    await outbox.dispatch(stack.tenant_id)

    assert at_google(shop) == [(made.hex, shop.noon, "confirmed")]
    assert len(shop.company.appointments) == 1
