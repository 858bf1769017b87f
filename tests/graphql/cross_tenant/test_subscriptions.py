"""What happens to a franchise is told to itself; `test_attacks` has that it is told to nobody else."""

from __future__ import annotations

import random

from graphql import OperationType

from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.cross_tenant.arena import Arena
from tests.graphql.cross_tenant.conftest import ABANDONED
from tests.graphql.cross_tenant.documents import Writer
from tests.graphql.cross_tenant.forging import exact
from tests.graphql.cross_tenant.fuzz import operations
from tests.graphql.cross_tenant.subscribing import PATIENCE, happen
from tests.graphql.subscriptions.client import connected

pytestmark = ABANDONED


async def test_every_subscription_tells_its_franchise(arena: Arena) -> None:
    ours = arena.seed.ours
    side = arena.side(ours, ours.hidden)
    canaries = await arena.secrets(arena.side(ours))
    lacking = []
    for operation in await operations(arena, OperationType.SUBSCRIPTION):
        document = Writer(arena.core, random.Random(1)).write(operation.root, 0, 1)  # noqa: S311 - no secret
        async with connected(arena.address, arena.token(ours, Role.OWNER)) as peer:
            await peer.subscribe("it", document.text, **exact(document, operation.arguments))
            await peer.in_step()
            await happen(arena, side)
            heard = await peer.hear(PATIENCE)
        if heard["type"] != "next" or not canaries.found(heard["payload"]):
            lacking.append(f"{operation.root.name} told its franchise nothing: {heard}")

    assert not lacking, "\n".join(lacking)
