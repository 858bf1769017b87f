"""The api as a process of its own, killed and started again, with the JavaScript client as its peer."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import text

from lead_orchestrator.graphql.events.wake import Bell
from lead_orchestrator.leads.models import Lead, LeadSource
from lead_orchestrator.leads.service import Enquiry
from tests.database import Cluster, TestDatabase
from tests.factories import phone_number
from tests.graphql.subscriptions.client import connected
from tests.graphql.subscriptions.javascript import javascript_peer
from tests.processes import api_process
from tests.serving import bearer
from tests.stack import Stack, open_stack


@pytest_asyncio.fixture
async def stack(fresh_database: TestDatabase, cluster: Cluster, free_port: int) -> AsyncIterator[Stack]:
    async with (
        open_stack(fresh_database, cluster.redis_url, port=free_port) as stack,
        Redis.from_url(cluster.redis_url) as redis,
    ):
        bell = Bell(redis)
        stack.services.tenancy.on_events = bell.ring
        yield stack
        await bell.close()


@pytest.fixture
def free_port() -> int:
    """A port that nobody has at the moment: the server comes back on the same one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


async def test_the_javascript_client_misses_nothing_when_the_server_is_killed(stack: Stack, tmp_path: Path) -> None:
    lead = await a_lead(stack)
    token = bearer(stack)["Authorization"].removeprefix("Bearer ")
    url = f"ws://127.0.0.1:{stack.settings.port}/graphql"
    async with AsyncExitStack() as closing:
        server = await closing.enter_async_context(api_process(stack.settings, tmp_path / "log"))
        start = await newest(stack)
        peer = await closing.enter_async_context(javascript_peer(url, token, f"lev_{start}"))
        await peer.until("connected")
        await happen(stack, lead, "test.before", 3)
        seen = await peer.events(3)

        server.kill()
        await server.wait()
        await peer.until("closed")
        await happen(stack, lead, "test.meanwhile", 120)
        await closing.enter_async_context(api_process(stack.settings, tmp_path / "log"))
        seen += await peer.events(120)
        await happen(stack, lead, "test.after", 3)
        seen += await peer.events(3)
    kinds = [event["kind"] for event in seen]
    assert kinds == ["test.before"] * 3 + ["test.meanwhile"] * 120 + ["test.after"] * 3
    positions = [int(event["cursor"].removeprefix("lev_")) for event in seen]
    assert positions == list(range(start + 1, start + 127))


async def test_the_javascript_client_is_told_in_a_way_it_understands(stack: Stack, tmp_path: Path) -> None:
    lead = await a_lead(stack)
    token = bearer(stack)["Authorization"].removeprefix("Bearer ")
    url = f"ws://127.0.0.1:{stack.settings.port}/graphql"
    async with api_process(stack.settings, tmp_path / "log") as server:
        async with javascript_peer(url, "junk", "lev_0") as stranger:
            assert await stranger.until("closed") == {"closed": 4401}
            assert (await stranger.until("error"))["code"] == 4401
        async with javascript_peer(url, token, "lev_999999") as ahead:
            assert "no event has the cursor" in (await ahead.until("error"))["error"]
        start = await newest(stack)
        async with javascript_peer(url, token, f"lev_{start}") as peer:
            await peer.until("connected")
            await happen(stack, lead, "test.before", 1)
            await peer.events(1)
            async with asyncio.timeout(1.5):  # half a second between two looks at Postgres, and the way
                await suspend(stack)
                assert await peer.until("closed") == {"closed": 4403}
            assert (await peer.until("error"))["code"] == 4401
        server.terminate()
        assert await server.wait() == -signal.SIGTERM, "it passes the signal on once it has ended"


async def test_a_server_that_is_asked_to_end_sends_its_clients_away(stack: Stack, tmp_path: Path) -> None:
    async with AsyncExitStack() as closing:
        server = await closing.enter_async_context(api_process(stack.settings, tmp_path / "log"))
        token = bearer(stack)["Authorization"].removeprefix("Bearer ")
        peer = await closing.enter_async_context(connected(f"http://127.0.0.1:{stack.settings.port}", token))
        await peer.subscribe()
        await peer.in_step()
        server.terminate()
        assert (await peer.closed())[0] == 1012
        assert await server.wait() == -signal.SIGTERM, "it passes the signal on once it has ended"


async def a_lead(stack: Stack) -> Lead:
    """A lead of the stack's tenant."""
    location = next(iter(stack.locations.values()))
    enquiry = Enquiry(location_id=location, source=LeadSource.API, first_name="Ada", phone=phone_number())
    async with stack.services.tenancy.write(stack.scope) as session:
        return (await stack.services.leads.receive(session, enquiry)).lead


async def happen(stack: Stack, lead: Lead, kind: str, times: int) -> None:
    """So many commits, each with one event."""
    for _ in range(times):
        async with stack.services.tenancy.write(stack.scope) as session:
            session.record(kind, location_id=lead.location_id, lead_id=lead.id)


async def newest(stack: Stack) -> int:
    rows = await stack.rows("SELECT position FROM tenant_heads")
    return int(rows[0]["position"])


async def suspend(stack: Stack) -> None:
    async with stack.services.tenancy.platform() as session:
        statement = "UPDATE tenants SET status = 'SUSPENDED', status_changed_at = now() WHERE id = :id"
        await session.execute(text(statement), {"id": stack.tenant_id})
