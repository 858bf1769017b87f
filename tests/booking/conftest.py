from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.booking.desk import Desk
from tests.database import Cluster
from tests.stack import open_stack


@pytest_asyncio.fixture(scope="module")
async def desk(cluster: Cluster) -> AsyncIterator[Desk]:
    """One stack for the tests of a module, which book hours of their own."""
    async with cluster.clone() as database, open_stack(database, cluster.redis_url) as stack:
        yield await Desk.opened(stack)
