"""Whether a process can do its work: for load balancers, orchestrators and `doctor`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from lead_orchestrator.jobs.queue import Queue
from lead_orchestrator.jobs.ticks import TICK_KEPT_SECONDS, TICK_KEY
from lead_orchestrator.services import Services
from lead_orchestrator.tenancy.roles import database_revision, newest_revision

__all__ = ["Check", "readiness"]

LIMIT_SECONDS = 3.0


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    detail: str


async def readiness(services: Services, queue: Queue) -> list[Check]:
    """The checks of /ready, all at once, each within three seconds."""
    checks = (("database", _database), ("migrations", _migrations), ("redis", _redis), ("worker", _worker))
    return list(await asyncio.gather(*(_checked(name, check, services, queue) for name, check in checks)))


async def _checked(
    name: str, check: Callable[[Services, Queue], Awaitable[str]], services: Services, queue: Queue
) -> Check:
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return Check(name, True, await check(services, queue))
    except _NotReadyError as problem:
        return Check(name, False, str(problem))
    except (SQLAlchemyError, RedisError, OSError) as error:
        return Check(name, False, f"no answer ({type(error).__name__})")


class _NotReadyError(Exception):
    pass


async def _database(services: Services, _queue: Queue) -> str:
    await services.lookups.next_due()
    return "answers"


async def _migrations(services: Services, _queue: Queue) -> str:
    async with services.tenancy.engines.app.connect() as connection:
        found = await database_revision(connection)
    if found != newest_revision():
        raise _NotReadyError(
            f"the database is at {found}, this code needs {newest_revision()}: run `lead-orchestrator migrate`"
        )
    return f"at {found}"


async def _redis(_services: Services, queue: Queue) -> str:
    await queue.redis.ping()
    return "answers"


async def _worker(_services: Services, queue: Queue) -> str:
    left = await queue.redis.ttl(TICK_KEY)
    if left < 0:
        raise _NotReadyError(f"no worker has ticked for {TICK_KEPT_SECONDS} seconds: start `lead-orchestrator worker`")
    return f"ticked {TICK_KEPT_SECONDS - left} seconds ago"
