from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio

from lead_orchestrator.jobs import work
from lead_orchestrator.jobs.queue import Queue, open_queue
from lead_orchestrator.leads.ingestion.polling import Poll
from lead_orchestrator.sandbox.world import Quirks
from tests.database import Cluster
from tests.holding import holding
from tests.leads.ingestion.shop import Outside, Shop, open_shop

WORST = Quirks(unstable_lists=True, miss_rate=0.41, page_overlap=0.1)
RELIABLE = Quirks(unstable_lists=False)


@pytest_asyncio.fixture
async def queue(cluster: Cluster) -> AsyncIterator[Queue]:
    queue = await open_queue(cluster.redis_url)
    await queue.redis.flushdb()
    yield queue
    await queue.redis.aclose(close_connection_pool=True)


async def poll(shop: Shop) -> Poll:
    """Poll now, whatever the plan says."""
    await due(shop)
    done = await shop.services.polling.poll(shop.tenant.id)
    assert done is not None
    return done


async def due(shop: Shop) -> None:
    await shop.write("UPDATE tenant_crm_configs SET next_poll_at = now() - interval '1 second'")


async def config(shop: Shop) -> dict[str, Any]:
    [row] = await shop.rows("SELECT *, next_poll_at - now() AS pause FROM tenant_crm_configs")
    return row


async def poll_and_process(shop: Shop) -> int:
    """One round of the backup; returns how many leads it enrolled."""
    done = await poll(shop)
    tenant = shop.tenant.id
    processed = [await shop.services.ingestion.process(tenant, event_id) for event_id in done.events]
    return sum(result is not None and result.enrolled for result in processed)


async def test_quotes_whose_webhooks_are_all_lost_are_found_in_the_worst_of_lists(shop: Shop, outside: Outside) -> None:
    outside.world.quirks = WORST
    orders = [await shop.quote() for _ in range(200)]

    found = [await poll_and_process(shop) for _ in range(10)]

    assert sum(found) == 200
    assert found[0] < 200  # the lists are as bad as they are meant to be
    rows = await shop.rows("SELECT order_id, state FROM lead_orders")
    assert sorted(row["order_id"] for row in rows) == sorted(orders)
    assert {row["state"] for row in rows} == {"QUOTE"}
    assert {lead["status"] for lead in await shop.leads()} == {"NEW"}
    assert {lead["source"] for lead in await shop.leads()} == {"SHOPMONKEY_POLL"}
    assert await shop.touches() == [(1, 1, "SCHEDULED")] * 200


async def test_what_webhooks_and_polls_both_tell_has_one_effect(shop: Shop, outside: Outside) -> None:
    outside.world.quirks = RELIABLE
    told, untold = await shop.quote(), await shop.quote()
    await shop.learn(told)

    first, second = await poll_and_process(shop), await poll_and_process(shop)

    assert (first, second) == (1, 0)
    orders = await shop.rows("SELECT order_id FROM lead_orders")
    assert sorted(row["order_id"] for row in orders) == sorted([told, untold])


async def test_absence_from_a_list_is_no_deletion(shop: Shop, outside: Outside) -> None:
    outside.world.quirks = RELIABLE
    await shop.quote()
    await poll_and_process(shop)
    outside.world.quirks = replace(WORST, miss_rate=1.0)

    for _ in range(3):
        assert (await poll(shop)).events == []

    assert (await shop.lead())["status"] == "NEW"


async def test_a_later_state_whose_webhook_was_lost_is_found(shop: Shop, outside: Outside) -> None:
    outside.world.quirks = RELIABLE
    order_id = await shop.quote()
    await poll_and_process(shop)
    await shop.change(order_id, authorized=True)

    await poll_and_process(shop)

    assert (await shop.lead())["status"] == "BOOKED"
    assert await shop.touches() == [(1, 1, "CANCELLED")]


async def test_a_deletion_whose_webhook_was_lost_is_found_by_asking_for_the_order(shop: Shop, outside: Outside) -> None:
    outside.world.quirks = RELIABLE
    order_id = await shop.quote()
    await poll_and_process(shop)
    await shop.delete(order_id)
    assert (await poll(shop)).events == []  # lists leave it out, and something was heard of it a moment ago

    await shop.write("UPDATE webhook_events SET processed_at = processed_at - interval '13 hours'")
    await poll_and_process(shop)

    assert (await shop.lead())["status"] == "LOST"
    assert (await poll(shop)).events == []


async def test_an_order_that_is_no_quote_is_left_alone_until_it_is_one(shop: Shop, outside: Outside) -> None:
    outside.world.quirks = RELIABLE
    order_id = await shop.quote(name="Walk-in")
    assert (await poll(shop)).events == []
    await shop.change(order_id, name="New Quote - Ada")

    assert await poll_and_process(shop) == 1


async def test_a_new_quote_that_has_no_updated_date_is_found(shop: Shop, outside: Outside) -> None:
    outside.world.quirks = replace(RELIABLE, null_updated_date=True)
    order_id = await shop.quote()
    assert shop.company.orders[order_id]["updatedDate"] is None

    assert await poll_and_process(shop) == 1
    assert (await poll(shop)).events == []

    await shop.change(order_id, authorized=True)
    await poll_and_process(shop)
    assert (await shop.lead())["status"] == "BOOKED"


async def test_every_location_is_polled(outside: Outside) -> None:
    outside.world.quirks = RELIABLE
    shop = await open_shop(outside, locations=3)
    for location in range(3):
        await shop.quote(location=location)

    assert await poll_and_process(shop) == 3

    assert {lead["location_id"] for lead in await shop.leads()} == set(shop.tenant.locations)


