"""A shop that is open every day from 9 to 18, for benchmarks of booking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from lead_orchestrator.bench.repository import add_appointments, add_mirrored
from lead_orchestrator.bench.stage import Stage
from lead_orchestrator.booking.capacity import change_location, set_hours
from lead_orchestrator.catalog.service import ServiceChange, upsert_service
from lead_orchestrator.clock import app_now
from lead_orchestrator.services import Services
from lead_orchestrator.tenancy.hours import Open
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["BusyShop", "open_shop"]

OPENS, CLOSES = time(9), time(18)
_A_DAY = (CLOSES.hour - OPENS.hour) * 2


@dataclass(frozen=True)
class BusyShop:
    """`service_id` takes half an hour; `first` is the first day with free times."""

    services: Services
    superuser_url: str
    tenant_id: UUID
    location_id: UUID
    service_id: UUID
    zone: ZoneInfo
    first: date

    def half_hours(self, days: int) -> list[datetime]:
        """Every half hour of opening on that many days."""
        mornings = [datetime.combine(self.first + timedelta(days=day), OPENS, self.zone) for day in range(days)]
        return [morning.astimezone(UTC) + timedelta(minutes=30 * n) for morning in mornings for n in range(_A_DAY)]

    async def fill(self, taken: Sequence[tuple[int, datetime, datetime]]) -> None:
        """Appointments, each of a bay from its beginning to its end."""
        await add_appointments(self.superuser_url, self.tenant_id, self.location_id, taken)

    async def mirror(
        self, events: Sequence[tuple[datetime, datetime]], theirs: Sequence[tuple[int, datetime, datetime]]
    ) -> None:
        """Events of the Google calendar, which take the whole shop, and appointments made in ShopMonkey."""
        await add_mirrored(self.superuser_url, self.tenant_id, self.location_id, events, theirs)


async def open_shop(stage: Stage, *, bays: int) -> BusyShop:
    """The stage's location with these bays."""
    async with stage.services.tenancy.write(Scope.service(stage.tenant_id, "bench")) as session:
        given = {"bays": bays, "horizon_days": 365, "lead_time_minutes": 0}
        location = await change_location(session, stage.location_id, given)
        await set_hours(session, stage.location_id, [Open(day, OPENS, CLOSES) for day in range(7)])
        service = await upsert_service(session, ServiceChange(None, None, "Bench", 30))
        zone = ZoneInfo(location.timezone)
        first = (await app_now(session)).astimezone(zone).date() + timedelta(days=1)
    return BusyShop(stage.services, stage.superuser_url, stage.tenant_id, stage.location_id, service.id, zone, first)
