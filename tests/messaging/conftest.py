from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.database import Cluster, TestDatabase
from tests.stack import Stack, open_stack


@pytest_asyncio.fixture
async def stack(fresh_database: TestDatabase, cluster: Cluster) -> AsyncIterator[Stack]:
    async with open_stack(fresh_database, cluster.redis_url) as stack:
        yield stack
