"""The product against the sandbox, over real sockets: services, a tenant of the sandbox's first franchise, the clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from lead_orchestrator.clock import clock_offset, set_clock_offset
from lead_orchestrator.db import database_url
from lead_orchestrator.sandbox.openai_world import MODEL
from lead_orchestrator.sandbox.seed import (
    PLATFORM_FROM_EMAIL,
    PLATFORM_SENDGRID_KEY,
    SUN_SHADE,
    DemoFranchise,
    demo_world,
)
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.sandbox.world import World
from lead_orchestrator.services import Services, open_services
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.onboarding import parse_franchise
from lead_orchestrator.tenancy.secrets import generate_key
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.tenancy.tokens import generate_private_key
from tests.database import TestDatabase
from tests.factories import phone_number
from tests.http import open_http

__all__ = ["Stack", "franchise_file", "open_stack", "stack_settings"]


def stack_settings(database: TestDatabase, redis_url: str, sandbox: SandboxServer, **overrides: Any) -> Settings:
    """Settings that point at this test's own database and outside world; a call has 20 s, on however slow a machine."""
    values: dict[str, Any] = {
        "database_url": database.urls.app,
        "database_visitor_url": database.urls.visitor,
        "database_platform_url": database.urls.platform,
        "redis_url": redis_url,
        "secrets_key": SecretStr(generate_key()),
        "jwt_private_key": SecretStr(generate_private_key()),
        "shopmonkey_base_url": sandbox.shopmonkey_url,
        "twilio_base_url": sandbox.twilio_url,
        "sendgrid_base_url": sandbox.sendgrid_url,
        "whatsapp_base_url": sandbox.whatsapp_url,
        "google_base_url": sandbox.google_url,
        "google_client_id": sandbox.world.google.client_id,
        "google_client_secret": SecretStr(sandbox.world.google.client_secret),
        "openai_base_url": sandbox.openai_url,
        "openai_api_key": SecretStr("sk-demo-tests"),
        "openai_model": MODEL,
        "password_hash_passes": 1,
        "password_hash_memory_kib": 8,
        "platform_sendgrid_api_key": SecretStr(PLATFORM_SENDGRID_KEY),
        "platform_from_email": PLATFORM_FROM_EMAIL,
        "send_lease_seconds": 60,
        "unknown_settle_seconds": 1,
        "database_pool_size": 8,
        **overrides,
    }
    return Settings(**values)


def franchise_file(franchise: DemoFranchise, **overrides: Any) -> dict[str, Any]:
    """The onboarding description of one of the sandbox's franchises, live unless told otherwise."""
    return {
        "name": franchise.name,
        "slug": franchise.name.lower().replace(" ", "-"),
        "demoMode": False,
        "crm": {"apiKey": franchise.shopmonkey_api_key, "webhookSecret": franchise.shopmonkey_webhook_secret},
        "messaging": {
            "twilioAccountSid": franchise.twilio_account_sid,
            "twilioAuthToken": franchise.twilio_auth_token,
            "twilioPhoneNumber": franchise.twilio_numbers[0],
            "sendgridApiKey": franchise.sendgrid_api_key,
            "sendgridFromEmail": franchise.from_email,
            "sendgridFromName": franchise.name,
        },
        "locations": [
            {
                "name": f"{franchise.name} {shop.name}",
                "slug": f"{franchise.name} {shop.name}".lower().replace(" ", "-"),
                "timezone": shop.timezone,
                "shopmonkeyLocationId": shop.id,
                "phone": franchise.twilio_numbers[0],
                "address": f"1 Example Street, {shop.city}, {shop.state} {shop.postal_code}",
            }
            for shop in franchise.locations
        ],
        **overrides,
    }


