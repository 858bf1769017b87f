"""Reading ShopMonkey's calendar: what was booked there takes a bay here, and ends the touches of its lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from lead_orchestrator.booking import repository as booking_repository
from lead_orchestrator.booking.calendar import repository
from lead_orchestrator.catalog.repository import crm_key
from lead_orchestrator.clock import app_now, real_now
from lead_orchestrator.integrations.google_calendar.models import Busy
from lead_orchestrator.integrations.providers import ProviderBusy, ProviderRefused
from lead_orchestrator.integrations.shopmonkey.appointments import ShopMonkeyAppointments
from lead_orchestrator.integrations.shopmonkey.client import ShopMonkeyClient
from lead_orchestrator.integrations.shopmonkey.models import Appointment, Customer
from lead_orchestrator.leads import repository as leads_repository
from lead_orchestrator.leads.addresses import known_email, known_phone
from lead_orchestrator.leads.models import LeadStatus
from lead_orchestrator.leads.service import Leads, locked
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.secrets import SecretOpener
from lead_orchestrator.tenancy.sessions import Scope, Tenancy, WriteSession

__all__ = ["CrmCalendar"]

LEASE = timedelta(minutes=5)
AT_ONCE = 10
OVERLAP = timedelta(hours=1)
BEFORE = timedelta(days=1)  # the first look: what was booked earlier has no touches running
PAUSE_REFUSED = 900.0
OURS = "appt_"
_log = get_logger(__name__)


@dataclass(frozen=True)
class _Read:
    """What stands in ShopMonkey: everything that takes time, and the customers of what was booked there lately."""

    appointments: Sequence[Appointment]
    customers: Sequence[Customer]
    order_ids: Sequence[str]


@dataclass(frozen=True)
class CrmCalendar:
    """`interval` is the seconds between two looks at a location. ShopMonkey is read first and written of afterwards."""

    tenancy: Tenancy
    shopmonkey: ShopMonkeyClient
    appointments: ShopMonkeyAppointments
    secrets: SecretOpener
    leads: Leads
    interval: float

    async def sync_due(self, tenant_id: UUID) -> int:
        """Read the locations whose time has come; says how many."""
        scope = Scope.service(tenant_id, "calendars")
        async with self.tenancy.write(scope) as session:
            due = await repository.claim_crm_locations(session, LEASE, AT_ONCE)
            sealed = await crm_key(session)
            now, real = await app_now(session), await real_now(session)
        if not due or sealed is None:
            return 0
        key = self.secrets.open(tenant_id, "shopmonkey_api_key", sealed)
        for location in due:
            pause = self.interval
            try:
                read = await self._read(key, location, now, real)
                async with self.tenancy.write(scope) as session:
                    await self._store(session, location, read)
            except ProviderRefused as error:
                pause = PAUSE_REFUSED
                _log.warning("crm_calendar_refused", location_id=str(location.id), reason=error.code)
            except ProviderBusy as error:
                pause = max(error.retry_after or 0.0, self.interval)
                _log.warning("crm_calendar_busy", location_id=str(location.id), reason=error.code)
            async with self.tenancy.write(scope) as session:
                await repository.schedule_crm(session, [location.id], timedelta(seconds=pause))
        return len(due)

    async def _read(self, key: str, location: Location, now: datetime, real: datetime) -> _Read:
        shop = location.shopmonkey_location_id or ""
        until = now + timedelta(days=location.horizon_days + 1)
        rows = await self.appointments.list_between(key, shop, now - timedelta(days=1), until, location.timezone)
        async with self.tenancy.read(Scope.service(location.tenant_id, "calendars")) as session:
            ours = await repository.our_shopmonkey_ids(session, [row.id for row in rows])
        theirs = [row for row in rows if row.id not in ours and OURS not in (row.note or "")]
        since = location.crm_calendar_at - OVERLAP if location.crm_calendar_at else real - BEFORE
        lately = [row for row in theirs if row.created_date is None or row.created_date >= since]
        found = [
            await self.shopmonkey.get_customer(key, customer_id)
            for customer_id in {row.customer_id for row in lately if row.customer_id and not row.order_id}
        ]
        orders = sorted({row.order_id for row in lately if row.order_id})
        return _Read(theirs, [customer for customer in found if customer is not None], orders)

    async def _store(self, session: WriteSession, location: Location, read: _Read) -> None:
        taken = [
            (row.id, Busy(row.start_date, row.end_date))
            for row in read.appointments
            if row.start_date is not None and row.end_date is not None and row.start_date < row.end_date
        ]
        await repository.forget_shopmonkey(session, location.id)
        await repository.put_shopmonkey(session, location.id, await _into_bays(session, location, taken))
        booked = set(await repository.leads_of_orders(session, read.order_ids))
        for customer in read.customers:
            booked |= await self._lead_of(session, location.id, customer)
        for lead_id in sorted(booked):
            lead = await locked(session, lead_id)
            await self.leads.move(session, lead, LeadStatus.BOOKED, "An appointment was made in ShopMonkey")

    async def _lead_of(self, session: WriteSession, location_id: UUID, customer: Customer) -> set[UUID]:
        phone = known_phone(customer.phone.number, "US") if customer.phone and customer.phone.number else None
        email = known_email(customer.email.email) if customer.email and customer.email.email else None
        if not phone and not email:
            return set()
        lead = await leads_repository.find_person(session, location_id, phone, email, None)
        return {lead.id} if lead else set()


async def _into_bays(
    session: WriteSession, location: Location, taken: Sequence[tuple[str, Busy]]
) -> list[tuple[str, int, Busy]]:
    """Each in a bay that nothing else has at its time; if there is none, in the first, which has too much then."""
    if not taken:
        return []
    begins, ends = min(busy.starts_at for _, busy in taken), max(busy.ends_at for _, busy in taken)
    rows = await booking_repository.busy(session, location.id, begins, ends)
    used = [(row.bay, Busy(row.starts_at, row.ends_at)) for row in rows if row.bay is not None]
    placed = []
    for external_id, busy in sorted(taken, key=lambda one: (one[1].starts_at, one[0])):
        full = {bay for bay, other in used if other.starts_at < busy.ends_at and busy.starts_at < other.ends_at}
        bay = next((number for number in range(1, location.bays + 1) if number not in full), 1)
        used.append((bay, busy))
        placed.append((external_id, bay, busy))
    return placed
