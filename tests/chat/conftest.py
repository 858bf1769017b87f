from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.chat.site import Site, open_site
from tests.database import Cluster, TestDatabase
from tests.stack import Stack, open_stack


@pytest_asyncio.fixture(scope="module")
async def database_of_module(cluster: Cluster) -> AsyncIterator[TestDatabase]:
    async with cluster.clone() as database:
        yield database


@pytest_asyncio.fixture(scope="module")
async def stack(database_of_module: TestDatabase, cluster: Cluster) -> AsyncIterator[Stack]:
    """One for all tests of a module: each has leads and conversations of its own."""
    async with open_stack(database_of_module, cluster.redis_url) as stack:
        yield stack


@pytest_asyncio.fixture(scope="module")
async def site(database_of_module: TestDatabase, cluster: Cluster) -> AsyncIterator[Site]:
    """One api for all tests of a module."""
    async with open_site(database_of_module, cluster.redis_url) as site:
        yield site
