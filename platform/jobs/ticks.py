"""Ticks: each asks Postgres which tenants have work and rings one job for each of them.

Several workers may tick; a short-lived name in Redis lets one of them through. Without Redis nobody ticks, and the next
tick after its return finds everything that waited.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from arq.constants import default_queue_name
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from lead_orchestrator import metrics
from lead_orchestrator.jobs.queue import Queue
from lead_orchestrator.log import get_logger
from lead_orchestrator.services import Services

__all__ = ["TICK_KEY", "Tick", "Ticker", "Walk", "ticks"]

_log = get_logger(__name__)

TICK_KEY = "lead:worker:tick"
TICK_KEPT_SECONDS = 60
_DAY = 86_400.0
_SOON = 0.5


@dataclass(frozen=True)
class Walk:
    """Going round the tenants: `page` names the first so many of them after a given one, in the order of their ids.

    It rings for `most` at a time, and for nobody while more than `enough` jobs wait; jobs of killed workers, which stay in
    the queue for a minute, are among those.
    """

    page: Callable[[UUID | None, int], Awaitable[Sequence[UUID]]]
    most: int = 100
    enough: int = 2_000


@dataclass(frozen=True)
class Tick:
    """Every `seconds`, ring `job` for each tenant that `tenants` names; of a walk, for the next ones after the last served."""

    name: str
    seconds: float
    job: str
    tenants: Callable[[], Awaitable[Sequence[UUID]]] | Walk


def ticks(services: Services) -> list[Tick]:
    """All ticks of the worker."""
    look, settings = services.lookups, services.settings
    return [
        Tick("dispatch", settings.dispatch_interval, "dispatch_tenant", Walk(look.due_messages)),
        Tick("resolve", min(2.0, settings.dispatch_interval), "resolve_unknown", look.open_messages),
        Tick("outbox", 1.0, "dispatch_outbox", look.due_outbox),
        Tick("calendars", min(2.0, settings.calendar_poll_seconds), "sync_calendars", look.due_calendars),
        Tick("answers", 1.0, "answer_chats", look.due_answers),
        Tick("sweep", 2.0, "sweep_events", look.due_events),
        Tick("poll", min(1.0, settings.poll_interval_seconds), "poll_tenant", look.due_polls),
        Tick("account_mails", 1.0, "send_account_mails", look.due_account_mails),
        Tick("prune", _DAY, "prune", look.tenants),
    ]


class Ticker:
    """Runs ticks in the background until it is stopped."""

    def __init__(self, queue: Queue, services: Services) -> None:
        self._queue = queue
        self._services = services
        self._tasks: list[asyncio.Task[None]] = []
        self._unfinished: dict[str, bool] = {}

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._forever(tick)) for tick in ticks(self._services)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _forever(self, tick: Tick) -> None:
        while True:
            try:
                self._unfinished[tick.name] = await self.tick(tick) == _most(tick)
            except (RedisError, SQLAlchemyError, OSError, TimeoutError) as error:
                _log.warning("tick_failed", tick=tick.name, reason=type(error).__name__)
            except Exception:  # noqa: BLE001 - a defect in one tick must not end the others' work
                _log.exception("tick_failed", tick=tick.name)
            await asyncio.sleep(self._pause(tick) * random.uniform(0.95, 1.05))  # noqa: S311 - jitter

    async def tick(self, tick: Tick) -> int:
        """One tick; returns how many jobs it rang."""
        redis = self._queue.redis
        mine = await redis.set(f"lead:tick:{tick.name}", "1", nx=True, px=max(1, int(self._pause(tick) * 800)))
        await redis.set(TICK_KEY, "1", ex=TICK_KEPT_SECONDS)
        if not mine:
            return 0
        tenants = await (self._next(tick.name, tick.tenants) if isinstance(tick.tenants, Walk) else tick.tenants())
        for tenant in tenants:
            await self._queue.ring(tick.job, str(tenant))
        if tick.name == "dispatch":
            metrics.DUE_LAG.set(await self._services.lookups.due_lag())
        return len(tenants)

    async def _next(self, name: str, walk: Walk) -> Sequence[UUID]:
        """The next tenants of a walk; where it stopped is kept in Redis for whoever ticks next, and without it begins anew."""
        key = f"lead:tick:{name}:after"
        if await self._queue.redis.zcard(default_queue_name) > walk.enough:
            return []  # those who were rung are not served yet
        kept = await self._queue.redis.get(key)
        after = UUID(kept.decode()) if kept else None
        tenants = list(await walk.page(after, walk.most))
        if after is not None and len(tenants) < walk.most:
            begun_anew = await walk.page(None, walk.most - len(tenants))
            tenants += [tenant for tenant in begun_anew if tenant <= after]
        if tenants:
            await self._queue.redis.set(key, str(tenants[-1]))
        return tenants

    def _pause(self, tick: Tick) -> float:
        """Seconds to the next tick; a walk that has not come round yet goes on sooner."""
        return min(tick.seconds, _SOON) if self._unfinished.get(tick.name) else tick.seconds


def _most(tick: Tick) -> int | None:
    return tick.tenants.most if isinstance(tick.tenants, Walk) else None