async def test_a_rate_limit_does_not_always_starve_the_same_locations(outside: Outside) -> None:
    # given more locations than one poll may ask about
    outside.world.quirks = RELIABLE
    shop = await open_shop(outside, locations=6)
    for location in range(6):
        await shop.quote(location=location)

    # when every poll is cut off after two of them
    for _ in range(30):
        shop.company.recent_requests.clear()
        shop.company.requests_per_minute = 4
        found = (await poll(shop)).events
        shop.company.requests_per_minute = 100
        for event_id in found:
            await shop.process(event_id)

    # then each location had its turn
    assert {lead["location_id"] for lead in await shop.leads()} == set(shop.tenant.locations)


async def test_two_pollers_at_once_poll_once(shop: Shop) -> None:
    await due(shop)

    polls = await asyncio.gather(*(shop.services.polling.poll(shop.tenant.id) for _ in range(5)))

    assert sum(done is not None for done in polls) == 1


async def test_a_poll_is_planned_after_the_interval_and_its_window_moves(shop: Shop) -> None:
    await poll(shop)

    state = await config(shop)
    assert timedelta(seconds=26) < state["pause"] < timedelta(seconds=34)
    assert datetime.now(UTC) - state["polled_until"] < timedelta(seconds=5)
    assert await shop.services.polling.poll(shop.tenant.id) is None  # not before its time


async def test_failing_polls_come_further_apart_and_lose_nothing(shop: Shop, outside: Outside) -> None:
    outside.world.quirks = RELIABLE
    await poll(shop)
    until = (await config(shop))["polled_until"]
    await outside.fault("error_500")
    await shop.quote()

    pauses = []
    for _ in range(6):
        done = await poll(shop)
        assert done.error == "ShopMonkey is busy (http_500)"
        pauses.append((await config(shop))["pause"].total_seconds())

    assert pauses == sorted(pauses)
    assert 700 < pauses[-1] < 1000
    state = await config(shop)
    assert (state["polled_until"], state["poll_failures"]) == (until, 6)
    assert state["last_error"] == "ShopMonkey is busy (http_500)"

    outside.world.faults.clear()
    assert await poll_and_process(shop) == 1
    state = await config(shop)
    assert (state["poll_failures"], state["last_error"]) == (0, None)
    assert state["pause"] < timedelta(seconds=34)


async def test_a_rate_limit_is_obeyed(shop: Shop, outside: Outside) -> None:
    await outside.fault("error_429", count=1, seconds=300)

    await poll(shop)

    assert timedelta(seconds=260) < (await config(shop))["pause"] < timedelta(seconds=340)


async def test_a_refused_key_opens_the_circuit_and_is_shown(shop: Shop, outside: Outside) -> None:
    await outside.fault("bad_credentials")

    done = await poll(shop)

    state = await config(shop)
    assert done.error == state["last_error"] == "ShopMonkey does not accept the API key"
    assert state["pause"] > timedelta(minutes=12)


async def test_a_poll_that_died_is_taken_up_when_its_lease_ends(shop: Shop, outside: Outside) -> None:
    await due(shop)
    async with holding(outside.world, "shopmonkey") as hold:
        dying = asyncio.create_task(shop.services.polling.poll(shop.tenant.id))
        await hold.reached()
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)

    pause = (await config(shop))["pause"]

    assert timedelta(seconds=60) < pause <= timedelta(minutes=2)


async def test_the_jobs_find_the_quote_and_write_their_executions(shop: Shop, outside: Outside, queue: Queue) -> None:
    outside.world.quirks = RELIABLE
    await shop.quote()
    context = work.Context(services=shop.services, queue=queue, job_id="test")
    await due(shop)

    await work.poll_tenant(context, str(shop.tenant.id))
    jobs = await queue.redis.queued_jobs()
    for job in jobs:
        await work.process_event(context, *job.args)
    await work.process_event(context, *jobs[0].args)  # running twice is harmless

    assert [job.function for job in jobs] == ["process_event"]
    assert len(await shop.leads()) == 1
    statement = (
        "SELECT job, status, processed, error, started_at <= finished_at AS ordered FROM job_executions ORDER BY id"
    )
    executions = [tuple(row.values()) for row in await shop.rows(statement)]
    assert executions == [("poll_tenant", "OK", 1, None, True), ("process_event", "OK", 1, None, True)]


async def test_the_sweep_job_does_what_lost_wake_ups_left(shop: Shop, queue: Queue) -> None:
    for _ in range(3):
        await shop.tell(await shop.quote())
    context = work.Context(services=shop.services, queue=queue, job_id="test")

    await work.sweep_events(context, str(shop.tenant.id))
    await work.sweep_events(context, str(shop.tenant.id))  # nothing is left, so nothing is written

    assert len(await shop.leads()) == 3
    executions = await shop.rows("SELECT job, status, processed FROM job_executions")
    assert executions == [{"job": "sweep_events", "status": "OK", "processed": 3}]


async def test_a_failed_poll_is_a_failed_execution(shop: Shop, outside: Outside, queue: Queue) -> None:
    await outside.fault("bad_credentials")
    context = work.Context(services=shop.services, queue=queue, job_id="test")
    await due(shop)

    await work.poll_tenant(context, str(shop.tenant.id))

    executions = await shop.rows("SELECT job, status, error FROM job_executions")
    assert executions == [{"job": "poll_tenant", "status": "FAILED", "error": "ShopMonkey does not accept the API key"}]
