"""When a socket must end: its token, its user, its franchise, a client that does not read, a server that goes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from lead_orchestrator.db import Engines
from lead_orchestrator.tenancy.revocation import Revocation, RevocationKind
from lead_orchestrator.tenancy.secrets import SecretBox
from tests.database import Cluster
from tests.graphql.conftest import Franchise
from tests.graphql.subscriptions.client import connected
from tests.graphql.subscriptions.conftest import Live, make_franchise, open_live

CURSOR = "subscription($after: String) { leadEvents(after: $after) { cursor detail } }"


@pytest.mark.parametrize("kind", [RevocationKind.GENERATION, RevocationKind.SESSION, RevocationKind.TENANT_SUSPENDED])
async def test_a_revocation_ends_the_socket_within_a_second(live: Live, ours: Franchise, kind: RevocationKind) -> None:
    session, user = uuid4(), f"user-{uuid4()}"
    token = live.api.token(ours.tenant.id, subject=user, session_id=session, generation=2)
    key = {RevocationKind.GENERATION: user, RevocationKind.SESSION: str(session)}.get(kind, str(ours.tenant.id))
    async with live.connected(token) as peer:
        await peer.subscribe()
        await peer.in_step()
        live.revocations.apply([Revocation(kind, key, generation=3)])
        code, reason = await peer.closed(1.0)
    assert code == 4403
    assert "revoked" in reason
    async with live.opened() as again:
        await again.say(type="connection_init", payload={"token": token})
        assert (await again.closed())[0] == 4401


async def test_a_revocation_leaves_the_others_alone(live: Live, ours: Franchise, theirs: Franchise) -> None:
    gone = live.api.token(ours.tenant.id, subject="who-goes", generation=2)
    kept = live.api.token(theirs.tenant.id, subject="who-stays", generation=2)
    async with live.connected(gone) as left, live.connected(kept) as stays:
        live.revocations.apply([Revocation(RevocationKind.GENERATION, "who-goes", generation=3)])
        await left.closed(1.0)
        await stays.in_step()


async def test_a_socket_ends_with_its_token(live: Live, ours: Franchise) -> None:
    token = live.api.token(ours.tenant.id, lifetime=timedelta(seconds=2))
    async with live.connected(token) as peer:
        await peer.subscribe()
        assert (await peer.closed(3.0))[0] == 4403
    async with live.opened() as again:
        await again.say(type="connection_init", payload={"token": token})
        assert (await again.closed())[0] == 4401


async def test_a_client_that_does_not_read_is_closed_with_a_cursor_and_loses_nothing(
    live: Live, ours: Franchise
) -> None:
    detail = {"pad": "x" * 400_000}
    got: list[str] = []
    async with live.connected(ours.owner) as peer:
        await peer.subscribe("1", CURSOR)
        await peer.in_step()
        for _ in range(4):
            async with live.tenancy.write(ours.tenant.scope) as session:
                for _ in range(20):
                    session.record("test.large", location_id=ours.tenant.location, lead_id=ours.lead.id, detail=detail)
        await until_left(live)
        cursors, code, reason = await peer.rest()
    got += cursors
    assert code == 1013
    assert reason.endswith(f"after {cursors[-1]}")
    async with live.connected(ours.owner) as peer:
        await peer.subscribe("1", CURSOR, after=got[-1])
        while len(got) < 80:
            got.append((await peer.event())["cursor"])
        await peer.in_step()
    positions = [int(cursor.removeprefix("lev_")) for cursor in got]
    assert positions == list(range(positions[0], positions[0] + 80))


async def test_others_go_on_while_one_does_not_read(live: Live, ours: Franchise) -> None:
    detail = {"pad": "x" * 400_000}
    async with live.connected(ours.owner) as stuck, live.connected(ours.owner) as reads:
        for peer in (stuck, reads):
            await peer.subscribe("1", CURSOR)
            await peer.in_step()
        for _ in range(2):
            async with live.tenancy.write(ours.tenant.scope) as session:
                for _ in range(20):
                    session.record("test.large", location_id=ours.tenant.location, lead_id=ours.lead.id, detail=detail)
        assert len([await reads.event() for _ in range(40)]) == 40


async def test_a_server_that_goes_tells_its_clients_to_come_back(
    engines: Engines, secret_box: SecretBox, cluster: Cluster
) -> None:
    async with open_live(engines, secret_box, cluster.redis_url) as live:
        ours = await make_franchise(live, secret_box)
        opening = connected(live.address, ours.owner)
        peer = await opening.__aenter__()
        await peer.subscribe()
        await peer.in_step()
    assert (await peer.closed())[0] == 1012
    await opening.__aexit__(None, None, None)


async def until_left(live: Live) -> None:
    """Until the server has given up on somebody."""
    async with asyncio.timeout(10):
        while not live.sockets.registry.slow:  # noqa: ASYNC110 - it rings no bell
            await asyncio.sleep(0.02)
    live.sockets.registry.slow = 0
