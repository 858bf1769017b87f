"""What the fuzz denies to others works for whom it belongs to, so that a denial proves something."""

from __future__ import annotations

import pytest
from graphql import OperationType

from lead_orchestrator.graphql.schema import core_schema
from tests.database import Cluster
from tests.graphql.cross_tenant.arena import Arena, open_arena
from tests.graphql.cross_tenant.documents import roots
from tests.graphql.cross_tenant.fuzz import operations
from tests.graphql.cross_tenant.seeds import Seed
from tests.graphql.cross_tenant.twins import refusal

MUTATIONS = [root.name for root in roots(core_schema(), OperationType.MUTATION)]


async def test_every_query_shows_its_franchise_something(arena: Arena) -> None:
    lacking = [told for one in await operations(arena, OperationType.QUERY) if (told := await refusal(arena, one))]

    assert not lacking, "\n\n".join(lacking)


@pytest.mark.parametrize("name", MUTATIONS)
async def test_every_mutation_works_for_its_franchise(cluster: Cluster, seed: Seed, name: str) -> None:
    async with cluster.clone("twin", template=seed.database.name) as database, open_arena(database, seed) as arena:
        [operation] = await operations(arena, OperationType.MUTATION, only=[name])

        lacking = await refusal(arena, operation)

    assert not lacking, lacking
