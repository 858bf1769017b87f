"""The Los Angeles shop of the stack with its calendars outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range

from lead_orchestrator.booking import repository
from lead_orchestrator.booking.models import Appointment
from lead_orchestrator.booking.outbox.models import destinations
from lead_orchestrator.booking.outbox.repository import owe
from lead_orchestrator.booking.slots import Busy
from lead_orchestrator.clock import app_now
from lead_orchestrator.leads.models import Lead
from lead_orchestrator.sandbox.google_world import GoogleAccount
from lead_orchestrator.sandbox.seed import SUN_SHADE
from lead_orchestrator.sandbox.world import Company
from lead_orchestrator.tenancy import repository as tenancy_repository
from tests.sandbox.google import ACCOUNT, decide
from tests.stack import Stack

HOUR = timedelta(hours=1)
UPDATE_GOOGLE = text("UPDATE google_credentials SET next_sync_at = now()")
UPDATE_CRM = text("UPDATE locations SET crm_calendar_next = now()")


@dataclass(frozen=True)
class Shop:
    stack: Stack

    @property
    def location_id(self) -> UUID:
        return next(found for slug, found in self.stack.locations.items() if slug.endswith("los-angeles"))

    @property
    def account(self) -> GoogleAccount:
        return self.stack.world.google.accounts[ACCOUNT]

    @property
    def company(self) -> Company:
        return self.stack.world.companies[SUN_SHADE.company_id]

    @property
    def noon(self) -> datetime:
        """In two days, to the hour."""
        return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=2)

    async def authorization_url(self) -> str:
        async with self.stack.services.tenancy.write(self.stack.scope) as session:
            return await self.stack.services.calendars.connections.connect(session, self.location_id)

    async def consent(self, decision: str = "allow") -> dict[str, str]:
        """What Google's redirect carries."""
        target = await decide(self.stack.http, await self.authorization_url(), decision=decision)
        return {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}

    async def connect(self) -> None:
        given = await self.consent()
        await self.stack.services.calendars.connections.complete(given["state"], given["code"])

    async def sync(self) -> None:
        """Whatever is due or not."""
        async with self.stack.services.tenancy.write(self.stack.scope) as session:
            await session.execute(UPDATE_GOOGLE)
            await session.execute(UPDATE_CRM)
        await self.stack.services.calendars.google.sync_due(self.stack.tenant_id)
        await self.stack.services.calendars.crm.sync_due(self.stack.tenant_id)

    async def busy(self, but: UUID | None = None) -> list[Busy]:
        """What booking takes into account, `but` an appointment."""
        now = datetime.now(UTC)
        async with self.stack.services.tenancy.read(self.stack.scope) as session:
            found = await repository.busy(session, self.location_id, now, now + timedelta(days=30), but)
        return sorted(found, key=lambda one: (one.starts_at, one.bay or 0))

    async def event(self, starts_at: datetime, **changes: Any) -> str:
        """A person puts an hour into the Google calendar; the event's id."""
        edges = {"start": {"dateTime": starts_at.isoformat()}, "end": {"dateTime": (starts_at + HOUR).isoformat()}}
        url = f"{self.stack.sandbox.url}/calendars/{ACCOUNT}/events"
        answer = await self.stack.http.post(url, json={"summary": "Dentist", **edges, **changes})
        answer.raise_for_status()
        return str(answer.json()["id"])

    async def by_the_shop(self, starts_at: datetime, **changes: Any) -> str:
        """Somebody makes an appointment of an hour in ShopMonkey; its id."""
        times = {"startDate": starts_at.isoformat(), "endDate": (starts_at + HOUR).isoformat()}
        body = {"locationId": SUN_SHADE.locations[0].id, "name": "Walk-in", **times, **changes}
        answer = await self.stack.http.post(f"{self.stack.sandbox.url}/appointments", json=body)
        answer.raise_for_status()
        return str(answer.json()["id"])

    async def book(self, starts_at: datetime, *, bay: int = 1, lead: Lead | None = None) -> UUID:
        """An appointment of ours, with what other systems are owed."""
        async with self.stack.services.tenancy.write(self.stack.scope) as session:
            location = await tenancy_repository.location(session, self.location_id)
            assert location is not None
            row = Appointment(
                tenant_id=self.stack.tenant_id,
                location_id=self.location_id,
                lead_id=lead.id if lead else None,
                bay=bay,
                during=Range(starts_at, starts_at + HOUR),
                status="CONFIRMED",
                sync_status="PENDING",
                created_at=await app_now(session),
            )
            session.add(row)
            await session.flush()
            await owe(session, row, destinations(location))
            return row.id

    async def change(self, appointment_id: UUID, **changes: Any) -> None:
        async with self.stack.services.tenancy.write(self.stack.scope) as session:
            row = await session.get(Appointment, (self.stack.tenant_id, appointment_id))
            location = await tenancy_repository.location(session, self.location_id)
            assert row is not None
            assert location is not None
            for name, value in changes.items():
                setattr(row, name, value)
            await session.flush()
            await owe(session, row, destinations(location))

    async def appointment(self, appointment_id: UUID) -> dict[str, Any]:
        return (await self.stack.rows("SELECT * FROM appointments WHERE id = :id", id=appointment_id))[0]

    async def connection(self) -> dict[str, Any] | None:
        found = await self.stack.rows("SELECT * FROM google_credentials")
        return found[0] if found else None
