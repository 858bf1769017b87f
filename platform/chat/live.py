"""What listeners of a conversation hear at once, over its own channel of Redis: that it moved, words as they are written, typing.

All of it may be lost: entries are in Postgres, and a message that was stored replaces the words that were shown of it. Nobody may
listen to a channel whose conversation they may not read.
"""

from __future__ import annotations

import asyncio
import json
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from lead_orchestrator.chat.models import ChatRole
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy.sessions import Moved

__all__ = ["Live", "channel_of"]

_log = get_logger(__name__)


def channel_of(chat_id: UUID) -> str:
    """Where a conversation's news are published, each a JSON object: {version}, {messageId, offset, text} or {typing}."""
    return f"lead:chat:{chat_id}"


class Live:
    """Publishes; what cannot be told now is not told."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._moved: dict[UUID, int] = {}
        self._task: asyncio.Task[None] | None = None

    def moved(self, news: Moved) -> None:
        """The conversation has entries up to this version; returns at once (for `Tenancy.on_chats`)."""
        self._moved[news.chat_id] = max(news.version, self._moved.get(news.chat_id, 0))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._tell(), name="chat-bell")

    async def delta(self, chat_id: UUID, message_id: UUID, offset: int, text: str) -> None:
        """`text` follows the first `offset` characters of the message that is being written under this id.

        Only what may stay: words once shown are taken back by a retraction alone. The message is stored by
        `Chats.post_answer` with the same id.
        """
        await self._publish(chat_id, {"messageId": str(message_id), "offset": offset, "text": text})

    async def typing(self, chat_id: UUID, role: ChatRole) -> None:
        """Somebody of this role is writing; it holds for a few seconds."""
        await self._publish(chat_id, {"typing": role.value})

    async def close(self) -> None:
        """Let what was told go out."""
        if self._task is not None:
            await self._task

    async def _tell(self) -> None:
        while self._moved:
            moved, self._moved = self._moved, {}
            for chat_id, version in moved.items():
                await self._publish(chat_id, {"version": version})

    async def _publish(self, chat_id: UUID, news: dict[str, object]) -> None:
        try:
            await self._redis.publish(channel_of(chat_id), json.dumps(news))
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("chat_news_lost", reason=type(error).__name__)
