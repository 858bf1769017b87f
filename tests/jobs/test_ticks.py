from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import text

from lead_orchestrator.jobs.queue import Queue, deserialize, open_queue, serialize
from lead_orchestrator.jobs.ticks import TICK_KEY, Tick, Ticker, Walk, ticks
from lead_orchestrator.jobs.work import Context, dispatch_tenant, prune, resolve_unknown, sweep_events
from lead_orchestrator.messaging.ledger import DispatchPolicy
from lead_orchestrator.settings import load_settings
from tests.database import Cluster, TestDatabase
from tests.jobs.relay import Relay
from tests.messaging.leads import make_lead, touches
from tests.stack import Stack, open_stack
from tests.waiting import until_elapsed


@pytest_asyncio.fixture
async def stack(fresh_database: TestDatabase, cluster: Cluster) -> AsyncIterator[Stack]:
    async with open_stack(fresh_database, cluster.redis_url) as stack, Redis.from_url(cluster.redis_url) as redis:
        await redis.flushall()  # this test process's own Valkey
        yield stack


@pytest_asyncio.fixture
async def queue(cluster: Cluster) -> AsyncIterator[Queue]:
    queue = await open_queue(cluster.redis_url)
    yield queue
    await queue.redis.aclose(close_connection_pool=True)


async def rung(queue: Queue) -> list[tuple[str, ...]]:
    jobs = await queue.redis.queued_jobs()
    return [(job.function, *job.args) for job in jobs]


def tick_of(stack: Stack, name: str) -> Tick:
    return next(tick for tick in ticks(stack.services) if tick.name == name)


async def test_of_two_workers_one_ticks(stack: Stack, queue: Queue) -> None:
    await make_lead(stack)
    tick = tick_of(stack, "dispatch")

    counts = await asyncio.gather(*(Ticker(queue, stack.services).tick(tick) for _ in range(2)))

    assert sorted(counts) == [0, 1]
    assert await rung(queue) == [("dispatch_tenant", str(stack.tenant_id))]
    assert await queue.redis.ttl(TICK_KEY) > 0


async def test_a_tick_rings_for_nobody_who_has_no_work(stack: Stack, queue: Queue) -> None:
    for name in ("dispatch", "resolve", "sweep"):
        assert await Ticker(queue, stack.services).tick(tick_of(stack, name)) == 0

    assert await rung(queue) == []


async def test_a_tick_after_its_time_rings_again(stack: Stack, queue: Queue) -> None:
    tick = Tick("dispatch", 600, "dispatch_tenant", stack.services.lookups.tenants)
    ticker = Ticker(queue, stack.services)

    assert await ticker.tick(tick) == 1
    assert await ticker.tick(tick) == 0
    assert 0 < await queue.redis.ttl("lead:tick:dispatch") <= 480  # a tick may be early by its jitter
    await queue.redis.pexpire("lead:tick:dispatch", 1)
    await until_elapsed(0.01)
    assert await ticker.tick(tick) == 1


async def test_a_tick_that_fails_does_not_end_the_others_nor_itself(stack: Stack, queue: Queue) -> None:
    calls: list[str] = []

    async def broken() -> list[object]:
        calls.append("broken")
        raise RuntimeError("a defect")

    tick = Tick("broken", 0.02, "dispatch_tenant", broken)  # type: ignore[arg-type]  # it never returns
    ticker = Ticker(queue, stack.services)
    forever = asyncio.create_task(ticker._forever(tick))  # noqa: SLF001 - its endlessness is what is tested

    async with asyncio.timeout(5):
        while len(calls) < 3:  # noqa: ASYNC110 - the tick runs by itself
            await asyncio.sleep(0.02)
    forever.cancel()
    await asyncio.gather(forever, return_exceptions=True)


def test_intervals_are_those_of_the_settings(stack: Stack) -> None:
    settings = load_settings(dispatch_interval_seconds=7, poll_interval_seconds=0.5)
    services = type(stack.services)(**{**vars(stack.services), "settings": settings})

    seconds = {tick.name: tick.seconds for tick in ticks(services)}

    assert (seconds["dispatch"], seconds["poll"], seconds["sweep"]) == (7, 0.5, 2.0)
    assert load_settings(scheduler_interval_ms=250).dispatch_interval == 0.25


