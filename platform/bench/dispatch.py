"""What workers send in a second, what one franchise's backlog costs another, and what finding the due ones takes."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median
from uuid import UUID

from lead_orchestrator.bench.due import finding
from lead_orchestrator.bench.repository import add_waiting_leads
from lead_orchestrator.bench.stage import Stage, open_stage
from lead_orchestrator.chaos.nursery import Nursery, nursery
from lead_orchestrator.demo.franchises import describe
from lead_orchestrator.errors import AppError
from lead_orchestrator.jobs.queue import Queue, open_queue
from lead_orchestrator.leads.models import LeadSource
from lead_orchestrator.leads.service import Enquiry
from lead_orchestrator.messaging import repository
from lead_orchestrator.sandbox.faults import Fault
from lead_orchestrator.sandbox.seed import CLEAR_VIEW
from lead_orchestrator.services import required
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.onboarding import parse_franchise
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["run"]

PROVIDER_SECONDS = 0.05
_MESSAGES, _QUICK_MESSAGES = 6_000, 600
_BACKLOG, _QUICK_BACKLOG = 10_000, 1_500
_SAMPLES, _QUICK_SAMPLES = 15, 5
_PATIENCE_SECONDS = 300.0
# The budget is asked as always, and never empty: what workers can do is measured, not what one franchise may.
_WORKERS = {
    "LOG_LEVEL": "ERROR",
    "DISPATCH_INTERVAL_SECONDS": "1",
    "POLL_INTERVAL_SECONDS": "3600",
    "SENDS_PER_SECOND": "10000",
}


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """Workers are processes of their own; the sandbox, which answers after 50 ms, counts."""
    messages = _QUICK_MESSAGES if quick else _MESSAGES
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="lead-bench-") as folder:
        async with (
            open_stage(settings) as stage,
            nursery(stage.settings, Path(folder) / "workers.log", **_WORKERS) as workers,
        ):
            stage.sandbox.world.faults.add(Fault("twilio", "delay", seconds=PROVIDER_SECONDS))
            stage.sandbox.world.faults.add(Fault("twilio_callback", "lose"))  # no API process runs that would hear them
            one = await _throughput(stage, workers, 1, messages)
            two = await _throughput(stage, workers, 2, messages)
            fair = await _fairness(stage, workers, quick=quick)
    return {
        "bench": "dispatch",
        "messages": messages,
        "providerMs": PROVIDER_SECONDS * 1000,
        "oneWorker": one,
        "twoWorkers": two,
        "ratio": round(two["messagesPerSecond"] / one["messagesPerSecond"], 2),
        "fairness": fair,
        "dueTenants": await finding(settings, quick=quick),
        "loadAverageBefore": round(load, 2),
    }


async def _throughput(stage: Stage, workers: Nursery, count: int, messages: int) -> dict[str, float]:
    """The rate from the first tenth to the last of what is due, as the provider saw it."""
    before = len(stage.sandbox.world.messages)
    await add_waiting_leads(stage.superuser_url, stage.tenant_id, stage.location_id, count=messages, due=messages + 1)
    started = [await workers.start() for _ in range(count)]
    await _until(lambda: _accepted(stage, before + messages))
    await _until(lambda: _settled(stage, stage.tenant_id))
    cpu = sum(workers.cpu_seconds(worker) for worker in started)
    await _end(workers, started)
    accepted = sorted(message.accepted_at for message in stage.sandbox.world.messages[before:])
    if len(accepted) != messages:
        raise AppError(f"{messages} messages were due, the provider has {len(accepted)}")
    first, last = accepted[messages // 10], accepted[messages * 9 // 10]
    return {
        "messagesPerSecond": round(messages * 0.8 / (last - first) * 1000, 1),
        "cpuMsPerMessage": round(cpu / messages * 1000, 2),
    }


async def _fairness(stage: Stage, workers: Nursery, *, quick: bool) -> dict[str, object]:
    """From the bell to the provider's acceptance of one franchise's single message: alone, and beside a backlog."""
    backlog, samples = (_QUICK_BACKLOG, _QUICK_SAMPLES) if quick else (_BACKLOG, _SAMPLES)
    other = await stage.services.onboarding.onboard(
        parse_franchise({**describe(CLEAR_VIEW), "demoMode": False}), actor="bench"
    )
    place = next(iter(other.location_ids.values()))
    queue = await open_queue(required(stage.settings, "redis_url"))
    worker = await workers.start()
    try:
        await _single(stage, queue, other.tenant_id, place, 0)  # the first one waits for the worker's start
        alone = [await _single(stage, queue, other.tenant_id, place, n) for n in range(1, samples + 1)]
        served = len(stage.sandbox.world.messages)
        await add_waiting_leads(stage.superuser_url, stage.tenant_id, stage.location_id, count=backlog, due=backlog + 1)
        await _until(lambda: _accepted(stage, served + 100))
        beside = [await _single(stage, queue, other.tenant_id, place, n) for n in range(samples + 1, 2 * samples + 1)]
        left = backlog - (len(stage.sandbox.world.messages) - served - samples)
    finally:
        await _end(workers, [worker])
        await queue.redis.aclose(close_connection_pool=True)
    return {
        "backlog": backlog,
        "leftOfIt": left,
        "aloneP50Ms": round(median(alone)),
        "besideP50Ms": round(median(beside)),
        "besideMaxMs": round(max(beside)),
        "ratio": round(median(beside) / median(alone), 2),
    }


async def _single(stage: Stage, queue: Queue, tenant_id: UUID, location_id: UUID, number: int) -> float:
    """Milliseconds from the bell to the acceptance."""
    phone = f"+1{301 + number // 100}55501{number % 100:02d}"
    async with stage.services.tenancy.write(Scope.service(tenant_id, "bench")) as session:
        await stage.services.leads.receive(session, Enquiry(location_id, LeadSource.API, phone=phone))
    rung = time.time() * 1000
    await queue.due(tenant_id)
    await _until(lambda: _heard(stage, phone))
    [accepted] = [message.accepted_at for message in stage.sandbox.world.messages if message.to == phone]
    return accepted - rung


async def _heard(stage: Stage, phone: str) -> bool:
    return any(message.to == phone for message in reversed(stage.sandbox.world.messages))


async def _accepted(stage: Stage, count: int) -> bool:
    return len(stage.sandbox.world.messages) >= count


async def _settled(stage: Stage, tenant_id: UUID) -> bool:
    async with stage.services.tenancy.read(Scope.service(tenant_id, "bench")) as session:
        return not await repository.count_unsettled(session)


async def _end(workers: Nursery, started: Sequence[int]) -> None:
    for worker in started:
        workers.kill(worker)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.05)
