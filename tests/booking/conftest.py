from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest_asyncio

from lead_orchestrator.app import graphql_services
from lead_orchestrator.graphql.app import create_graphql_app
from lead_orchestrator.jobs.queue import open_queue
from lead_orchestrator.services import AUDIENCE, token_issuer
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.tokens import TokenVerifier
from tests.booking.desk import Desk
from tests.database import Cluster
from tests.graphql.server import Api, serve
from tests.stack import open_stack


@pytest_asyncio.fixture(scope="module")
async def desk(cluster: Cluster) -> AsyncIterator[Desk]:
    """One stack for the tests of a module, which book hours of their own."""
    async with cluster.clone() as database, open_stack(database, cluster.redis_url) as stack:
        yield await Desk.opened(stack)


@pytest_asyncio.fixture(scope="module")
async def api(desk: Desk) -> AsyncIterator[Api]:
    """GraphQL over the desk's stack, where a visitor may send any document."""
    settings, services = desk.stack.settings, desk.stack.services
    issuer, revocations = token_issuer(settings), RevocationList()
    verifier = TokenVerifier([issuer.public_key_pem], settings.public_url, AUDIENCE, revocations=revocations)
    queue = await open_queue(str(settings.redis_url))
    wired = replace(graphql_services(services, queue, Access(verifier, revocations)), budgets=None, any_document=True)
    async with serve(create_graphql_app(wired)) as address, httpx.AsyncClient(base_url=address, timeout=30) as http:
        yield Api(http, issuer, [])
    await queue.redis.aclose(close_connection_pool=True)
