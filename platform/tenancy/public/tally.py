"""Counting in Redis, which a request waits for no longer than it would notice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from redis.exceptions import RedisError

from lead_orchestrator.log import get_logger

__all__ = ["Redis", "Tally"]

_log = get_logger(__name__)

PATIENCE = 0.25
"""Seconds that Redis is waited for; after that it is left alone for `RESPITE` seconds."""
RESPITE = 1.0


class Redis(Protocol):
    """What is used of a Redis client."""

    def register_script(self, script: str) -> Any: ...


class Script(Protocol):
    """A script that Redis runs by its hash."""

    async def __call__(self, keys: Sequence[str], args: Sequence[float]) -> Any: ...


class Tally:
    """A script about one key; a client without time-outs of its own will do."""

    def __init__(self, redis: Redis, script: str, *, without: str, clock: Callable[[], float]) -> None:
        """`without`: what the log is told once Redis is away."""
        self._script: Script = redis.register_script(script)
        self._without = without
        self._clock = clock
        self._away_until = 0.0

    async def take(self, key: str, *arguments: float) -> Any | None:
        """What the script answers; None while Redis is away."""
        if self._clock() < self._away_until:
            return None
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._script(keys=[key], args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._away_until = self._clock() + RESPITE
            _log.warning(self._without, reason=type(error).__name__)
            return None
