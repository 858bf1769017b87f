"""The stack's Los Angeles shop as its desk has it: open round the clock, a service of an hour, bookings through the service."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

from lead_orchestrator.booking.appointments.wanted import Customer, Wanted
from lead_orchestrator.booking.capacity import set_hours
from lead_orchestrator.booking.models import Appointment
from lead_orchestrator.booking.tokens import Offer
from lead_orchestrator.catalog.service import ServiceChange, upsert_service
from lead_orchestrator.tenancy.hours import Open
from tests.factories import phone_number
from tests.stack import Stack

__all__ = ["Desk"]

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Desk:
    stack: Stack
    opened_at: datetime
    service_id: UUID

    @classmethod
    async def opened(cls, stack: Stack) -> Desk:
        [clock] = await stack.rows("SELECT date_trunc('hour', app_now()) AS now")
        desk = cls(stack, clock["now"], UUID(int=0))
        async with stack.services.tenancy.write(stack.scope) as session:
            await set_hours(session, desk.location_id, [Open(day, time(), time()) for day in range(7)])
            service = await upsert_service(session, ServiceChange(None, desk.location_id, "Front Windows", 60))
        return replace(desk, service_id=service.id)

    @property
    def location_id(self) -> UUID:
        return next(found for slug, found in self.stack.locations.items() if slug.endswith("los-angeles"))

    def at(self, hours: int) -> datetime:
        """So many hours after the hour at which the desk opened by the product's clock, and five days."""
        return self.opened_at + timedelta(days=5, hours=hours)

    def wanted(self, starts_at: datetime, **customer: Any) -> Wanted:
        who = Customer(**{"first_name": "Ada", "phone": phone_number(), **customer})
        return Wanted(offer=Offer(self.location_id, [self.service_id], starts_at), customer=who)

    async def book(self, starts_at: datetime, key: str | None = None, **customer: Any) -> Appointment:
        async with self.stack.services.tenancy.write(self.stack.scope) as session:
            wanted = self.wanted(starts_at, **customer)
            return await self.stack.services.appointments.book(session, wanted, key or str(uuid4()))

    async def move(self, appointment: Appointment, starts_at: datetime) -> Appointment:
        async with self.stack.services.tenancy.write(self.stack.scope) as session:
            return await self.stack.services.appointments.move(session, appointment.id, starts_at)

    async def cancel(self, appointment: Appointment) -> Appointment:
        async with self.stack.services.tenancy.write(self.stack.scope) as session:
            return await self.stack.services.appointments.cancel(session, appointment.id, None)
