"""The whole product with one franchise onboarded, for all tests of a module; each leaves that franchise as it found it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.database import Cluster
from tests.messaging.inbound.line import Line, open_line
from tests.stack import Stack


@pytest_asyncio.fixture(scope="module")
async def line(cluster: Cluster) -> AsyncIterator[Line]:
    async with cluster.clone() as database, open_line(database, cluster.redis_url) as line:
        await line.mute()
        yield line


@pytest.fixture
def stack(line: Line) -> Stack:
    return line.stack
