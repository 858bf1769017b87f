"""The end of one tenant's events: what was appended is read once, and only the groups it concerns read on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from uuid import UUID

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.cursors import position_cursor
from lead_orchestrator.graphql.events.group import Membership, Subscriber
from lead_orchestrator.graphql.events.groups import Groups
from lead_orchestrator.graphql.events.operation import Operation
from lead_orchestrator.graphql.events.source import Source
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy.tokens import Claims

__all__ = ["Tail"]

_log = get_logger(__name__)

MOST_PLACES = 1_000
RETRY_SECONDS = 0.5


class Tail:
    """Reads where new events stand whenever it is woken; opened with the tenant's position of that moment."""

    def __init__(self, tenant_id: UUID, source: Source, position: int) -> None:
        """`position`: all events up to it were offered to the groups; `sockets`: how many hold it open."""
        self.sockets = 0
        self._groups = Groups(source)
        self._tenant_id = tenant_id
        self._source = source
        self.position = position
        self._found = position
        self._due = asyncio.Event()
        self._due.set()  # a wake-up may have come while the position was read
        self._task = asyncio.create_task(self._run(), name="event-tail")

    def wake(self, position: int) -> None:
        """Somebody says that the tenant is at `position`. It is a hint: only what Postgres shows counts."""
        if position > self.position:
            self._due.set()

    def found(self, head: int) -> None:
        """Postgres says so. Lines of the audit trail take positions too: a head is looked into once."""
        if head > self.position and head != self._found:
            self._found = head
            self._due.set()

    def join(self, operation: Operation, claims: Claims, subscriber: Subscriber) -> Membership:
        """A member from now on, without an await: await its `catch_up()`, and `leave` in the end."""
        return self._groups.join(operation, claims, subscriber, self.position)

    async def leave(self, member: Membership) -> None:
        await self._groups.leave(member)

    async def check(self, after: int) -> None:
        """Raises BadInputError: the tenant has no event of this position."""
        if after > self.position and after > await self._source.head(self._tenant_id):
            message = (
                f"no event has the cursor {position_cursor(after)} yet: load the list again and subscribe without it"
            )
            raise BadInputError(message, field=("after",))

    async def close(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._groups.close()

    async def _run(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                while await self._read():
                    pass
            except Exception as error:  # noqa: BLE001 - the database is away, say: the events are there when it is back
                _log.warning("event_tail_unreadable", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                self._due.set()

    async def _read(self) -> bool:
        """Read on and tell the groups; whether there may be more."""
        places = await self._source.places(self._tenant_id, self.position, MOST_PLACES)
        if places:
            self.position = places[-1].position
            for group in self._groups:
                group.offer(places, self.position)
        return len(places) == MOST_PLACES
