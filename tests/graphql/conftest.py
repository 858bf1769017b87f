"""One server for the tests of the API, in production mode; another in development mode."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from lead_orchestrator.db import database_url
from lead_orchestrator.graphql.app import GraphQLServices, create_graphql_app
from lead_orchestrator.leads.models import Lead
from lead_orchestrator.leads.service import Leads
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import TokenIssuer, TokenVerifier, generate_private_key
from tests.database import TestDatabase
from tests.factories import MadeTenant, make_lead, make_tenant
from tests.graphql.server import Api, serve


@dataclass(frozen=True)
class Franchise:
    """A tenant, a lead of its first location, and its owner's token."""

    tenant: MadeTenant
    lead: Lead
    owner: str

    @property
    def lead_id(self) -> str:
        return f"lead_{self.lead.id}"

    @property
    def location_id(self) -> str:
        return f"loc_{self.tenant.location}"


@asynccontextmanager
async def open_api(tenancy: Tenancy, secret_box: SecretBox, *, development: bool) -> AsyncIterator[Api]:
    issuer = TokenIssuer(generate_private_key(), "https://issuer.example.com", "lead-orchestrator")
    revocations = RevocationList()
    verifier = TokenVerifier(
        [issuer.public_key_pem], "https://issuer.example.com", "lead-orchestrator", revocations=revocations
    )
    woken: list[UUID] = []

    async def wake(tenant_id: UUID) -> None:
        woken.append(tenant_id)

    services = GraphQLServices(tenancy, Leads(secret_box), Access(verifier, revocations), wake, development=development)
    async with serve(create_graphql_app(services)) as address, httpx.AsyncClient(base_url=address) as http:
        yield Api(http, issuer, woken)


@pytest_asyncio.fixture(scope="session")
async def api(tenancy: Tenancy, secret_box: SecretBox) -> AsyncIterator[Api]:
    async with open_api(tenancy, secret_box, development=False) as api:
        yield api


@pytest_asyncio.fixture(scope="session")
async def development_api(tenancy: Tenancy, secret_box: SecretBox) -> AsyncIterator[Api]:
    async with open_api(tenancy, secret_box, development=True) as api:
        yield api


async def _franchise(api: Api, tenancy: Tenancy, secret_box: SecretBox) -> Franchise:
    tenant = await make_tenant(tenancy, secret_box, locations=2)
    lead = await make_lead(tenancy, secret_box, tenant)
    return Franchise(tenant, lead, api.token(tenant.id))


@pytest_asyncio.fixture
async def ours(api: Api, tenancy: Tenancy, secret_box: SecretBox) -> Franchise:
    return await _franchise(api, tenancy, secret_box)


@pytest_asyncio.fixture
async def theirs(api: Api, tenancy: Tenancy, secret_box: SecretBox) -> Franchise:
    return await _franchise(api, tenancy, secret_box)


@pytest_asyncio.fixture
async def tripwire(database: TestDatabase) -> AsyncIterator[Callable[[Franchise], AbstractAsyncContextManager[None]]]:
    """Lets a test trip its own franchise's pauses: a trigger of the owner's fails them."""
    engine = create_async_engine(database_url(database.admin_url), isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def tripped(franchise: Franchise) -> AsyncIterator[None]:
        name = f"tripwire_{franchise.tenant.id.hex}"
        async with engine.connect() as connection:
            await connection.execute(
                text(
                    f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
                    " $$ BEGIN RAISE EXCEPTION 'tripwire'; END $$"
                )
            )
            await connection.execute(
                text(
                    f"CREATE TRIGGER {name} BEFORE UPDATE OF touches_paused ON leads FOR EACH ROW"
                    f" WHEN (NEW.tenant_id = '{franchise.tenant.id}' AND NEW.touches_paused) EXECUTE FUNCTION {name}()"
                )
            )
            try:
                yield
            finally:
                await connection.execute(text(f"DROP TRIGGER {name} ON leads"))
                await connection.execute(text(f"DROP FUNCTION {name}()"))

    yield tripped
    await engine.dispose()
