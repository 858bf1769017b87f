"""A shop that is booked through the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import text

from lead_orchestrator.catalog.models import Service
from lead_orchestrator.tenancy.models import LocationHours
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.factories import phone_number
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api

__all__ = ["BOOK", "CANCEL", "HOLD", "RESCHEDULE", "SET_STATUS", "SLOTS", "Shop"]

ZONE = ZoneInfo("America/Los_Angeles")
DAY = (datetime.now(ZONE) + timedelta(days=10)).date()
_SHOWN = """{ appointment { id status bay startsAt endsAt holdExpiresAt syncStatus manageUrl total { amountCents currency }
  lead { id status } } errors { code field message } }"""
BOOK = f"mutation($i: BookAppointmentInput!) {{ bookAppointment(input: $i) {_SHOWN} }}"
HOLD = f"mutation($i: HoldSlotInput!) {{ holdSlot(input: $i) {_SHOWN} }}"
RESCHEDULE = f"""mutation($id: ID!, $at: DateTime!, $k: String!) {{
  rescheduleAppointment(id: $id, startsAt: $at, idempotencyKey: $k) {_SHOWN} }}"""
CANCEL = f"mutation($id: ID!, $reason: String) {{ cancelAppointment(id: $id, reason: $reason) {_SHOWN} }}"
SET_STATUS = f"mutation($id: ID!, $s: AppointmentStatus!) {{ setAppointmentStatus(id: $id, status: $s) {_SHOWN} }}"
SLOTS = """query($l: ID!, $s: [ID!]!, $f: Date!, $t: Date!) {
  availableSlots(locationId: $l, serviceIds: $s, from: $f, to: $t) { startsAt endsAt localStart token } }"""


@dataclass(frozen=True)
class Shop:
    """The first location of `ours`: `service` takes an hour, and it is open from 9 to 13 every day."""

    api: Api
    ours: Franchise
    service: Service
    tenancy: Tenancy

    @classmethod
    async def opened(cls, api: Api, ours: Franchise, tenancy: Tenancy, service: Service) -> Shop:
        shop = cls(api, ours, service, tenancy)
        await shop._set_hours(time(9), time(13))
        return shop

    def at(self, hour: int, minute: int = 0, days: int = 0) -> datetime:
        return datetime.combine(DAY + timedelta(days=days), time(hour, minute), ZONE).astimezone(UTC)

    def days(self, number: int) -> dict[str, Any]:
        last = DAY + timedelta(days=number - 1)
        place = {"l": self.ours.location_id, "s": [f"svc_{self.service.id}"]}
        return {**place, "f": DAY.isoformat(), "t": last.isoformat()}

    async def always_open(self) -> None:
        await self._set_hours(time(), time())

    async def set_bays(self, bays: int) -> None:
        await self._execute("UPDATE locations SET bays = :bays WHERE id = :location", bays=bays)

    def input(self, starts_at: datetime | None = None, **given: Any) -> dict[str, Any]:
        """Of a booking at `starts_at`, unless `given` says what to book; for somebody new unless told for whom."""
        place = {"locationId": self.ours.location_id, "serviceIds": [f"svc_{self.service.id}"]}
        what = {**place, "startsAt": starts_at.isoformat()} if starts_at else {}
        who = {"customer": {"firstName": "Ada", "phone": phone_number()}}
        return {**what, **who, "idempotencyKey": str(uuid4()), **given}

    def hold_input(self, starts_at: datetime) -> dict[str, Any]:
        return {name: value for name, value in self.input(starts_at).items() if name != "customer"}

    async def book(self, starts_at: datetime | None = None, **given: Any) -> Any:
        """Whoever is told that the database is busy comes back with the same key, as a client does."""
        wanted = self.input(starts_at, **given)
        while True:
            answer = await self.api.ask(self.ours.owner, BOOK, i=wanted)
            if not any(error["extensions"].get("reason") == "UNAVAILABLE" for error in answer.errors):
                return answer.ok["bookAppointment"]

    async def hold(self, starts_at: datetime) -> Any:
        return (await self.api.ask(self.ours.owner, HOLD, i=self.hold_input(starts_at))).ok["holdSlot"]

    async def reschedule(self, appointment: str, starts_at: datetime, key: str) -> Any:
        answer = await self.api.ask(self.ours.owner, RESCHEDULE, id=appointment, at=starts_at.isoformat(), k=key)
        return answer.ok["rescheduleAppointment"]

    @staticmethod
    def codes(payload: Any) -> list[str]:
        return [error["code"] for error in payload["errors"]]

    async def taken(self) -> list[tuple[int, datetime, datetime]]:
        """What is held or confirmed of each bay."""
        statement = """SELECT bay, starts_at, ends_at FROM appointments WHERE location_id = :location
          AND status IN ('HELD', 'CONFIRMED') ORDER BY bay, starts_at"""
        async with self.tenancy.read(self.ours.tenant.scope) as session:
            found = await session.execute(text(statement), {"location": self.ours.tenant.location})
            return [(bay, start, end) for bay, start, end in found]

    async def is_booked(self, starts_at: datetime) -> bool:
        statement = "SELECT count(*) FROM appointments WHERE status = 'CONFIRMED' AND starts_at = :at"
        async with self.tenancy.read(self.ours.tenant.scope) as session:
            return bool(await session.scalar(text(statement), {"at": starts_at}))

    async def _set_hours(self, opens_at: time, closes_at: time) -> None:
        await self._execute("DELETE FROM location_hours WHERE location_id = :location")
        tenant = self.ours.tenant
        async with self.tenancy.write(tenant.scope) as session:
            for day in range(7):
                hours = {"day_of_week": day, "opens_at": opens_at, "closes_at": closes_at}
                session.add(LocationHours(tenant_id=tenant.id, location_id=tenant.location, **hours))

    async def _execute(self, statement: str, **values: Any) -> None:
        async with self.tenancy.write(self.ours.tenant.scope) as session:
            await session.execute(text(statement), {"location": self.ours.tenant.location, **values})
