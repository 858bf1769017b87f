from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.database import Cluster, TestDatabase
from tests.factories import MadeTenant, make_tenant
from tests.leads.ingestion.outside import open_outside
from tests.leads.ingestion.shop import Outside
from tests.webhooks.server import WebhookServer, serve_webhook


@pytest_asyncio.fixture(scope="session")
async def server_once(tenancy: Tenancy, lookups: Lookups, secret_box: SecretBox) -> AsyncIterator[WebhookServer]:
    async with serve_webhook(tenancy, lookups, secret_box) as server:
        yield server


@pytest_asyncio.fixture
async def server(server_once: WebhookServer) -> WebhookServer:
    server_once.woken.clear()
    return server_once


@pytest_asyncio.fixture
async def tenant(tenancy: Tenancy, secret_box: SecretBox) -> MadeTenant:
    return await make_tenant(tenancy, secret_box)


@pytest_asyncio.fixture
async def outside(database: TestDatabase, cluster: Cluster) -> AsyncIterator[Outside]:
    async with open_outside(database, cluster.redis_url) as outside:
        yield outside
