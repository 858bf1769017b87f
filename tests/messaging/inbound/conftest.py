from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.database import Cluster, TestDatabase
from tests.messaging.inbound.line import Line, open_line


@pytest_asyncio.fixture
async def line(fresh_database: TestDatabase, cluster: Cluster) -> AsyncIterator[Line]:
    async with open_line(fresh_database, cluster.redis_url) as line:
        yield line
