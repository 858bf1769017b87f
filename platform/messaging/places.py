"""How many calls of one tenant a process has under way: a slow provider of one must not take the others' place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

__all__ = ["Held", "Places"]


@dataclass
class _Room:
    taken: int = 0
    waiter: asyncio.Future[None] | None = None


class Held:
    """Places of one batch; each is given back when its call has ended, the rest with the batch."""

    def __init__(self, room: _Room, count: int) -> None:
        self._room = room
        self._count = count

    def keep(self, count: int) -> None:
        """Give back all but `count`."""
        self.give_back(self._count - count)

    def give_back(self, count: int = 1) -> None:
        self._count -= count
        self._room.taken -= count
        if self._room.waiter is not None and not self._room.waiter.done():
            self._room.waiter.set_result(None)


class Places:
    """At most `most` places for each tenant. Whoever comes first waits for a whole batch's; nobody waits behind."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rooms: dict[UUID, _Room] = {}

    @asynccontextmanager
    async def held(self, tenant_id: UUID, count: int) -> AsyncIterator[Held | None]:
        """`count` places while the block lasts, once there are so many; None at once if somebody waits for some already."""
        room = self._rooms.setdefault(tenant_id, _Room())
        if room.waiter is not None:
            yield None
            return
        await self._wait(room, count)
        room.taken += count
        held = Held(room, count)
        try:
            yield held
        finally:
            held.keep(0)
            if not room.taken and room.waiter is None:
                self._rooms.pop(tenant_id, None)

    async def _wait(self, room: _Room, count: int) -> None:
        while room.taken + count > self._most:
            room.waiter = asyncio.get_running_loop().create_future()
            try:
                await room.waiter
            finally:
                room.waiter = None
