"""How fast one franchise's messages are handed over, by all workers together: a token bucket in Redis.

Providers answer too many requests with 429 and count them. Without Redis nothing is limited: the bucket spares the
provider, what it lets through too much is refused there and tried again later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from redis.exceptions import RedisError

from lead_orchestrator.log import get_logger
from lead_orchestrator.messaging.dispatch import Grant

__all__ = ["TokenBucket"]

_log = get_logger(__name__)

_KEPT_MS = 60_000
TAKE = """
local rate, most, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = math.min(most, (tonumber(kept[1]) or most) + math.max(0, now - (tonumber(kept[2]) or now)) * rate)
local granted = math.min(wanted, math.max(0, math.floor(tokens)))
redis.call('HSET', KEYS[1], 'tokens', tostring(math.min(most, tokens - granted)), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
local wait = 0
if granted == 0 and wanted > 0 then wait = math.ceil((1 - tokens) / rate * 1000) end
return {granted, wait}
"""
"""KEYS: one bucket. ARGV: tokens a second, the most it holds, how many to take (or, negative, to give back), how long an
untouched bucket is kept. Answers with how many were granted and, if none, in how many ms there is one."""


class Redis(Protocol):
    """What is used of a Redis client."""

    def register_script(self, script: str) -> Any: ...


class TokenBucket:
    """A bucket for each tenant, which holds what may be sent within a second."""

    def __init__(self, redis: Redis, per_second: float) -> None:
        self._take = redis.register_script(TAKE)
        self._per_second = per_second

    async def take(self, tenant_id: UUID, wanted: int) -> Grant:
        """As many of the wanted calls as may be made now."""
        try:
            granted, wait = await self._run(tenant_id, wanted)
        except (RedisError, OSError) as error:
            _log.warning("bucket_unreachable", reason=type(error).__name__)
            return Grant(wanted, 0.0)
        return Grant(granted, wait / 1000)

    async def give_back(self, tenant_id: UUID, count: int) -> None:
        """What was granted and not needed."""
        try:
            await self._run(tenant_id, -count)
        except (RedisError, OSError) as error:
            _log.warning("bucket_unreachable", reason=type(error).__name__)

    async def _run(self, tenant_id: UUID, wanted: int) -> Sequence[int]:
        most = max(1.0, self._per_second)
        answer: Sequence[int] = await self._take(
            keys=[f"lead:sends:{tenant_id}"], args=[self._per_second, most, wanted, _KEPT_MS]
        )
        return answer
