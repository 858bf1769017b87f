"""A franchise with a ShopMonkey company of its own in the sandbox, and what tests do with it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import text

from lead_orchestrator.leads.ingestion import repository
from lead_orchestrator.leads.ingestion.models import EventSource
from lead_orchestrator.leads.ingestion.service import Processed
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.sandbox.world import Company, World
from lead_orchestrator.services import Services
from tests.factories import MadeTenant, make_tenant, phone_number

__all__ = ["Outside", "Shop", "open_company", "open_shop"]


@dataclass(frozen=True)
class Outside:
    """The sandbox and the product's services; every test opens shops of its own in them."""

    sandbox: SandboxServer
    services: Services
    http: httpx.AsyncClient

    @property
    def world(self) -> World:
        return self.sandbox.world

    async def fault(self, kind: str, *, service: str = "shopmonkey", **options: Any) -> None:
        body = {"service": service, "kind": kind, **options}
        (await self.http.post(f"{self.sandbox.url}/faults", json=body)).raise_for_status()


@dataclass(frozen=True)
class Shop:
    """A tenant and its company; `quote` and `change` happen at ShopMonkey, `tell` and `process` at ours."""

    outside: Outside
    company: Company
    tenant: MadeTenant

    @property
    def services(self) -> Services:
        return self.outside.services

    async def quote(self, *, location: int = 0, **fields: Any) -> str:
        """A customer asks at the shop; the id of the order."""
        body = {
            "locationId": self.tenant.shopmonkey_locations[location],
            "firstName": "Ada",
            "lastName": "Example",
            "phone": phone_number(),
            **fields,
        }
        answer = await self.outside.http.post(f"{self.outside.sandbox.url}/quotes", json=body)
        answer.raise_for_status()
        order_id: str = answer.json()["orderId"]
        return order_id

    async def change(self, order_id: str, **columns: Any) -> None:
        url = f"{self.outside.sandbox.url}/orders/{order_id}"
        (await self.outside.http.patch(url, json=columns)).raise_for_status()

    async def delete(self, order_id: str, *, hard: bool = False) -> None:
        url = f"{self.outside.sandbox.url}/orders/{order_id}"
        (await self.outside.http.delete(url, params={"hard": str(hard).lower()})).raise_for_status()

    async def tell(self, order_id: str, *, location: int = 0) -> UUID:
        """Put an event about the order into the inbox."""
        delivery = uuid4().hex
        event = {
            "location_id": self.tenant.locations[location],
            "source": EventSource.WEBHOOK,
            "delivery_id": delivery,
            "change_key": f"delivery:{delivery}",
            "operation": "UPDATE",
            "external_id": order_id,
        }
        async with self.services.tenancy.write(self.tenant.scope) as session:
            event_id = await repository.store(session, event)
        assert event_id is not None
        return event_id

    async def process(self, event_id: UUID) -> Processed:
        done = await self.services.ingestion.process(self.tenant.id, event_id)
        assert done is not None
        return done

    async def learn(self, order_id: str) -> Processed:
        """An event about the order arrives and is processed."""
        return await self.process(await self.tell(order_id))

    async def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        async with self.services.tenancy.read(self.tenant.scope) as session:
            return [dict(row) for row in (await session.execute(text(statement), values)).mappings()]

    async def leads(self) -> list[dict[str, Any]]:
        return await self.rows("SELECT * FROM leads ORDER BY created_at")

    async def lead(self) -> dict[str, Any]:
        [lead] = await self.leads()
        return lead

    async def touches(self) -> list[tuple[int, int, str]]:
        """(enrolment, number, status) of every touch."""
        rows = await self.rows("SELECT * FROM scheduled_messages WHERE kind = 'TOUCH' ORDER BY enrolment, touch_number")
        return [(row["enrolment"], row["touch_number"], row["status"]) for row in rows]

    async def event(self, event_id: UUID) -> dict[str, Any]:
        [event] = await self.rows("SELECT * FROM webhook_events WHERE id = :id", id=event_id)
        return event

    async def write(self, statement: str, **values: Any) -> None:
        async with self.services.tenancy.write(self.tenant.scope) as session:
            await session.execute(text(statement), values)


def open_company(world: World, locations: Sequence[str]) -> Company:
    """A ShopMonkey company with these locations and nothing else."""
    name = f"company-{secrets.token_hex(4)}"
    company = Company(secrets.token_hex(12), name, f"key-{name}")
    company.locations = {
        location: {"id": location, "companyId": company.id, "name": name, "timezone": "America/Los_Angeles"}
        for location in locations
    }
    world.companies[company.id] = company
    return company


async def open_shop(outside: Outside, *, locations: int = 1) -> Shop:
    """A company with `locations` shops, onboarded."""
    ids = [secrets.token_hex(12) for _ in range(locations)]
    company = open_company(outside.world, ids)
    services = outside.services
    tenant = await make_tenant(services.tenancy, services.secrets, shopmonkey_locations=ids, api_key=company.api_key)
    return Shop(outside, company, tenant)
