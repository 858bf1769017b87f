"""One server for the tests of the API, in production mode; another in development mode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from lead_orchestrator.administration.connections import Connections
from lead_orchestrator.administration.credentials import Credentials
from lead_orchestrator.administration.means import Means
from lead_orchestrator.administration.onboarding import Saga
from lead_orchestrator.administration.service import Administration
from lead_orchestrator.administration.support import Support
from lead_orchestrator.administration.tenants import Tenants
from lead_orchestrator.booking.appointments.service import Appointments
from lead_orchestrator.booking.service import Booking
from lead_orchestrator.catalog.sync import CatalogSync
from lead_orchestrator.chat.conversations import Conversations
from lead_orchestrator.db import database_url
from lead_orchestrator.graphql.app import GraphQLServices, create_graphql_app
from lead_orchestrator.graphql.budgets import Budgets
from lead_orchestrator.integrations.openai.keys import OpenAIKeys
from lead_orchestrator.integrations.sendgrid.account import SendGridAccounts
from lead_orchestrator.integrations.shopmonkey.client import ShopMonkeyClient
from lead_orchestrator.integrations.twilio.account import TwilioAccounts
from lead_orchestrator.integrations.whatsapp.account import WhatsAppNumbers
from lead_orchestrator.leads.models import Lead
from lead_orchestrator.leads.service import Leads
from lead_orchestrator.messaging.ledger import DispatchPolicy, Ledger
from lead_orchestrator.messaging.service import Messages
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.accounts.links import AccountLinks
from lead_orchestrator.tenancy.accounts.passwords import HashCost, Passwords
from lead_orchestrator.tenancy.accounts.people import People
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.onboarding import Onboarding
from lead_orchestrator.tenancy.reader import Reader
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import TokenIssuer, TokenVerifier, generate_private_key
from tests.database import TestDatabase
from tests.factories import MadeTenant, make_lead, make_tenant
from tests.graphql.server import Api, serve
from tests.http import open_http


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


def _administration(tenancy: Tenancy, secret_box: SecretBox, issuer: TokenIssuer, signer: LinkSigner) -> Administration:
    """Of franchises that are there; the services that a new one would be tried with are away."""
    http, nowhere = httpx.AsyncClient(), "http://127.0.0.1:1"

    async def owned(_key: str, _location: str) -> bool:
        return True

    onboarding, catalog = (
        Onboarding(tenancy, secret_box, owned),
        CatalogSync(tenancy, ShopMonkeyClient(http, nowhere), secret_box),
    )
    texts, mails = TwilioAccounts(http, nowhere), SendGridAccounts(http, nowhere)
    accounts = texts, mails, WhatsAppNumbers(http, nowhere), OpenAIKeys(http, nowhere)
    means = Means(tenancy, secret_box, onboarding, Credentials(*accounts), catalog)
    links = AccountLinks(
        tenancy, Lookups(tenancy.engines.app), signer, Passwords(HashCost(1, 8)), "https://app.example.com"
    )
    return Administration(
        Tenants(tenancy),
        Support(tenancy, issuer),
        Saga(means, People(links, mails=False)),
        Connections(means),
        "https://app.example.com/webhooks",
    )


@asynccontextmanager
async def open_api(
    tenancy: Tenancy,
    secret_box: SecretBox,
    reader: Reader | None,
    *,
    development: bool,
    budgets: Budgets | None = None,
    any_document: bool = True,
) -> AsyncIterator[Api]:
    issuer = TokenIssuer(generate_private_key(), "https://issuer.example.com", "lead-orchestrator")
    revocations = RevocationList()
    verifier = TokenVerifier(
        [issuer.public_key_pem], "https://issuer.example.com", "lead-orchestrator", revocations=revocations
    )
    woken: list[UUID] = []

    async def wake(tenant_id: UUID) -> None:
        woken.append(tenant_id)

    events: list[tuple[UUID, UUID]] = []

    async def wake_event(tenant_id: UUID, event_id: UUID) -> None:
        events.append((tenant_id, event_id))

    links = LinkSigner(["tests"], "https://app.example.com")
    services = GraphQLServices(
        tenancy,
        Leads(secret_box),
        Access(verifier, revocations),
        wake,
        wake_event,
        development=development,
        reader=reader,
        budgets=budgets,
        any_document=any_document,
        messages=Messages(Ledger(Leads(secret_box), DispatchPolicy()), secret_box, links, Conversations()),
        booking=Booking(links),
        appointments=Appointments(Leads(secret_box), links),
        links=links,
        administration=_administration(tenancy, secret_box, issuer, links),
    )
    async with serve(create_graphql_app(services)) as address, open_http(address) as http:
        yield Api(http, issuer, woken, events)


@pytest_asyncio.fixture(scope="session")
async def reader(database: TestDatabase) -> AsyncIterator[Reader]:
    reader = Reader(database.urls.app, size=5)
    yield reader
    await reader.close()


@pytest_asyncio.fixture(scope="session")
async def api(tenancy: Tenancy, secret_box: SecretBox, reader: Reader) -> AsyncIterator[Api]:
    async with open_api(tenancy, secret_box, reader, development=False) as api:
        yield api


@pytest_asyncio.fixture(scope="session")
async def development_api(tenancy: Tenancy, secret_box: SecretBox, reader: Reader) -> AsyncIterator[Api]:
    async with open_api(tenancy, secret_box, reader, development=True) as api:
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


_FAILING = "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'tripwire'; END $$"
_ON_PAUSE = "CREATE TRIGGER {name} BEFORE UPDATE OF touches_paused ON leads"
_ON_COMMIT = "CREATE CONSTRAINT TRIGGER {name} AFTER UPDATE ON leads DEFERRABLE INITIALLY DEFERRED"


@asynccontextmanager
async def _tripped(database: TestDatabase, franchise: Franchise, trigger: str) -> AsyncIterator[None]:
    engine = create_async_engine(database_url(database.admin_url), isolation_level="AUTOCOMMIT")
    name = f"tripwire_{franchise.tenant.id.hex}"
    condition = f"FOR EACH ROW WHEN (NEW.tenant_id = '{franchise.tenant.id}') EXECUTE FUNCTION {name}()"
    async with engine.connect() as connection:
        await connection.execute(text(_FAILING.format(name=name)))
        await connection.execute(text(f"{trigger.format(name=name)} {condition}"))
        try:
            yield
        finally:
            await connection.execute(text(f"DROP FUNCTION {name}() CASCADE"))
    await engine.dispose()


@pytest.fixture
def failing_pause(database: TestDatabase, ours: Franchise) -> AbstractAsyncContextManager[None]:
    """While it is entered, the database fails whoever pauses a lead of `ours`."""
    return _tripped(database, ours, _ON_PAUSE)


@pytest.fixture
def failing_commit(database: TestDatabase, ours: Franchise) -> AbstractAsyncContextManager[None]:
    """While it is entered, whoever changed a lead of `ours` cannot commit."""
    return _tripped(database, ours, _ON_COMMIT)
