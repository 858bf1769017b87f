"""A franchise whose shops anybody can call, over real sockets."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from lead_orchestrator.catalog.models import Service
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads.surveys.service import set_survey
from lead_orchestrator.rest.api.forms import form_token
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.public.places import Place
from tests.database import Cluster
from tests.serving import serving
from tests.stack import Stack, open_stack

__all__ = ["ORIGIN", "Shop", "open_shop"]

ORIGIN = "https://www.example.com"
SURVEY = {
    "title": "Get a quote",
    "questions": [
        {"id": "car", "type": "vehicle", "label": "Which car?"},
        {
            "id": "when",
            "type": "single",
            "label": "When?",
            "required": True,
            "options": [
                {"value": "now", "label": "This week", "next": "BOOKING", "hot": True},
                {"value": "later", "label": "Just looking"},
            ],
        },
        {
            "id": "glass",
            "type": "multi",
            "label": "Which?",
            "options": [{"value": v, "label": v} for v in ("front", "rear")],
        },
        {"id": "why", "type": "text", "label": "Why <tint>?", "maxLength": 100},
    ],
}
_addresses = itertools.count(1)


@dataclass
class Shop:
    """The first shop of the stack's franchise, open from 9 to 17 every day, with an hour's service; `other` is its second one."""

    stack: Stack
    http: httpx.AsyncClient
    service: UUID
    slug: str
    key: UUID
    other_slug: str
    other_key: UUID

    @property
    def id(self) -> str:
        return encode(Kind.LOCATION, self.key)

    @property
    def service_id(self) -> str:
        return encode(Kind.SERVICE, self.service)

    async def place(self, slug: str | None = None) -> Place:
        return await self.stack.services.places.find(slug or self.slug)

    async def get(self, path: str, address: str | None = None, **given: Any) -> httpx.Response:
        return await self.http.get(path, headers=client(address) | given.pop("headers", {}), **given)

    async def post(self, path: str, body: Any, address: str | None = None, **headers: str) -> httpx.Response:
        return await self.http.post(path, json=body, headers=client(address) | headers)

    async def form(self, path: str, fields: Mapping[str, Any], address: str | None = None) -> httpx.Response:
        """As a browser sends a form."""
        return await self.http.post(path, data=dict(fields), headers=client(address))

    async def lead(self, phone: str, **fields: Any) -> httpx.Response:
        return await self.post("/api/leads", {"realtorId": self.slug, "phone": phone, **fields})

    async def read_form(
        self, age: timedelta = timedelta(seconds=10), *, slug: str | None = None, version: int = 0
    ) -> str:
        """The token of a form that somebody has looked at for so long."""
        return form_token(self.stack.services.links, await self.place(slug), version, datetime.now(UTC) - age)

    async def ask(self, survey: object) -> None:
        """Make this the shop's survey."""
        async with self.stack.services.tenancy.write(self.stack.scope) as session:
            await set_survey(session, self.key, survey)

    async def set(self, **values: Any) -> None:
        """Change columns of the shop's row."""
        async with self.stack.services.tenancy.write(self.stack.scope) as session:
            location = await repository.lock_location(session, self.key)
            for name, value in values.items():
                setattr(location, name, value)

    async def suspend(self, status: str) -> None:
        async with self.stack.services.tenancy.platform() as session:
            statement = text("UPDATE tenants SET status = :status WHERE id = :id")
            await session.execute(statement, {"status": status, "id": self.stack.tenant_id})

    async def person(self, phone: str) -> dict[str, Any]:
        [row] = await self.stack.rows("SELECT * FROM leads WHERE phone = :phone", phone=phone)
        return row

    async def messages(self, phone: str) -> list[dict[str, Any]]:
        return await self.stack.rows(
            "SELECT m.* FROM scheduled_messages m JOIN leads l ON l.id = m.lead_id WHERE l.phone = :phone ORDER BY m.id",
            phone=phone,
        )

    async def slots(self, days: int = 5) -> list[dict[str, Any]]:
        """Free times of the day so many days ahead."""
        day = (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
        query = {"realtorId": self.slug, "serviceIds": self.service_id, "from": day, "to": day}
        slots: list[dict[str, Any]] = (await self.get("/api/slots", params=query)).json()["slots"]
        return slots

    async def dispatch(self) -> None:
        await self.stack.services.dispatcher.dispatch(self.stack.tenant_id)


def client(address: str | None) -> dict[str, str]:
    """The header that a balancer adds; somebody else each time unless told who."""
    number = next(_addresses)
    return {"X-Forwarded-For": address or f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}


@asynccontextmanager
async def open_shop(cluster: Cluster, **settings: Any) -> AsyncIterator[Shop]:
    async with (
        cluster.clone() as database,
        open_stack(database, cluster.redis_url, **settings) as stack,
        serving(stack.settings) as http,
    ):
        (slug, key), (other_slug, other_key) = list(stack.locations.items())[:2]
        shop = Shop(stack, http, await _opened(stack), slug, key, other_slug, other_key)
        await shop.set(allowed_origins=[ORIGIN])
        yield shop


async def _opened(stack: Stack) -> UUID:
    """Hours and a service for all shops."""
    hours = [{"day_of_week": day, "opens_at": time(9), "closes_at": time(17)} for day in range(7)]
    async with stack.services.tenancy.write(stack.scope) as session:
        for key in stack.locations.values():
            await repository.replace_hours(session, stack.tenant_id, key, hours)
        service = Service(
            tenant_id=stack.tenant_id, location_id=None, name="Front Windows", duration_minutes=60, price_cents=10_900
        )
        session.add(service)
        await session.flush()
        return service.id
