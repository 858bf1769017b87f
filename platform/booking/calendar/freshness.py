"""Before something is confirmed: is what we know of the Google calendar new enough?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from lead_orchestrator.booking.calendar import repository
from lead_orchestrator.booking.calendar.models import CalendarStatus
from lead_orchestrator.booking.calendar.sync import GoogleSync, calling
from lead_orchestrator.clock import real_now
from lead_orchestrator.integrations.providers import ProviderError
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["Freshness"]

PATIENCE_SECONDS = 3.0
_log = get_logger(__name__)


@dataclass(frozen=True)
class Freshness:
    """Looks at Google itself before something is confirmed by a mirror that is older than `seconds`."""

    sync: GoogleSync
    seconds: float

    async def ensure(self, scope: Scope, location_id: UUID, starts_at: datetime, ends_at: datetime) -> None:
        """Call it before the transaction that confirms, which then reads what is busy.

        Free/busy is asked first; only if something is there, ours perhaps, the changes are read into the mirror. It ends
        within seconds and never raises: when Google cannot be asked the mirror is what there is.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._look(scope, location_id, starts_at, ends_at)
        except (ProviderError, TimeoutError) as error:
            _log.warning("calendar_not_asked", location_id=str(location_id), reason=type(error).__name__)

    async def _look(self, scope: Scope, location_id: UUID, starts_at: datetime, ends_at: datetime) -> None:
        connections = self.sync.connections
        async with connections.tenancy.read(scope) as session:
            row = await repository.credential(session, location_id)
            now = await real_now(session)
        if row is None or row.status not in (CalendarStatus.CONNECTED, CalendarStatus.ERROR):
            return
        if row.synced_at is not None and now - row.synced_at <= timedelta(seconds=self.seconds):
            return
        found = await calling(
            connections, scope, row, lambda access: self.sync.google.free_busy(access, starts_at, ends_at)
        )
        if found.busy or found.error:
            await self.sync.sync(scope, row)
