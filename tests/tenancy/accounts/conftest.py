from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.database import Cluster
from tests.tenancy.accounts.office import Office, open_office


@pytest_asyncio.fixture(scope="package")
async def office(cluster: Cluster) -> AsyncIterator[Office]:
    """One api for all of these tests: each makes people of its own."""
    async with cluster.clone("office") as database, open_office(database, cluster.redis_url) as office:
        yield office
