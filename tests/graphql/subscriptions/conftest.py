"""A server with sockets: every commit of its `tenancy` rings through Redis, as api and worker do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from sqlalchemy import event

from lead_orchestrator.db import Engines
from lead_orchestrator.graphql.app import GraphQLServices, create_graphql_app
from lead_orchestrator.graphql.budgets import Budgets
from lead_orchestrator.graphql.events.sockets import Sockets, open_sockets
from lead_orchestrator.graphql.events.wake import Bell
from lead_orchestrator.leads.service import Leads
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import TokenIssuer, TokenVerifier, generate_private_key
from tests.database import Cluster
from tests.factories import make_lead, make_tenant
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api, serve
from tests.graphql.subscriptions.client import Peer, connected, opened
from tests.http import open_http

ISSUER = "https://issuer.example.com"


@dataclass(frozen=True)
class Live:
    """The running server, who may call it, and what writes beside it."""

    address: str
    api: Api
    sockets: Sockets
    revocations: RevocationList
    tenancy: Tenancy
    redis: Redis

    def connected(self, token: str) -> AbstractAsyncContextManager[Peer]:
        return connected(self.address, token)

    def opened(self, protocol: str | None = "graphql-transport-ws") -> AbstractAsyncContextManager[Peer]:
        return opened(self.address, protocol)

    async def happen(self, franchise: Franchise, *kinds: str, location: int = 0, lead: Any = None) -> None:
        """One commit with an event of each of these kinds."""
        subject = lead or franchise.lead
        async with self.tenancy.write(franchise.tenant.scope) as session:
            for kind in kinds:
                session.record(kind, location_id=franchise.tenant.locations[location], lead_id=subject.id)


@asynccontextmanager
async def open_live(
    engines: Engines,
    secret_box: SecretBox,
    redis_url: str,
    *,
    rings: bool = True,
    budgets: Budgets | None = None,
    **options: Any,
) -> AsyncIterator[Live]:
    """`rings` False: no commit is told through Redis. Without `budgets` nobody is limited."""
    issuer = TokenIssuer(generate_private_key(), ISSUER, "lead-orchestrator")
    revocations = RevocationList()
    verifier = TokenVerifier([issuer.public_key_pem], ISSUER, "lead-orchestrator", revocations=revocations)
    tenancy = Tenancy(engines)

    async def wake(_tenant_id: object) -> None:
        pass

    services = GraphQLServices(tenancy, Leads(secret_box), Access(verifier, revocations), wake, budgets=budgets)
    async with AsyncExitStack() as stack:
        redis = Redis.from_url(redis_url)
        stack.push_async_callback(redis.aclose)
        bell = Bell(redis)
        stack.push_async_callback(bell.close)
        tenancy.on_events = bell.ring if rings else None
        heads = Lookups(engines.app).heads
        sockets = await stack.enter_async_context(open_sockets(services, heads, redis, **options))
        address = await stack.enter_async_context(serve(create_graphql_app(services, sockets)))
        http = await stack.enter_async_context(open_http(address))
        yield Live(address, Api(http, issuer, []), sockets, revocations, tenancy, redis)


@pytest_asyncio.fixture(scope="session")
async def live(engines: Engines, secret_box: SecretBox, cluster: Cluster) -> AsyncIterator[Live]:
    async with open_live(engines, secret_box, cluster.redis_url) as live:
        yield live


@pytest.fixture
def statements(engines: Engines) -> Iterator[list[str]]:
    """Every statement that runs as lead_app, as it is sent; transactions' begins and settings are left out."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "set_config" not in statement:
            sent.append(statement)

    event.listen(engines.app.sync_engine, "before_cursor_execute", note)
    yield sent
    event.remove(engines.app.sync_engine, "before_cursor_execute", note)


async def make_franchise(live: Live, secret_box: SecretBox) -> Franchise:
    tenant = await make_tenant(live.tenancy, secret_box, locations=2)
    lead = await make_lead(live.tenancy, secret_box, tenant)
    return Franchise(tenant, lead, live.api.token(tenant.id))


@pytest_asyncio.fixture
async def ours(live: Live, secret_box: SecretBox) -> Franchise:
    return await make_franchise(live, secret_box)


@pytest_asyncio.fixture
async def theirs(live: Live, secret_box: SecretBox) -> Franchise:
    return await make_franchise(live, secret_box)
