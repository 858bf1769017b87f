"""To another franchise it makes no difference whether ours exists: not even a count, an order or a price tells of it."""

from __future__ import annotations

import json

from graphql import OperationType

from tests.database import Cluster
from tests.graphql.cross_tenant.arena import Arena, open_arena
from tests.graphql.cross_tenant.conftest import ABANDONED
from tests.graphql.cross_tenant.forging import Forger, exact
from tests.graphql.cross_tenant.fuzz import Fuzz, ask, operations
from tests.graphql.cross_tenant.pools import pools_of
from tests.graphql.cross_tenant.seeds import Franchise, Seed
from tests.graphql.cross_tenant.test_attacks import SEED

pytestmark = ABANDONED
COMPARED = 120


async def _remove(arena: Arena, franchise: Franchise) -> None:
    side = arena.side(franchise)
    async with arena.admin.transaction():
        await arena.admin.execute("SET LOCAL session_replication_role = replica")  # no foreign key is looked at
        removed = [(table.name, rows) for table in side.schema.tables.values() if (rows := side.rows_of(table))]
        for name, rows in sorted(removed, key=lambda one: one[0] == "locations"):
            await arena.admin.execute(f"DELETE FROM {name} WHERE {rows}")  # noqa: S608 - the catalog's names


async def test_answers_are_those_of_a_world_without_our_franchise(cluster: Cluster, seed: Seed) -> None:
    template = seed.database.name
    async with (
        cluster.clone("with", template=template) as whole,
        cluster.clone("without", template=template) as rest,
        open_arena(whole, seed) as arena,
        open_arena(rest, seed) as absent,
    ):
        callers = [caller for caller in await arena.strangers() if not caller.administers]
        pools = await pools_of(arena, callers)
        fuzz = Fuzz(arena, await operations(arena, OperationType.QUERY), SEED)
        await _remove(absent, seed.ours)
        different = []
        for number in range(COMPARED):
            operation, caller = fuzz.known[number % len(fuzz.known)], fuzz.rng.choice(callers)
            document = fuzz.rng.choice(fuzz.documents(operation))
            make = Forger(arena.core, fuzz.rng, *pools[caller.name]).forged if number >= len(fuzz.known) else exact
            variables, token = make(document, operation.arguments), caller.token()
            way = fuzz.rng.choice(["planned", "plain"])
            one, other = [await ask(getattr(at, way), token, document.text, variables) for at in (arena, absent)]
            if one != other:
                different.append(
                    f"{operation.root.name} as {caller.name}\n{json.dumps(one)[:800]}\n{json.dumps(other)[:800]}"
                )

    assert not different, "\n\n".join(different[:3])
