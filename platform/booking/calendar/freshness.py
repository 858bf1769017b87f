"""Before something is confirmed: is what we know of the Google calendar new enough?

It is asked before the transaction that confirms, and within seconds: a customer never waits longer for Google, and is
never refused because Google is away; then the mirror is what there is. A hold that is booked is not looked at again: whoever
was given ten minutes has them, also if the shop enters something else meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from lead_orchestrator.booking.appointments import repository as appointments
from lead_orchestrator.booking.appointments.wanted import Wanted
from lead_orchestrator.booking.availability import booked, known
from lead_orchestrator.booking.calendar import repository
from lead_orchestrator.booking.calendar.models import CalendarStatus, GoogleCredential
from lead_orchestrator.booking.calendar.sync import GoogleSync, calling
from lead_orchestrator.booking.tokens import Offer, opened_offer
from lead_orchestrator.clock import real_now
from lead_orchestrator.errors import AppError
from lead_orchestrator.integrations.providers import ProviderError
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy.sessions import ReadSession, Scope

__all__ = ["Freshness"]

_log = get_logger(__name__)

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Freshness:
    """Looks at Google itself before something is confirmed by a mirror that is older than `seconds`.

    Free/busy is asked first; only if something is there, ours perhaps, the changes are read into the mirror. No method
    raises: what is wrong with the wish is said by the transaction that follows. `patience`, in seconds, is the longest that
    anybody waits.
    """

    sync: GoogleSync
    seconds: float
    patience: float = 3.0

    async def before_booking(self, scope: Scope, wanted: Wanted) -> None:
        """Of what is wanted, unless it is held already."""
        if wanted.token is not None:
            await self._before_token(scope, wanted.token)
        elif wanted.offer is not None:
            await self.before_offer(scope, wanted.offer)

    async def before_offer(self, scope: Scope, offer: Offer) -> None:
        """Of a time that is to be held or booked."""

        async def span(session: ReadSession) -> Span:
            request = await known(session, offer.location_id, offer.service_ids)
            return offer.starts_at, offer.starts_at + request.work

        await self._ensure(scope, offer.location_id, span)

    async def before_move(self, scope: Scope, appointment_id: UUID, starts_at: datetime) -> None:
        """Of the time that an appointment is to be moved to."""
        async with self.sync.connections.tenancy.read(_service(scope)) as session:
            row = await appointments.appointment(session, appointment_id)
        if row is None:
            return

        async def span(session: ReadSession) -> Span:
            request = await booked(session, row, await appointments.booked_services(session, row.id))
            return starts_at, starts_at + request.work

        await self._ensure(scope, row.location_id, span)

    async def ensure(self, scope: Scope, location_id: UUID, starts_at: datetime, ends_at: datetime) -> None:
        """Of this time at this location."""

        async def span(_session: ReadSession) -> Span:
            return starts_at, ends_at

        await self._ensure(scope, location_id, span)

    async def _before_token(self, scope: Scope, token: str) -> None:
        connections = self.sync.connections
        async with connections.tenancy.read(_service(scope)) as session:
            now = await real_now(session)
        try:
            offer = opened_offer(connections.links, scope.tenant_id, token, now)
        except AppError:
            return
        await self.before_offer(scope, offer)

    async def _ensure(self, scope: Scope, location_id: UUID, span: Callable[[ReadSession], Awaitable[Span]]) -> None:
        if not scope.sees(location_id):
            return
        try:
            async with asyncio.timeout(self.patience):
                await self._look(_service(scope), location_id, span)
        except AppError:
            return
        except (ProviderError, TimeoutError) as error:
            _log.warning("calendar_not_asked", location_id=str(location_id), reason=type(error).__name__)

    async def _look(self, scope: Scope, location_id: UUID, span: Callable[[ReadSession], Awaitable[Span]]) -> None:
        connections = self.sync.connections
        async with connections.tenancy.read(scope) as session:
            row = await repository.credential(session, location_id)
            if row is None or not await self._is_stale(session, row):
                return
            starts_at, ends_at = await span(session)
        found = await calling(
            connections, scope, row, lambda access: self.sync.google.free_busy(access, starts_at, ends_at)
        )
        if found.busy or found.error:
            await self.sync.sync(scope, row)

    async def _is_stale(self, session: ReadSession, row: GoogleCredential) -> bool:
        if row.status not in (CalendarStatus.CONNECTED, CalendarStatus.ERROR):
            return False
        return row.synced_at is None or await real_now(session) - row.synced_at > timedelta(seconds=self.seconds)


def _service(scope: Scope) -> Scope:
    """The mirror is the shop's, whoever asks: it is read and written in a service's session."""
    return Scope.service(scope.tenant_id, "booking")