@dataclass
class Stack:
    """Everything a test of a flow needs; `tenant_id` is Sun Shade Tint unless told otherwise."""

    database: TestDatabase
    settings: Settings
    sandbox: SandboxServer
    services: Services
    tenant_id: UUID
    locations: dict[str, UUID]
    http: httpx.AsyncClient
    owner: AsyncEngine
    opened_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def world(self) -> World:
        return self.sandbox.world

    @property
    def scope(self) -> Scope:
        return Scope.service(self.tenant_id, "tests")

    async def quote(self, **fields: Any) -> dict[str, Any]:
        """A customer asks for a quote at the Los Angeles shop; the answer has the order's id."""
        body: dict[str, Any] = {
            "locationId": SUN_SHADE.locations[0].id,
            "firstName": "Ada",
            "lastName": "Example",
            "phone": phone_number(),
            "vehicle": {"year": 2021, "make": "Honda", "model": "Civic"},
            **fields,
        }
        answer = await self.http.post(f"{self.sandbox.url}/quotes", json=body)
        answer.raise_for_status()
        return {**answer.json(), "phone": body["phone"], "email": body.get("email")}

    async def fault(self, service: str, kind: str, **options: Any) -> None:
        answer = await self.http.post(f"{self.sandbox.url}/faults", json={"service": service, "kind": kind, **options})
        answer.raise_for_status()

    def texts(self, to: str | None = None) -> list[str]:
        """The bodies Twilio accepted, oldest first."""
        found = [m for m in self.world.messages if m.channel == "SMS" and m.direction == "outbound"]
        return [m.body for m in found if to is None or m.to == to]

    def mails(self, to: str | None = None) -> list[str]:
        """The subjects SendGrid accepted, oldest first."""
        found = [m for m in self.world.messages if m.channel == "EMAIL" and m.direction == "outbound"]
        return [m.subject or "" for m in found if to is None or m.to == to]

    async def local_time(self, wall: time, zone: str = "America/Los_Angeles", days: int = 0) -> datetime:
        """Wind the product's clock to `wall` in `zone`, `days` from the day it was there when the stack was opened."""
        opened_on = self.opened_at.astimezone(ZoneInfo(zone)).date()
        target = datetime.combine(opened_on + timedelta(days=days), wall, ZoneInfo(zone))
        await self._set_offset(target.astimezone(UTC) - datetime.now(UTC))
        return target

    async def wind(self, by: timedelta) -> None:
        """Move the product's clock ahead, so that both hold: so much time is gone, and clocks on the wall show as much more."""
        async with self.owner.connect() as connection:
            offset = await clock_offset(connection)
            wall = (datetime.now(UTC) + offset).astimezone(ZoneInfo("America/Los_Angeles"))
            by_the_wall = (wall + by).astimezone(UTC) - wall.astimezone(UTC)
            await set_clock_offset(connection, offset + max(by, by_the_wall), production=False)

    async def _set_offset(self, offset: timedelta) -> None:
        async with self.owner.connect() as connection:
            await set_clock_offset(connection, offset, production=False)

    async def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """What the tenant's own session reads."""
        async with self.services.tenancy.read(self.scope) as session:
            return [dict(row) for row in (await session.execute(text(statement), values)).mappings()]


@asynccontextmanager
async def _owner(database: TestDatabase) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(database_url(database.urls.owner), isolation_level="AUTOCOMMIT", pool_size=1)
    yield engine
    await engine.dispose()


@asynccontextmanager
async def open_stack(
    database: TestDatabase,
    redis_url: str,
    *,
    franchise: DemoFranchise = SUN_SHADE,
    file: dict[str, Any] | None = None,
    **overrides: Any,
) -> AsyncIterator[Stack]:
    """Sandbox, services and one onboarded franchise; the product's clock shows 10:00 in Los Angeles."""
    async with SandboxServer(demo_world(seed=1)) as sandbox, open_http() as http, _owner(database) as owner:
        settings = stack_settings(database, redis_url, sandbox, **overrides)
        async with open_services(settings) as services:
            description = parse_franchise(file or franchise_file(franchise))
            made = await services.onboarding.onboard(description, actor="tests")
            stack = Stack(database, settings, sandbox, services, made.tenant_id, made.location_ids, http, owner)
            await stack.local_time(time(10))
            yield stack
