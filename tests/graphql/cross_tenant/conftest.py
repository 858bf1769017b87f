"""The seed is made once for each test process; whoever writes works on a clone of it."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator, Mapping

import asyncpg
import pytest
import pytest_asyncio
from graphql import OperationType

from lead_orchestrator.sandbox.seed import demo_world
from lead_orchestrator.sandbox.server import SandboxServer
from tests.database import Cluster
from tests.graphql.cross_tenant.acts import Act, all_done
from tests.graphql.cross_tenant.arena import Arena, open_arena
from tests.graphql.cross_tenant.calling import answered
from tests.graphql.cross_tenant.fuzz import operations
from tests.graphql.cross_tenant.seeds import Seed, seeded
from tests.graphql.cross_tenant.trails import Vocabulary
from tests.graphql.cross_tenant.twins import tried
from tests.stack import stack_settings
from tests.tenancy.rows import read_schema

ABANDONED = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
"""For tests in which many fields fail: the executor abandons the resolvers beside one that failed before they have begun."""


@pytest.fixture(autouse=True)
def abandoned_within_the_test() -> Iterator[None]:
    """What a test abandons is collected before the next one begins."""
    yield
    gc.collect()


@pytest_asyncio.fixture(scope="package")
async def seed(cluster: Cluster) -> AsyncIterator[Seed]:
    redis_url = cluster.redis_url.removesuffix("/0") + "/9"  # a queue of its own
    async with SandboxServer(demo_world(seed=1)) as sandbox, cluster.clone("seed") as database:
        yield await seeded(database, stack_settings(database, redis_url, sandbox))


@pytest_asyncio.fixture
async def arena(cluster: Cluster, seed: Seed) -> AsyncIterator[Arena]:
    """Over a clone of the seed that is this test's own."""
    async with cluster.clone("arena", template=seed.database.name) as database, open_arena(database, seed) as arena:
        yield arena


@pytest_asyncio.fixture(scope="package")
async def acts(cluster: Cluster, seed: Seed) -> Mapping[str, Act]:
    return await all_done(cluster, seed)


@pytest_asyncio.fixture(scope="package")
async def vocabulary(seed: Seed) -> Vocabulary:
    admin = await asyncpg.connect(seed.database.admin_url)
    try:
        return Vocabulary(await read_schema(admin))
    finally:
        await admin.close()


@pytest_asyncio.fixture(scope="package")
async def twins(cluster: Cluster, seed: Seed) -> Mapping[str, str | None]:
    """Of every query and every route why nobody whom it belongs to could do it; None where somebody could. Of mutations `acts`
    says it."""
    async with cluster.clone("twins", template=seed.database.name) as database, open_arena(database, seed) as arena:
        queries = await operations(arena, OperationType.QUERY)
        shown = {operation.root.name: (await tried(arena, operation)).refused for operation in queries}
        return {**shown, **await answered(arena)}
