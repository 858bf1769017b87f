"""The queue on Redis: only an alarm clock. Whatever it loses is in Postgres and found by the next tick."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.constants import default_queue_name
from redis.exceptions import RedisError

from lead_orchestrator.log import get_logger

__all__ = ["Queue", "deserialize", "open_queue", "redis_settings", "serialize"]

_log = get_logger(__name__)


def serialize(value: dict[str, Any]) -> bytes:
    """JSON, never pickle: whoever can write to Redis must not run code here."""
    return json.dumps(value, default=str).encode()


def deserialize(raw: bytes) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(raw)
    return loaded


def redis_settings(url: str) -> RedisSettings:
    settings = RedisSettings.from_dsn(url)
    settings.conn_retries = 3
    return settings


class Queue:
    """Rings the worker. A bell that cannot be rung is logged, not raised: a tick finds the work."""

    def __init__(self, redis: ArqRedis) -> None:
        self.redis = redis

    async def event(self, tenant_id: UUID, event_id: UUID) -> None:
        """A webhook event was stored."""
        await self._ring("process_event", str(tenant_id), str(event_id))

    async def inbound(self, tenant_id: UUID, event_id: UUID) -> None:
        """A customer's message, or news of one of ours, was stored."""
        await self._ring("process_inbound", str(tenant_id), str(event_id))

    async def due(self, tenant_id: UUID, *, after: float = 0.0) -> None:
        """A message of this tenant fell due, or may be sent in `after` seconds."""
        await self._ring("dispatch_tenant", str(tenant_id), after=after)

    async def owed(self, tenant_id: UUID) -> None:
        """Another system has to be told of an appointment of this tenant."""
        await self._ring("dispatch_outbox", str(tenant_id))

    async def calendar(self, tenant_id: UUID) -> None:
        """A calendar of this tenant changed outside."""
        await self._ring("sync_calendars", str(tenant_id))

    async def chat(self, tenant_id: UUID, chat_id: UUID, *, after: float = 0.0) -> None:
        """A conversation is owed an answer in `after` seconds."""
        await self._ring("answer_chat", str(tenant_id), str(chat_id), after=after)

    async def account_mails(self, tenant_id: UUID) -> None:
        """Somebody of this tenant is to be mailed a link."""
        await self._ring("send_account_mails", str(tenant_id))

    async def ring(self, job: str, *arguments: str) -> None:
        """Enqueue `job`, without a fixed id: a wake-up that is already under way must not swallow this one."""
        await self._ring(job, *arguments)

    async def _ring(self, job: str, *arguments: str, after: float = 0.0) -> None:
        try:
            await self.redis.enqueue_job(job, *arguments, _defer_by=after or None)
        except (RedisError, OSError) as error:
            _log.warning("wake_up_lost", job=job, reason=type(error).__name__)


async def open_queue(url: str) -> Queue:
    """A connection to the queue; Redis must answer within a few tries."""
    pool = await create_pool(
        redis_settings(url),
        job_serializer=serialize,
        job_deserializer=deserialize,
        default_queue_name=default_queue_name,
    )
    return Queue(pool)
