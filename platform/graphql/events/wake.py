"""Wake-ups through Redis: after commits, the tenants and their new positions. They may be lost, never trusted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from lead_orchestrator.log import get_logger

__all__ = ["Bell", "Channels", "Listener"]

_log = get_logger(__name__)

CHANNEL = "lead:events"
GATHERING_SECONDS = 0.02
"""What is rung so soon after a message goes out with the next one."""
AWAY_SECONDS = 1.0
QUIET_SECONDS = 5.0


class Bell:
    """Rings after commits, in the background; what cannot be told is found by the look-up of the listeners."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._news: dict[UUID, int] = {}
        self._task: asyncio.Task[None] | None = None

    def ring(self, tenant_id: UUID, position: int) -> None:
        """This tenant has events up to `position`; returns at once."""
        self._news[tenant_id] = max(position, self._news.get(tenant_id, 0))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._tell(), name="event-bell")

    async def close(self) -> None:
        """Let what was rung go out."""
        if self._task is not None:
            await self._task

    async def _tell(self) -> None:
        while self._news:
            news, self._news = self._news, {}
            try:
                told = " ".join(f"{tenant_id}:{position}" for tenant_id, position in news.items())
                await self._redis.publish(CHANNEL, told)
            except (RedisError, OSError) as error:
                _log.warning("event_wake_up_lost", reason=type(error).__name__)
            await asyncio.sleep(GATHERING_SECONDS)


class Listener:
    """This process's one reader: calls `heard(tenant_id, position)`, reconnecting as often as it takes.

    `channels` are further ones, which come and go; their messages go to `Channels.heard`.
    """

    def __init__(self, redis: Redis, heard: Callable[[UUID, int], None], channels: Channels | None = None) -> None:
        self._redis = redis
        self._heard = heard
        self._channels = channels
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._listen(), name="event-listener")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as reader:
                    await reader.subscribe(CHANNEL)
                    async with self._further(reader):
                        while True:
                            message = await reader.get_message(timeout=QUIET_SECONDS)
                            if message is not None:
                                self._read(message["channel"], message["data"])
            except (RedisError, OSError) as error:
                _log.warning("event_listener_away", reason=type(error).__name__)
                await asyncio.sleep(AWAY_SECONDS)

    @asynccontextmanager
    async def _further(self, reader: PubSub) -> AsyncIterator[None]:
        if self._channels is None:
            yield
            return
        async with self._channels.through(reader):
            yield

    def _read(self, channel: bytes, data: bytes) -> None:
        if channel != CHANNEL.encode():
            if self._channels is not None:
                self._channels.heard(channel.decode(), data)
            return
        try:
            for told in data.decode().split():
                tenant_id, _, position = told.partition(":")
                self._heard(UUID(tenant_id), int(position))
        except ValueError:
            _log.warning("event_wake_up_unreadable")


class Channels:
    """Channels that somebody listens to for a while, over the connection of the process's one reader.

    While it is down they are only noted, and listened to when it is up again.
    """

    def __init__(self) -> None:
        self.heard: Callable[[str, bytes], None] = lambda _channel, _data: None
        self._wanted: set[str] = set()
        self._reader: PubSub | None = None

    async def listen(self, channel: str) -> None:
        self._wanted.add(channel)
        await self._tell("subscribe", channel)

    async def leave(self, channel: str) -> None:
        self._wanted.discard(channel)
        await self._tell("unsubscribe", channel)

    @asynccontextmanager
    async def through(self, reader: PubSub) -> AsyncIterator[None]:
        """As long as this connection lasts."""
        if self._wanted:
            await reader.subscribe(*self._wanted)
        self._reader = reader
        try:
            yield
        finally:
            self._reader = None

    async def _tell(self, what: str, channel: str) -> None:
        if self._reader is None:
            return
        try:
            await getattr(self._reader, what)(channel)
        except (RedisError, OSError) as error:
            _log.warning("channel_not_told", reason=type(error).__name__)
