from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from lead_orchestrator.sandbox.seed import SUN_SHADE, demo_world
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.sandbox.world import Company, Quirks, Timing, World
from tests.http import open_http
from tests.sandbox.receiver import Receiver
from tests.sandbox.wire import SendGrid, ShopMonkey, Twilio, WhatsApp

QUICK = Timing(
    text_sent=0.0,
    text_delivered=0.01,
    mail_processed=0.0,
    mail_delivered=0.01,
    batch=0.001,
    retry_pauses=(0.0,),
    request_limit=2.0,
)


@pytest.fixture(scope="session")
async def running() -> AsyncIterator[SandboxServer]:
    async with SandboxServer(demo_world(seed=7)) as server:
        yield server


@pytest.fixture
async def server(running: SandboxServer) -> AsyncIterator[SandboxServer]:
    """A sandbox at its beginning: stable lists, quick statuses, nothing registered."""
    world = running.world
    world.reset()
    world.random.seed(7)
    world.quirks, world.timing = Quirks(unstable_lists=False), replace(QUICK)
    for company in world.companies.values():
        company.webhooks.clear()
        company.requests_per_minute = 100_000
    for account in world.sendgrid_accounts.values():
        account.event_url = None
        account.inbound.clear()
    for renter in world.twilio_accounts.values():
        for number in renter.numbers.values():
            number.sms_url = None
    world.whatsapp_app.url = None
    for calendar in world.google.accounts.values():
        calendar.channels.clear()
    world.google.grants.clear()
    world.google.access_life = 3600.0
    yield running
    await running.sandbox.courier.idle()


@pytest.fixture
def world(server: SandboxServer) -> World:
    return server.world


@pytest.fixture
def company(world: World) -> Company:
    return world.companies[SUN_SHADE.company_id]


@pytest.fixture
async def client(server: SandboxServer) -> AsyncIterator[httpx.AsyncClient]:
    async with open_http(server.url, timeout=5) as client:
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
def shopmonkey(client: httpx.AsyncClient) -> ShopMonkey:
    return ShopMonkey(client, SUN_SHADE.shopmonkey_api_key)


@pytest.fixture
def twilio(client: httpx.AsyncClient) -> Twilio:
    return Twilio(client)


@pytest.fixture
def sendgrid(client: httpx.AsyncClient) -> SendGrid:
    return SendGrid(client, SUN_SHADE.sendgrid_api_key)


@pytest.fixture
def whatsapp(client: httpx.AsyncClient) -> WhatsApp:
    return WhatsApp(client)
