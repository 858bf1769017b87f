"""A caller who calls too often waits, wherever its calls arrive; without Redis each process still counts."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from structlog.testing import capture_logs

from lead_orchestrator.errors import RateLimitedError
from lead_orchestrator.tenancy.public.limits import READ, WRITE, PublicLimits, Rate, Rates
from tests.database import Cluster

RATES = Rates(reads=Rate(6, 6), writes=Rate(3, 3))


@pytest_asyncio.fixture
async def redis(cluster: Cluster) -> AsyncIterator[Redis]:
    redis = Redis.from_url(cluster.redis_url)
    yield redis
    await redis.aclose()


def some_address() -> str:
    return f"2001:db8:{secrets.randbelow(65536):x}:{secrets.randbelow(65536):x}::1"


async def spent(limits: PublicLimits, address: str | None, kind: str = WRITE) -> int:
    """How often this address may call until it is refused."""
    for number in range(1_000):
        try:
            await limits.spend_by_address(address, kind)
        except RateLimitedError:
            return number
    raise AssertionError("never refused")


async def test_each_address_has_as_many_calls_as_its_rate_says_and_reads_are_counted_apart(redis: Redis) -> None:
    limits, one, other = PublicLimits(redis, RATES), some_address(), some_address()

    assert (await spent(limits, one), await spent(limits, other)) == (3, 3)
    assert await spent(limits, one, READ) == 6


async def test_all_processes_share_a_budget(redis: Redis) -> None:
    address = some_address()

    spending = [spent(PublicLimits(redis, RATES), address) for _ in range(4)]

    assert sum(await asyncio.gather(*spending)) == 3


async def test_a_network_of_addresses_is_one_caller(redis: Redis) -> None:
    limits, line = PublicLimits(redis, RATES), some_address()

    assert await spent(limits, line) == 3
    assert await spent(limits, line.removesuffix("1") + "beef") == 0
    assert await spent(limits, line + "%eth0") == 0


async def test_an_address_written_in_another_way_is_the_same_caller(redis: Redis) -> None:
    limits = PublicLimits(redis, RATES)
    address = f"198.51.100.{secrets.randbelow(256)}"

    first = await spent(limits, address)
    assert await spent(limits, f"::ffff:{address}") == 0
    assert first <= 3


async def test_a_refusal_says_when_to_come_back_and_then_one_call_fits(redis: Redis) -> None:
    now = [0.0]
    limits, address = PublicLimits(redis, RATES, clock=lambda: now[0]), some_address()
    await spent(limits, address)

    with pytest.raises(RateLimitedError, match="3 calls a minute") as refused:
        await limits.spend_by_address(address, WRITE)

    assert 1 <= refused.value.retry_after <= 20
    now[0] += 20
    await redis.flushall()
    assert await spent(limits, address) == 1


async def test_a_flush_forgets_no_caller_of_a_running_process(redis: Redis) -> None:
    limits, address = PublicLimits(redis, RATES), some_address()
    await spent(limits, address)

    await redis.flushall()
    await redis.script_flush()

    assert await spent(limits, address) == 0
    assert await spent(limits, some_address()) == 3


async def test_without_redis_each_process_counts_by_itself() -> None:
    away = Redis(host="127.0.0.1", port=1)
    limits, address = PublicLimits(away, RATES), some_address()

    with capture_logs() as lines:
        assert await spent(limits, address) == 3
        assert await spent(limits, None) == 3

    assert [line["event"] for line in lines] == ["limits_of_this_process_only"]
    await away.aclose()


async def test_a_redis_that_does_not_answer_costs_a_moment_and_then_nothing() -> None:
    connected, closed = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()  # until the client hangs up
        writer.close()
        await writer.wait_closed()
        closed.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    hanging = Redis(host="127.0.0.1", port=server.sockets[0].getsockname()[1])

    assert await spent(PublicLimits(hanging, RATES), some_address()) == 3

    assert connected.is_set()
    await hanging.aclose()
    await asyncio.wait_for(closed.wait(), 30)
    server.close()


async def test_no_address_is_kept_in_redis(redis: Redis) -> None:
    await redis.flushall()
    await PublicLimits(redis, RATES).spend_by_address("203.0.113.9", WRITE)

    keys = await redis.keys("lead:public:*")
    assert len(keys) == 1
    assert b"203.0.113" not in keys[0]
    assert 0 < await redis.pttl(keys[0]) <= 60_000