def test_jobs_travel_as_json() -> None:
    assert deserialize(serialize({"f": "prune", "a": ("x",)})) == {"f": "prune", "a": ["x"]}


async def test_a_bell_that_cannot_be_rung_is_no_error(stack: Stack, cluster: Cluster) -> None:
    async with Relay.to(cluster.redis_url) as relay:
        queue = await open_queue(relay.url)
        await relay.cut()

        await queue.due(stack.tenant_id)

        await queue.redis.aclose(close_connection_pool=True)


def context(stack: Stack, queue: Queue) -> Context:
    return Context(services=stack.services, queue=queue, job_id="test")


async def executions(stack: Stack) -> list[tuple[str, str, int]]:
    rows = await stack.rows("SELECT job, status, processed FROM job_executions ORDER BY id")
    return [(row["job"], row["status"], row["processed"]) for row in rows]


async def test_a_job_leaves_a_line_when_it_did_something_and_none_when_not(stack: Stack, queue: Queue) -> None:
    await make_lead(stack)

    for job in (dispatch_tenant, dispatch_tenant, resolve_unknown, sweep_events):
        await job(context(stack, queue), str(stack.tenant_id))

    assert await executions(stack) == [("dispatch_tenant", "OK", 1)]


async def test_a_tenant_with_more_goes_to_the_end_of_the_queue(stack: Stack, queue: Queue) -> None:
    batch = DispatchPolicy().batch
    leads = [await make_lead(stack) for _ in range(batch + 1)]

    await dispatch_tenant(context(stack, queue), str(stack.tenant_id))

    assert len(stack.texts()) == batch
    assert await rung(queue) == [("dispatch_tenant", str(stack.tenant_id))]
    await dispatch_tenant(context(stack, queue), str(stack.tenant_id))
    assert len(await rung(queue)) == 1
    assert {(await touches(stack, lead.id))[0]["status"] for lead in leads} == {"SENT"}


async def test_executions_are_forgotten_after_two_weeks(stack: Stack, queue: Queue) -> None:
    await make_lead(stack)
    await dispatch_tenant(context(stack, queue), str(stack.tenant_id))
    await prune(context(stack, queue), str(stack.tenant_id))
    assert len(await executions(stack)) == 1

    async with stack.services.tenancy.write(stack.scope) as session:
        await session.execute(text("UPDATE job_executions SET started_at = started_at - interval '15 days'"))
    await prune(context(stack, queue), str(stack.tenant_id))

    assert await executions(stack) == []


async def test_a_walk_goes_on_after_the_last_tenant_served_and_comes_round(stack: Stack, queue: Queue) -> None:
    every = [UUID(int=number) for number in range(1, 6)]

    async def page(after: UUID | None, most: int) -> list[UUID]:
        return [tenant for tenant in every if after is None or tenant > after][:most]

    tick = Tick("walk", 0.02, "dispatch_tenant", Walk(page, most=2))
    served = []
    for _ in range(4):
        await Ticker(queue, stack.services).tick(tick)  # each time another worker's
        served.append([int(UUID(arguments[0])) for _, *arguments in await rung(queue)])
        await queue.redis.delete("arq:queue", "lead:tick:walk")

    assert [sorted(tenants) for tenants in served] == [[1, 2], [3, 4], [1, 5], [2, 3]]


async def test_a_walk_waits_until_those_it_rang_are_served(stack: Stack, queue: Queue) -> None:
    await make_lead(stack)
    for number in range(3):
        await queue.redis.zadd("arq:queue", {f"other{number}": number})
    tick = Tick("walk", 0.02, "dispatch_tenant", Walk(stack.services.lookups.due_messages, enough=2))

    assert await Ticker(queue, stack.services).tick(tick) == 0
    await queue.redis.delete("arq:queue", "lead:tick:walk")
    assert await Ticker(queue, stack.services).tick(tick) == 1
