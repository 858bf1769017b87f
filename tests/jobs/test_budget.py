"""The rate at which one franchise's messages leave, whatever the number of workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import UUID

import pytest_asyncio

from lead_orchestrator.jobs.budget import TokenBucket
from lead_orchestrator.jobs.queue import Queue, open_queue
from lead_orchestrator.jobs.work import Context, dispatch_tenant
from tests.database import Cluster, TestDatabase
from tests.jobs.relay import Relay
from tests.messaging.leads import make_lead
from tests.stack import Stack, open_stack
from tests.waiting import until_elapsed

ONE, OTHER = UUID(int=1), UUID(int=2)


@pytest_asyncio.fixture
async def queue(cluster: Cluster) -> AsyncIterator[Queue]:
    queue = await open_queue(cluster.redis_url)
    await queue.redis.flushall()  # this test process's own Valkey
    yield queue
    await queue.redis.aclose(close_connection_pool=True)


async def test_all_workers_together_are_granted_no_more_than_the_rate(queue: Queue) -> None:
    workers = [TokenBucket(queue.redis, 20) for _ in range(3)]
    started = time.monotonic()

    grants = await asyncio.gather(*(worker.take(ONE, 10) for worker in workers))

    came_in = 20 * (time.monotonic() - started)
    assert 20 <= sum(grant.count for grant in grants) <= 20 + came_in + 1
    assert (await workers[0].take(OTHER, 10)).count == 10


async def test_whoever_is_granted_nothing_is_told_when_to_come_again(queue: Queue) -> None:
    bucket = TokenBucket(queue.redis, 1)
    await bucket.take(ONE, 1)

    nothing = await bucket.take(ONE, 1)
    assert nothing.count == 0
    assert 0 < nothing.wait <= 1
    await until_elapsed(nothing.wait + 0.01)

    assert (await bucket.take(ONE, 1)).count == 1


async def test_what_was_not_needed_is_there_for_the_next(queue: Queue) -> None:
    bucket = TokenBucket(queue.redis, 0.1)  # one in ten seconds
    assert (await bucket.take(ONE, 5)).count == 1
    assert (await bucket.take(ONE, 5)).count == 0

    await bucket.give_back(ONE, 1)
    assert (await bucket.take(ONE, 5)).count == 1

    await bucket.give_back(ONE, 100)  # never more than it holds
    assert (await bucket.take(ONE, 100)).count == 1


async def test_without_redis_nothing_is_limited(cluster: Cluster) -> None:
    async with Relay.to(cluster.redis_url) as relay:
        queue = await open_queue(relay.url)
        bucket = TokenBucket(queue.redis, 1)
        await bucket.take(ONE, 1)
        await relay.cut()

        assert (await bucket.take(ONE, 10)).count == 10
        await bucket.give_back(ONE, 1)
        await queue.redis.aclose(close_connection_pool=True)


async def test_a_batch_is_as_large_as_the_budget_and_the_rest_is_rung_for(
    fresh_database: TestDatabase, cluster: Cluster, queue: Queue
) -> None:
    async with open_stack(fresh_database, cluster.redis_url) as stack:
        leads = [await make_lead(stack) for _ in range(5)]
        stack.services.dispatcher.budget = TokenBucket(queue.redis, 3)
        context: Context = {"services": stack.services, "queue": queue, "job_id": "test"}

        await dispatch_tenant(context, str(stack.tenant_id))
        assert len(stack.texts()) == 3
        assert await rung(stack, queue) == 1

        await queue.redis.delete("arq:queue")
        await stack.services.dispatcher.budget.take(stack.tenant_id, 3)
        await dispatch_tenant(context, str(stack.tenant_id))
        assert len(stack.texts()) == 3
        assert await rung(stack, queue) == 1  # as soon as there is a token

        sent = await stack.services.dispatcher.dispatch(stack.tenant_id, leads[4].id)
        assert sent.outcomes == {"SENT": 1}  # whoever just asked is not kept waiting


async def rung(stack: Stack, queue: Queue) -> int:
    jobs = await queue.redis.queued_jobs()
    return sum((job.function, *job.args) == ("dispatch_tenant", str(stack.tenant_id)) for job in jobs)
