"""What happens to our franchise is told to nobody else, whatever they subscribe to."""

from __future__ import annotations

import random
import sys
from collections import Counter

import pytest
from graphql import OperationType

from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.cross_tenant.arena import Arena
from tests.graphql.cross_tenant.conftest import ABANDONED
from tests.graphql.cross_tenant.documents import Writer
from tests.graphql.cross_tenant.forging import exact
from tests.graphql.cross_tenant.fuzz import operations
from tests.graphql.cross_tenant.subscribing import PATIENCE, happen, listen
from tests.graphql.cross_tenant.test_attacks import SEED
from tests.graphql.subscriptions.client import connected

pytestmark = ABANDONED
ROUNDS = 2


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


@pytest.mark.parametrize("whose", ["strangers", "colleagues"])
async def test_nobody_is_told_what_happens_to_others(
    arena: Arena, capsys: pytest.CaptureFixture[str], whose: str
) -> None:
    callers = await (arena.strangers() if whose == "strangers" else arena.colleagues())
    problems: list[str] = []
    figures: Counter[str] = Counter()
    for caller in callers:
        heard = await listen(arena, caller, seed=SEED, rounds=ROUNDS)
        figures[caller.name] = heard.attempts.total()
        problems += heard.problems
        assert heard.told or caller.name == "nobody", f"nothing happened while {caller.name} listened"

    with capsys.disabled():
        told = "\n".join(f"  {name:38} subscription {number:3}" for name, number in figures.items())
        print(f"\n{figures.total()} subscriptions, {len(problems)} that told anything:\n{told}", file=sys.stderr)  # noqa: T201 - to be seen
    assert not problems, "\n\n".join(problems[:5])
