"""Redis only wakes: whatever it loses or makes up, every event arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from time import perf_counter
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from lead_orchestrator.db import Engines
from lead_orchestrator.graphql.events.wake import CHANNEL, Bell
from lead_orchestrator.tenancy.secrets import SecretBox
from tests.database import Cluster
from tests.graphql.conftest import Franchise
from tests.graphql.subscriptions.conftest import Live, make_franchise, open_live


async def test_a_wake_up_that_was_lost_is_found_by_the_look_up(
    engines: Engines, secret_box: SecretBox, cluster: Cluster
) -> None:
    async with open_live(engines, secret_box, cluster.redis_url, rings=False) as live:
        ours = await make_franchise(live, secret_box)
        async with live.connected(ours.owner) as peer:
            await peer.subscribe()
            await peer.in_step()
            await live.happen(ours, "test.silent")
            started = perf_counter()
            assert await peer.kinds(1) == ["test.silent"]
            assert perf_counter() - started < 1.5


async def test_a_wake_up_is_faster_than_the_look_up(engines: Engines, secret_box: SecretBox, cluster: Cluster) -> None:
    async with open_live(engines, secret_box, cluster.redis_url, look_up_seconds=3600) as live:
        ours = await make_franchise(live, secret_box)
        await until_listening(live)
        async with live.connected(ours.owner) as peer:
            await peer.subscribe()
            await peer.in_step()
            await live.happen(ours, "test.told")
            assert await peer.kinds(1) == ["test.told"]


async def test_all_sockets_of_a_process_share_one_connection_to_redis(
    engines: Engines, secret_box: SecretBox, cluster: Cluster
) -> None:
    async with open_live(engines, secret_box, cluster.redis_url) as live, AsyncExitStack() as stack:
        ours, theirs = [await make_franchise(live, secret_box) for _ in range(2)]
        await until_listening(live)
        before = await listeners(live)
        for franchise in (ours, theirs) * 3:
            peer = await stack.enter_async_context(live.connected(franchise.owner))
            await peer.subscribe()
            await peer.in_step()

        assert await listeners(live) == before


async def listeners(live: Live) -> int:
    """How many connections to Redis wait for messages."""
    return sum(int(client["sub"]) > 0 for client in await live.redis.client_list())


async def test_the_listener_comes_back_when_redis_does(
    engines: Engines, secret_box: SecretBox, cluster: Cluster
) -> None:
    async with open_live(engines, secret_box, cluster.redis_url) as live:
        ours = await make_franchise(live, secret_box)
        await until_listening(live)
        async with live.connected(ours.owner) as peer:
            await peer.subscribe()
            await peer.in_step()
            await live.redis.client_kill_filter(_type="pubsub")
            await live.redis.flushall()
            await live.happen(ours, "test.meanwhile")
            assert await peer.kinds(1) == ["test.meanwhile"]
            await until_listening(live)
            await live.happen(ours, "test.after")
            assert await peer.kinds(1) == ["test.after"]


async def test_what_is_rung_at_once_is_one_message(cluster: Cluster) -> None:
    async with Redis.from_url(cluster.redis_url) as redis, redis.pubsub() as channel:
        await channel.subscribe(CHANNEL)
        bell, tenants, last = Bell(redis), [uuid4() for _ in range(3)], uuid4()
        for position in range(1, 101):
            for tenant_id in tenants:
                bell.ring(tenant_id, position)
        await bell.close()
        bell.ring(last, 1)
        await bell.close()
        told = [data async for data in _until(channel, f"{last}:1")]

    assert [data for data in told if str(tenants[0]) in data] == [" ".join(f"{tenant_id}:100" for tenant_id in tenants)]


async def _until(channel: PubSub, last: str) -> AsyncIterator[str]:
    """The messages before the last, which may be for others as well."""
    async with asyncio.timeout(20):
        async for message in channel.listen():
            data = message["data"].decode() if message["type"] == "message" else ""
            if last in data:
                return
            yield data


async def test_what_redis_makes_up_changes_nothing(live: Live, ours: Franchise) -> None:
    async with live.connected(ours.owner) as peer:
        await peer.subscribe()
        await peer.in_step()
        for nonsense in ("", "no:number", f"{ours.tenant.id}:x", f"{ours.tenant.id}:999999999", f"{ours.tenant.id}:-1"):
            await live.redis.publish(CHANNEL, nonsense)
        await live.happen(ours, "test.first")
        await live.happen(ours, "test.second")
        assert await peer.kinds(2) == ["test.first", "test.second"]
        await peer.in_step()


async def test_a_commit_does_not_wait_for_redis(engines: Engines, secret_box: SecretBox) -> None:
    async with open_live(engines, secret_box, "redis://127.0.0.1:1/0") as live:
        ours = await make_franchise(live, secret_box)
        async with live.connected(ours.owner) as peer:
            await peer.subscribe()
            await peer.in_step()
            await live.happen(ours, "test.without")
            assert await peer.kinds(1) == ["test.without"]


async def until_listening(live: Live) -> None:
    async with asyncio.timeout(10):
        while not (await live.redis.pubsub_numsub(CHANNEL))[0][1]:  # noqa: ASYNC110 - it rings no bell
            await asyncio.sleep(0.02)
