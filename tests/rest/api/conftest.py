from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.database import Cluster
from tests.rest.api.shop import Shop, open_shop


@pytest_asyncio.fixture(scope="package")
async def shop(cluster: Cluster) -> AsyncIterator[Shop]:
    """One shop for all tests: each brings people of its own."""
    async with open_shop(cluster) as shop:
        yield shop
