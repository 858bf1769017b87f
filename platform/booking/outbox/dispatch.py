"""Telling other systems: each entry is brought in line with its appointment, exactly once however often we die meanwhile.

An entry is leased, and that a call will follow is written, before the call. ShopMonkey takes a create twice, so whoever finds
that a create may have gone out looks for our id in the notes first. Google takes our id as the event's, so a second insert is
told apart. A lease is longer than everything that is done under it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from lead_orchestrator.booking.calendar.connections import GoogleConnections
from lead_orchestrator.booking.calendar.models import CalendarStatus
from lead_orchestrator.booking.calendar.sync import calling
from lead_orchestrator.booking.models import AppointmentStatus
from lead_orchestrator.booking.outbox import repository
from lead_orchestrator.booking.outbox.models import OutboxKind
from lead_orchestrator.booking.outbox.repository import Claimed, Facts
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.integrations.google_calendar.client import GoogleCalendarClient
from lead_orchestrator.integrations.google_calendar.errors import GrantLost
from lead_orchestrator.integrations.google_calendar.models import EventDraft
from lead_orchestrator.integrations.providers import ProviderBusy, ProviderError, ProviderRefused
from lead_orchestrator.integrations.shopmonkey.appointments import AppointmentDraft, ShopMonkeyAppointments
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy.secrets import SecretOpener
from lead_orchestrator.tenancy.sessions import Scope, Tenancy

__all__ = ["AT_ONCE", "OutboxDispatcher", "OutboxPolicy"]

AT_ONCE = 20
_log = get_logger(__name__)


@dataclass(frozen=True)
class OutboxPolicy:
    """In seconds. `lease`: how long an entry is its worker's; all its calls end within half of it. After the call whose fate
    is unknown the entry waits for `lease` as well, so that what is still under way has arrived."""

    lease: float = 60.0
    first_pause: float = 5.0
    longest_pause: float = 900.0
    most_attempts: int = 30


@dataclass(frozen=True)
class OutboxDispatcher:
    """Works off what a tenant's appointments owe to other systems."""

    tenancy: Tenancy
    shopmonkey: ShopMonkeyAppointments
    google: GoogleCalendarClient
    connections: GoogleConnections
    secrets: SecretOpener
    policy: OutboxPolicy

    async def dispatch(self, tenant_id: UUID) -> int:
        """One batch; says how many entries were due. What belongs to one system does not wait for the other."""
        scope = Scope.service(tenant_id, "outbox")
        async with self.tenancy.write(scope) as session:
            claimed = await repository.claim(session, timedelta(seconds=self.policy.lease), AT_ONCE)
        await asyncio.gather(*(self._entry(scope, entry) for entry in claimed))
        return len(claimed)

    async def _entry(self, scope: Scope, entry: Claimed) -> None:
        try:
            async with self.tenancy.read(scope) as session:
                facts = await repository.facts(session, entry.appointment_id)
            async with asyncio.timeout(self.policy.lease / 2):
                external_id = await self._tell(scope, entry, facts)
        except ProviderRefused as error:
            await self._failed(scope, entry, error.message, final=not error.credentials)
        except ProviderBusy as error:
            await self._failed(scope, entry, f"busy ({error.code})", wished=error.retry_after)
        except (ProviderError, TimeoutError) as error:
            wished = self.policy.lease
            await self._failed(scope, entry, f"its answer was lost ({type(error).__name__})", wished=wished)
        else:
            async with self.tenancy.write(scope) as session:
                await repository.done(session, entry, external_id)

    async def _tell(self, scope: Scope, entry: Claimed, facts: Facts) -> str | None:
        """Bring the other side in line; the id there, if it has one."""
        if facts.status not in (AppointmentStatus.CONFIRMED, AppointmentStatus.CANCELLED):
            return entry.external_id  # a hold is nobody's business; what took place stays as it was told
        if entry.kind is OutboxKind.GOOGLE_EVENT:
            return await self._tell_google(scope, entry, facts)
        return await self._tell_shopmonkey(scope, entry, facts)

    async def _tell_shopmonkey(self, scope: Scope, entry: Claimed, facts: Facts) -> str | None:
        if facts.crm_key is None or facts.shopmonkey_location_id is None:
            return entry.external_id
        key = self.secrets.open(scope.tenant_id, "shopmonkey_api_key", facts.crm_key)
        draft = _appointment(facts, facts.shopmonkey_location_id)
        known = entry.external_id or await self._found(key, draft, entry.asked)
        if facts.status == AppointmentStatus.CANCELLED:
            if known is not None:
                await self.shopmonkey.delete(key, known)
            return known
        if known is not None and await self.shopmonkey.update(key, known, draft):
            return known
        return await self.shopmonkey.create(key, draft)

    async def _found(self, key: str, draft: AppointmentDraft, asked: Sequence[datetime]) -> str | None:
        """The appointment of an earlier attempt, at the time that it was to be made for."""
        for starts_at in asked:
            found = await self.shopmonkey.find(key, replace(draft, starts_at=starts_at))
            if found is not None:
                return found
        return None

    async def _tell_google(self, scope: Scope, entry: Claimed, facts: Facts) -> str | None:
        row = facts.credential
        if row is None or row.status not in (CalendarStatus.CONNECTED, CalendarStatus.ERROR):
            return entry.external_id  # connecting the calendar owes it again
        draft = _event(facts)
        try:
            if facts.status == AppointmentStatus.CANCELLED:
                await calling(self.connections, scope, row, lambda access: self.google.delete_event(access, draft.id))
            elif not await calling(
                self.connections, scope, row, lambda access: self.google.insert_event(access, draft)
            ):
                await calling(self.connections, scope, row, lambda access: self.google.patch_event(access, draft))
        except GrantLost:
            return entry.external_id
        return draft.id

    async def _failed(
        self, scope: Scope, entry: Claimed, error: str, *, wished: float | None = None, final: bool = False
    ) -> None:
        system = "Google Calendar" if entry.kind is OutboxKind.GOOGLE_EVENT else "ShopMonkey"
        pause = min(self.policy.first_pause * 2.0 ** min(entry.attempts - 1, 12), self.policy.longest_pause)
        jittered = max(pause, wished or 0.0) * random.uniform(1.0, 1.2)  # noqa: S311 - jitter
        over = final or entry.attempts >= self.policy.most_attempts
        async with self.tenancy.write(scope) as session:
            pause_or_end = None if over else timedelta(seconds=jittered)
            await repository.put_off(session, entry, f"{system}: {error}", pause_or_end)
        _log.warning("outbox_put_off", kind=entry.kind.value, attempts=entry.attempts, reason=error, final=over)


def _appointment(facts: Facts, shop: str) -> AppointmentDraft:
    return AppointmentDraft(
        reference=encode(Kind.APPOINTMENT, facts.appointment_id),
        name=_title(facts),
        note=facts.services,
        starts_at=facts.starts_at,
        ends_at=facts.ends_at,
        location_id=shop,
        order_id=facts.order_id,
    )


def _event(facts: Facts) -> EventDraft:
    reference = encode(Kind.APPOINTMENT, facts.appointment_id)
    return EventDraft(
        id=facts.appointment_id.hex,
        summary=_title(facts),
        description=f"{facts.services}\n{reference}".strip(),
        starts_at=facts.starts_at,
        ends_at=facts.ends_at,
        timezone=facts.timezone,
        ours=reference,
    )


def _title(facts: Facts) -> str:
    """As the shop's people want to read it: who, and into which bay."""
    return f"{facts.customer or 'Appointment'} (bay {facts.bay})"
