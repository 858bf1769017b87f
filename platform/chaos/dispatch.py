"""Workers killed at random, Postgres crashing, Redis emptied, replies lost: is anything lost, or said twice?"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import asyncpg
from redis.asyncio import Redis
from sqlalchemy.exc import SQLAlchemyError

from lead_orchestrator.bench.stage import Stage, open_stage
from lead_orchestrator.chaos import repository
from lead_orchestrator.chaos.nursery import Nursery, nursery
from lead_orchestrator.chaos.repository import Attempt
from lead_orchestrator.sandbox.faults import Fault
from lead_orchestrator.services import required
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["run"]

_SENDS, _QUICK_SENDS = 2_000, 150
_KILLS, _QUICK_KILLS = 100, 12
_BETWEEN_KILLS = (0.2, 1.8)
_WORKERS = 3
_LEASE, _SETTLE = 6.0, 2.0
_DROPPED = 0.1
_LOOK_SECONDS = 0.2
_START_SECONDS = 10.0
_PATIENCE_SECONDS = 180.0
_AWAY = (SQLAlchemyError, asyncpg.PostgresError, OSError)


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """Counted at the provider: every text and mail that it accepted."""
    sends, kills = (_QUICK_SENDS, _QUICK_KILLS) if quick else (_SENDS, _KILLS)
    seed = secrets.randbelow(10**6)
    brief = settings.model_copy(
        update={"send_lease_seconds": _LEASE, "unknown_settle_seconds": _SETTLE, "unknown_events_seconds": _SETTLE}
    )
    with tempfile.TemporaryDirectory(prefix="lead-chaos-") as folder:
        async with (
            open_stage(brief, durable=True) as stage,
            nursery(
                stage.settings, Path(folder) / "workers.log", LOG_LEVEL="ERROR", DISPATCH_INTERVAL_SECONDS="1"
            ) as workers,
            _watched(stage) as watch,
        ):
            _break_replies(stage)
            await _break_processes(stage, workers, watch, sends=sends, kills=kills, chance=random.Random(seed))  # noqa: S311 - when to kill is no secret
            figures = await _figures(stage)
    return {
        "chaos": "dispatch",
        "seed": seed,
        "sends": sends,
        "kills": kills,
        "postgresRestarts": 1,
        "leaseSeconds": _LEASE,
        "recoverySecondsMax": round(max(watch.recovered.values(), default=0.0), 1),
        "interrupted": len(watch.recovered),
        **figures,
    }


def _break_replies(stage: Stage) -> None:
    faults = stage.sandbox.world.faults
    for service in ("twilio", "sendgrid"):
        faults.add(Fault(service, "accept_then_drop", probability=_DROPPED, match="POST"))
        faults.add(Fault(service, "delay", probability=0.3, seconds=0.2, match="POST"))
        faults.add(Fault(service, "delay", probability=0.3, seconds=0.2, when="after", match="POST"))


@dataclass
class _Watch:
    """When (monotonic) attempts were interrupted that are still open, and the seconds others took to be settled."""

    interrupted: dict[Attempt, float] = field(default_factory=dict)
    recovered: dict[Attempt, float] = field(default_factory=dict)
    open: set[Attempt] = field(default_factory=set)

    def look(self, found: set[Attempt]) -> None:
        self.open = found
        for attempt in self.interrupted.keys() - found:
            self.recovered[attempt] = monotonic() - self.interrupted.pop(attempt)

    async def at_work(self) -> None:
        """Wait until something is under way: on a busy machine workers take long to start, and kills must hit work."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                while not self.open:  # noqa: ASYNC110 - what is waited for happens in another process
                    await asyncio.sleep(0.05)

    def interrupt(self) -> None:
        """Whatever is under way may have been the killed one's."""
        for attempt in self.open:
            self.interrupted.setdefault(attempt, monotonic())


@asynccontextmanager
async def _watched(stage: Stage) -> AsyncIterator[_Watch]:
    watch = _Watch()

    async def look() -> None:
        while True:
            with suppress(*_AWAY):
                async with stage.services.tenancy.read(Scope.service(stage.tenant_id, "chaos")) as session:
                    watch.look(await repository.open_attempts(session))
            await asyncio.sleep(_LOOK_SECONDS)

    looking = asyncio.create_task(look())
    try:
        yield watch
        if looking.done():  # a watch that ended saw nothing, which is no figure
            await looking
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _break_processes(
    stage: Stage, workers: Nursery, watch: _Watch, *, sends: int, kills: int, chance: random.Random
) -> None:
    """Kill, crash and empty while messages fall due; then let the last workers finish."""
    pauses = [chance.uniform(*_BETWEEN_KILLS) for _ in range(kills)]
    async with stage.services.tenancy.write(Scope.service(stage.tenant_id, "chaos")) as session:
        await repository.add_first_touches(session, stage.location_id, sends, sum(pauses))
    running = [await workers.start() for _ in range(_WORKERS)]
    async with Redis.from_url(required(stage.settings, "redis_url")) as redis:
        for number, pause in enumerate(pauses):
            await asyncio.sleep(pause)
            await watch.at_work()
            workers.kill(running.pop(chance.randrange(_WORKERS)))
            watch.interrupt()
            running.append(await workers.start())
            if number == kills // 2:
                os.kill(await repository.postmaster(required(stage.settings, "database_admin_url")), signal.SIGQUIT)
                watch.interrupt()
            if number % 25 == min(12, kills // 4):
                await redis.flushall()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while watch.interrupted or await _unsettled(stage):  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(_LOOK_SECONDS)


async def _unsettled(stage: Stage) -> bool:
    try:
        async with stage.services.tenancy.read(Scope.service(stage.tenant_id, "chaos")) as session:
            return await repository.unsettled(session) > 0
    except _AWAY:
        return True


async def _figures(stage: Stage) -> dict[str, object]:
    """A message of which nobody can know is not lost while staff sees it: mail has no way to ask."""
    async with stage.services.tenancy.read(Scope.service(stage.tenant_id, "chaos")) as session:
        touches = await repository.first_touches(session)
    received = Counter(message.to for message in stage.sandbox.world.messages)
    shown = {address for address, status, channel in touches if status == "UNKNOWN" and channel == "EMAIL"}
    return {
        "accepted": sum(received.values()),
        "lost": sum(not received[address] and address not in shown for address, _, _ in touches),
        "duplicates": sum(count - 1 for count in received.values()),
        "unresolved": sum(
            status not in {"SENT", "DELIVERED"} and address not in shown for address, status, _ in touches
        ),
        "shownToStaff": len(shown),
    }
