"""Reading Google calendars: what changed, by sync token; all of it when the token has run out."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID, uuid4

from pydantic import SecretStr

from lead_orchestrator.booking.calendar import repository
from lead_orchestrator.booking.calendar.connections import GoogleConnections
from lead_orchestrator.booking.calendar.models import CalendarStatus, GoogleCredential
from lead_orchestrator.clock import real_now
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.integrations.google_calendar.client import GoogleCalendarClient
from lead_orchestrator.integrations.google_calendar.errors import (
    AccessExpired,
    GoogleGone,
    GoogleRefused,
    GrantLost,
)
from lead_orchestrator.integrations.google_calendar.models import CalendarEvent, Channel
from lead_orchestrator.integrations.providers import ProviderBusy, ProviderRefused
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["CHANNEL", "PUSH_PATH", "GoogleSync", "calling"]

PUSH_PATH = "/webhooks/google/calendar"
CHANNEL = "google channel"
LEASE = timedelta(minutes=2)
AT_ONCE = 20
PAST = timedelta(days=1)
RENEWED_BEFORE = timedelta(days=1)
MOST_PAGES = 100
FAILURES_SHOWN = 3
LONGEST_PAUSE = 900.0
T = TypeVar("T")
_log = get_logger(__name__)


@dataclass(frozen=True)
class _Read:
    """What a list told; `whole` replaces what is mirrored."""

    events: Sequence[CalendarEvent]
    sync_token: str | None
    whole: bool


@dataclass(frozen=True)
class GoogleSync:
    """`interval` is the seconds between two looks at a calendar that nobody told us of. No transaction is open in a call."""

    connections: GoogleConnections
    google: GoogleCalendarClient
    interval: float
    push: bool

    async def sync_due(self, tenant_id: UUID) -> int:
        """Bring every due connection of the tenant up to date; says how many were due."""
        scope = Scope.service(tenant_id, "calendars")
        async with self.connections.tenancy.write(scope) as session:
            due = await repository.claim_due(session, LEASE, AT_ONCE)
        for row in due:
            await (self._end(scope, row) if row.status == CalendarStatus.ENDING else self.sync(scope, row))
        return len(due)

    async def sync(self, scope: Scope, row: GoogleCredential) -> bool:
        """Mirror one calendar; False, with the reason stored, when Google does not let us."""
        try:
            read = await calling(self.connections, scope, row, lambda access: self._read(access, row))
            await self._store(scope, row, read)
            if self.push:
                await calling(self.connections, scope, row, lambda access: self._listen(scope, row, access))
        except GrantLost:
            return False
        except ProviderRefused as error:
            await self._failed(scope, row, error.message, LONGEST_PAUSE, shown=True)
            return False
        except ProviderBusy as error:
            pause = min(max(error.retry_after or 0.0, 5.0 * 2.0 ** min(row.failures, 10)), LONGEST_PAUSE)
            message = f"Google cannot be asked ({error.code})"
            await self._failed(scope, row, message, pause, shown=row.failures + 1 >= FAILURES_SHOWN)
            return False
        return True

    async def _read(self, access: SecretStr, row: GoogleCredential) -> _Read:
        try:
            if row.sync_token is not None:
                return await self._walk(access, row.sync_token, None)
        except GoogleGone:
            _log.info("calendar_sync_token_gone", location_id=str(row.location_id))
        async with self.connections.tenancy.read(Scope.service(row.tenant_id, "calendars")) as session:
            since = await real_now(session) - PAST
        return await self._walk(access, None, since)

    async def _walk(self, access: SecretStr, sync_token: str | None, since: datetime | None) -> _Read:
        events: list[CalendarEvent] = []
        page_token: str | None = None
        for _ in range(MOST_PAGES):
            page = await self.google.list_events(access, sync_token=sync_token, page_token=page_token, since=since)
            events += page.events
            page_token = page.next_page
            if page_token is None:
                return _Read([event for event in events if not _ours(event)], page.sync_token, sync_token is None)
        raise GoogleRefused("too_many", f"the calendar has more than {MOST_PAGES} pages of events")

    async def _store(self, scope: Scope, row: GoogleCredential, read: _Read) -> None:
        async with self.connections.tenancy.write(scope) as session:
            stored = await repository.locked_credential(session, row.location_id)
            if stored is None or stored.generation != row.generation or stored.sync_token != row.sync_token:
                return  # connected anew, ended, or another sync was quicker
            if read.whole:
                await repository.forget_events(session, row.location_id)
            await repository.put_events(session, row.location_id, read.events)
            now = await real_now(session)
            stored.sync_token, stored.synced_at = read.sync_token, now
            stored.status, stored.error, stored.failures = CalendarStatus.CONNECTED, None, 0
            stored.next_sync_at = now + self._pause(self.interval)

    async def _failed(self, scope: Scope, row: GoogleCredential, error: str, pause: float, *, shown: bool) -> None:
        async with self.connections.tenancy.write(scope) as session:
            stored = await repository.locked_credential(session, row.location_id)
            if stored is None or stored.generation != row.generation:
                return
            stored.failures += 1
            if shown:
                stored.status, stored.error = CalendarStatus.ERROR, error
            stored.next_sync_at = await real_now(session) + self._pause(pause)
        _log.warning("calendar_sync_failed", location_id=str(row.location_id), reason=error)

    async def _listen(self, scope: Scope, row: GoogleCredential, access: SecretStr) -> None:
        """Have Google tell us of changes, before the channel that does so now has ended."""
        async with self.connections.tenancy.read(scope) as session:
            now = await real_now(session)
        if row.channel_id and row.channel_expires_at and row.channel_expires_at > now + RENEWED_BEFORE:
            return
        token = self.connections.links.token(CHANNEL, row.tenant_id, row.location_id)
        address = self.connections.public_url.rstrip("/") + PUSH_PATH
        channel = await self.google.watch(access, channel_id=str(uuid4()), token=token, address=address)
        if await self._listening(scope, row, channel) and row.channel_id and row.channel_resource_id:
            await self.google.stop(access, row.channel_id, row.channel_resource_id)

    async def _listening(self, scope: Scope, row: GoogleCredential, channel: Channel) -> bool:
        async with self.connections.tenancy.write(scope) as session:
            stored = await repository.locked_credential(session, row.location_id)
            if stored is None or stored.generation != row.generation:
                return False
            stored.channel_id, stored.channel_resource_id = channel.id, channel.resource_id
            stored.channel_expires_at = channel.expires_at
            return True

    async def _end(self, scope: Scope, row: GoogleCredential) -> None:
        """Stop the channel and give the permission back; what Google says to that changes nothing for us."""
        try:
            access = await self.connections.access(scope, row)
            if row.channel_id and row.channel_resource_id:
                await self.google.stop(access, row.channel_id, row.channel_resource_id)
            if self.connections.oauth is not None and row.refresh_token:
                token = self.connections.secrets.open(row.tenant_id, "google_refresh_token", row.refresh_token)
                await self.connections.oauth.revoke(SecretStr(token))
        except ProviderBusy:
            if row.failures < FAILURES_SHOWN:
                await self._failed(scope, row, "Google cannot be told that the connection ended", 60.0, shown=False)
                return
        except ProviderRefused:
            pass
        async with self.connections.tenancy.write(scope) as session:
            stored = await repository.locked_credential(session, row.location_id)
            if stored is not None and stored.generation == row.generation:
                await repository.drop_credential(session, row.location_id)

    def _pause(self, seconds: float) -> timedelta:
        return timedelta(seconds=seconds * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, so that calendars spread out


async def calling(
    connections: GoogleConnections, scope: Scope, row: GoogleCredential, call: Callable[[SecretStr], Awaitable[T]]
) -> T:
    """`call` with an access token, once more with a new one if Google takes the first for run out.

    Raises what `connections.access` and the call raise; a permission that is gone is marked as lost.
    """
    try:
        return await call(await connections.access(scope, row))
    except AccessExpired:
        return await call(await connections.access(scope, row, renew=True))


def _ours(event: CalendarEvent) -> bool:
    """Whether the event is one of our appointments; a copy that somebody made of it is not."""
    try:
        return event.ours is not None and decode(Kind.APPOINTMENT, event.ours).hex == event.id
    except BadInputError:
        return False
