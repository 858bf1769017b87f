"""Winding the product's clock: from due time to due time, so that 30 days play in seconds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from lead_orchestrator.clock import app_now as read_app_now
from lead_orchestrator.clock import clock_offset, set_clock_offset
from lead_orchestrator.db import database_url
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.log import get_logger
from lead_orchestrator.services import Services

__all__ = ["WindingClock"]

_log = get_logger(__name__)

LONGEST = timedelta(days=366)
_MOST_STEPS = 20_000
_MOST_BATCHES = 10_000


class WindingClock:
    """The sandbox's clock. It owns the database's app_now(), which only lead_owner can replace."""

    def __init__(self, services: Services, owner_url: str) -> None:
        self._services = services
        self._engine: AsyncEngine = create_async_engine(
            database_url(owner_url), isolation_level="AUTOCOMMIT", pool_size=1
        )
        self._turn = asyncio.Lock()

    async def close(self) -> None:
        await self._engine.dispose()

    async def now(self) -> datetime:
        async with self._engine.connect() as connection:
            return await read_app_now(connection)

    async def start_at(self, wall: time, zone: ZoneInfo) -> datetime:
        """Show `wall` of today in `zone`, so that a demo works at any hour."""
        now = datetime.now(UTC)
        await self._set(datetime.combine(now.astimezone(zone).date(), wall, zone).astimezone(UTC) - now)
        return await self.now()

    async def wind(self, seconds: float) -> datetime:
        """Go ahead, stopping at every due time until nothing is left to do there.

        Raises:
            BadInputError: backwards, or more than a year at once.
        """
        if not 0 < seconds <= LONGEST.total_seconds():
            raise BadInputError(f"the clock was to move by {seconds} seconds: only ahead, and a year at most")
        async with self._turn:
            target = await self.now() + timedelta(seconds=seconds)
            for _ in range(_MOST_STEPS):
                await self._work()
                due = await self._services.lookups.next_due()
                if due is None or due > target:
                    break
                await self._ahead(due)
            await self._ahead(target)
            await self._work()
            return await self.now()

    async def reset(self) -> datetime:
        """Back to real time; what was planned stays where it is."""
        async with self._turn:
            await self._set(timedelta())
            return await self.now()

    async def _work(self) -> None:
        """Send until nothing is due: the worker's next tick would, but ten seconds later."""
        for _ in range(_MOST_BATCHES):
            tenants = await self._services.lookups.due_messages()
            sent = [await self._services.dispatcher.dispatch(tenant) for tenant in tenants]
            if not any(batch.claimed for batch in sent):
                if not tenants:
                    return
                await asyncio.sleep(0.02)  # the worker has them in hand

    async def _ahead(self, moment: datetime) -> None:
        async with self._engine.connect() as connection:
            now = await read_app_now(connection)
            if moment > now:
                offset = await clock_offset(connection)
                await set_clock_offset(
                    connection, offset + (moment - now), production=self._services.settings.production
                )

    async def _set(self, offset: timedelta) -> None:
        async with self._engine.connect() as connection:
            await set_clock_offset(connection, offset, production=self._services.settings.production)
