from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.database import Cluster, TestDatabase
from tests.leads.ingestion.outside import open_outside
from tests.leads.ingestion.shop import Outside, Shop, open_shop


@pytest_asyncio.fixture(scope="session")
async def outside_once(database: TestDatabase, cluster: Cluster) -> AsyncIterator[Outside]:
    async with open_outside(database, cluster.redis_url) as outside:
        yield outside


@pytest_asyncio.fixture
async def outside(outside_once: Outside) -> AsyncIterator[Outside]:
    """One sandbox for all tests; each leaves it without faults."""
    quirks = outside_once.world.quirks
    yield outside_once
    outside_once.world.faults.clear()
    outside_once.world.quirks = quirks


@pytest_asyncio.fixture
async def shop(outside: Outside) -> Shop:
    """Two locations of one franchise."""
    return await open_shop(outside, locations=2)
