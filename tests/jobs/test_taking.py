"""Which jobs a worker takes from the queue, and that no other takes the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest_asyncio
from redis.asyncio import Redis

from lead_orchestrator.jobs.worker import TAKE_JOBS
from tests.database import Cluster

NOW = 1_000


@pytest_asyncio.fixture
async def redis(cluster: Cluster) -> AsyncIterator[Redis]:
    async with Redis.from_url(cluster.redis_url, decode_responses=True) as redis:
        await redis.flushall()
        yield redis


async def take(redis: Redis, jobs: Sequence[str], most: int) -> dict[str, int]:
    keys = ["queue", *(f"running:{job}" for job in jobs)]
    taken = await redis.register_script(TAKE_JOBS)(keys=keys, args=[most, 60_000, NOW, *jobs])
    return {job: int(score) for job, score in zip(taken[::2], taken[1::2], strict=True)}


async def test_what_runs_elsewhere_is_over_or_is_for_later_is_left(redis: Redis) -> None:
    await redis.zadd("queue", {"dead": 1, "waits": 2, "later": NOW + 1})
    await redis.set("running:dead", "1")

    assert await take(redis, ["dead", "waits", "later", "over"], 10) == {"waits": 2}

    assert sorted(await redis.keys("running:*")) == ["running:dead", "running:waits"]
    assert 0 < await redis.pttl("running:waits") <= 60_000


async def test_no_more_are_taken_than_there_is_room_for(redis: Redis) -> None:
    await redis.zadd("queue", {"first": 1, "second": 2, "third": 3})

    assert await take(redis, ["first", "second", "third"], 2) == {"first": 1, "second": 2}
    assert await take(redis, ["first", "second", "third"], 2) == {"third": 3}


async def test_each_job_is_taken_by_one_of_many(redis: Redis) -> None:
    jobs = [f"job{number}" for number in range(200)]
    await redis.zadd("queue", dict.fromkeys(jobs, 1))

    shares = await asyncio.gather(*(take(redis, jobs, 50) for _ in range(8)))

    assert sorted(job for share in shares for job in share) == sorted(jobs)
    assert [len(share) for share in shares] == [50] * 4 + [0] * 4
