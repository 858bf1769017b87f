from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest_asyncio

from lead_orchestrator.tenancy.sessions import Tenancy
from tests.graphql.booking.shops import Shop
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api
from tests.graphql.shop import add_service
from tests.http import open_http

PATIENCE = 60  # of a hundred clients at once, the last one waits for all others


@pytest_asyncio.fixture
async def shop(api: Api, ours: Franchise, tenancy: Tenancy) -> AsyncIterator[Shop]:
    async with tenancy.write(ours.tenant.scope) as session:
        service = await add_service(
            session, ours.tenant, None, "Front Windows", duration_minutes=60, price_cents=10_900
        )
    async with open_http(api.http.base_url, timeout=PATIENCE) as http:
        yield await Shop.opened(replace(api, http=http), ours, tenancy, service)
