"""Everything that is live in one process: one tail a tenant with its groups, and the look-up that misses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from lead_orchestrator.graphql.events.source import Source
from lead_orchestrator.graphql.events.tail import Tail
from lead_orchestrator.log import get_logger

__all__ = ["LOOK_UP_SECONDS", "Heads", "Hub"]

_log = get_logger(__name__)

LOOK_UP_SECONDS = 1.0

Heads = Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, int]]]
"""The positions of these tenants, in one statement."""


class Hub:
    """Members join and leave; `wake` says that a tenant moved, and whoever forgets to say so is found out in a second."""

    def __init__(self, source: Source, heads: Heads, *, look_up_seconds: float = LOOK_UP_SECONDS) -> None:
        self._source = source
        self._heads = heads
        self._look_up_seconds = look_up_seconds
        self._tails: dict[UUID, asyncio.Future[Tail]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._look_up(), name="event-look-up")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for tail in self._open_tails().values():
            await tail.close()
        self._tails.clear()

    def wake(self, tenant_id: UUID, position: int) -> None:
        """Tenants that nobody here listens to cost nothing."""
        if tail := self._open_tail(tenant_id):
            tail.wake(position)

    async def open(self, tenant_id: UUID) -> Tail:
        """The tail of this tenant, held open until `close`."""
        tail = await self._tail(tenant_id)
        while self._open_tail(tenant_id) is not tail:  # it was let go between being opened and now
            tail = await self._tail(tenant_id)
        tail.sockets += 1
        return tail

    async def close(self, tenant_id: UUID, tail: Tail) -> None:
        """What nobody holds any more is let go."""
        tail.sockets -= 1
        if not tail.sockets and self._open_tail(tenant_id) is tail:
            del self._tails[tenant_id]
            await tail.close()

    async def _tail(self, tenant_id: UUID) -> Tail:
        opening = self._tails.get(tenant_id)
        if opening is None:
            opening = self._tails[tenant_id] = asyncio.ensure_future(self._open(tenant_id))
            opening.add_done_callback(lambda done: self._forget_failed(tenant_id, done))
        return await asyncio.shield(opening)

    async def _open(self, tenant_id: UUID) -> Tail:
        return Tail(tenant_id, self._source, await self._source.head(tenant_id))

    def _forget_failed(self, tenant_id: UUID, opening: asyncio.Future[Tail]) -> None:
        if (opening.cancelled() or opening.exception()) and self._tails.get(tenant_id) is opening:
            del self._tails[tenant_id]

    def _open_tail(self, tenant_id: UUID) -> Tail | None:
        opening = self._tails.get(tenant_id)
        return opening.result() if opening and opening.done() and not opening.exception() else None

    def _open_tails(self) -> dict[UUID, Tail]:
        return {tenant_id: tail for tenant_id in self._tails if (tail := self._open_tail(tenant_id))}

    async def _look_up(self) -> None:
        """One statement for all tenants that somebody listens to, whatever the number of sockets."""
        while True:
            await asyncio.sleep(self._look_up_seconds)
            listened = list(self._open_tails())
            if not listened:
                continue
            try:
                heads = await self._heads(listened)
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                _log.warning("event_heads_unreadable", error=type(error).__name__)
                continue
            for tenant_id, position in heads.items():
                if tail := self._open_tail(tenant_id):
                    tail.found(position)
