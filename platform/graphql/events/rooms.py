"""The conversations that somebody listens to in this process, each with its groups of subscribers and its channel of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from lead_orchestrator.chat.live import channel_of
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.graphql.chat.cursors import version_cursor
from lead_orchestrator.graphql.events.conversations import ConversationSource, told
from lead_orchestrator.graphql.events.group import Membership, Subscriber
from lead_orchestrator.graphql.events.groups import Groups
from lead_orchestrator.graphql.events.operation import Operation
from lead_orchestrator.graphql.events.wake import Channels
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy.tokens import Claims

__all__ = ["ChatHeads", "Room", "Rooms"]

_log = get_logger(__name__)

LOOK_UP_SECONDS = 1.0
RETRY_SECONDS = 0.5
MOST_WHISPERS = 200
ChatHeads = Callable[[Sequence[tuple[UUID, UUID]]], Awaitable[Mapping[UUID, int]]]
"""The versions of these conversations (tenant, conversation), in one statement."""


class Room:
    """One conversation. What is said of its version is a hint: only what Postgres shows counts."""

    def __init__(self, tenant_id: UUID, chat_id: UUID, source: ConversationSource, version: int) -> None:
        """`version`: the groups were told of everything up to it; `listeners`: how many hold it open."""
        self.tenant_id, self.chat_id, self.version = tenant_id, chat_id, version
        self.listeners = 0
        self._groups = Groups(source)
        self._source = source
        self._due = asyncio.Event()
        self._due.set()  # an entry may have come while the version was read
        self._whispers: asyncio.Queue[object] = asyncio.Queue(MOST_WHISPERS)
        self._tasks = [
            asyncio.create_task(work(), name=f"chat-{name}")
            for name, work in (("room", self._follow), ("whispers", self._pass_on))
        ]

    def hear(self, data: bytes) -> None:
        """A message of its channel."""
        news = told(data)
        if isinstance(news, int):
            self.found(news)
        elif news is not None:
            with suppress(asyncio.QueueFull):  # it is lossy
                self._whispers.put_nowait(news)

    def found(self, version: int) -> None:
        """Somebody says that it is at `version`."""
        if version > self.version:
            self._due.set()

    def join(self, operation: Operation, claims: Claims, subscriber: Subscriber) -> Membership:
        """A member from now on, without an await: await its `catch_up()`, and `leave` in the end."""
        return self._groups.join(operation, claims, subscriber, self.version)

    async def leave(self, member: Membership) -> None:
        await self._groups.leave(member)

    async def check(self, after: int) -> None:
        """Raises BadInputError: the conversation has no entry of this version."""
        if after > self.version and after > await self._source.version(self.tenant_id, self.chat_id):
            message = f"nothing here has the cursor {version_cursor(after)} yet: load the messages again and subscribe without it"
            raise BadInputError(message, field=("after",))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._groups.close()

    async def _follow(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                version = await self._source.version(self.tenant_id, self.chat_id)
            except Exception as error:  # noqa: BLE001 - the database is away, say: the entries are there when it is back
                _log.warning("chat_unreadable", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                self._due.set()
                continue
            if version > self.version:
                self.version = version
                for group in self._groups:
                    group.advance_to(version)

    async def _pass_on(self) -> None:
        while True:
            news = await self._whispers.get()
            for group in self._groups:
                try:
                    text = await self._source.whispered(group.operation, group.claims, news)
                except Exception as error:  # noqa: BLE001 - it is lossy
                    _log.warning("chat_whisper_lost", error=type(error).__name__)
                else:
                    group.whisper(text)


class Rooms:
    """Rooms open with their first listener and close with the last; `heads` finds what was not told through Redis."""

    def __init__(
        self,
        source: ConversationSource,
        heads: ChatHeads | None,
        channels: Channels | None,
        *,
        look_up_seconds: float = LOOK_UP_SECONDS,
    ) -> None:
        self._source = source
        self._heads = heads
        self._channels = channels
        self._look_up_seconds = look_up_seconds
        self._rooms: dict[UUID, Room] = {}
        self._opening: dict[UUID, asyncio.Lock] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._look_up(), name="chat-look-up")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for room in self._rooms.values():
            await room.close()
        self._rooms.clear()

    def heard(self, channel: str, data: bytes) -> None:
        """A message on the channel of some conversation."""
        key = channel.rpartition(":")[2]
        with suppress(ValueError):
            if room := self._rooms.get(UUID(key)):
                room.hear(data)

    async def open(self, claims: Claims, chat_id: UUID) -> Room:
        """The room of this conversation, held open until `close`.

        Raises:
            NotFoundError: the caller sees no such conversation.
        """
        if claims.tenant_id is None or not await self._source.seen_by(claims, chat_id):
            raise NotFoundError("there is no such conversation: load the list again", field=("sessionId",))
        lock = self._opening.setdefault(chat_id, asyncio.Lock())
        async with lock:
            room = self._rooms.get(chat_id)
            if room is None:
                if self._channels is not None:
                    await self._channels.listen(channel_of(chat_id))
                version = await self._source.version(claims.tenant_id, chat_id)
                room = self._rooms[chat_id] = Room(claims.tenant_id, chat_id, self._source, version)
            room.listeners += 1
        return room

    async def close(self, room: Room) -> None:
        """What nobody listens to any more is let go."""
        room.listeners -= 1
        if room.listeners or self._rooms.get(room.chat_id) is not room:
            return
        del self._rooms[room.chat_id]
        self._opening.pop(room.chat_id, None)
        if self._channels is not None:
            await self._channels.leave(channel_of(room.chat_id))
        await room.close()

    async def _look_up(self) -> None:
        """One statement for all conversations that somebody listens to, whatever the number of sockets."""
        while True:
            await asyncio.sleep(self._look_up_seconds)
            if not self._rooms or self._heads is None:
                continue
            try:
                found = await self._heads([(room.tenant_id, room.chat_id) for room in self._rooms.values()])
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                _log.warning("chat_heads_unreadable", error=type(error).__name__)
                continue
            for chat_id, version in found.items():
                if room := self._rooms.get(chat_id):
                    room.found(version)
