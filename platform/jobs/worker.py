"""The arq worker: ticks in the background, jobs from the queue."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC
from typing import Any, cast

from arq.constants import in_progress_key_prefix
from arq.worker import Worker, func
from redis.exceptions import RedisError

from lead_orchestrator.graphql.events.wake import Bell
from lead_orchestrator.jobs.alarms import Alarms
from lead_orchestrator.jobs.bells import AnswerBell
from lead_orchestrator.jobs.budget import TokenBucket
from lead_orchestrator.jobs.queue import Queue, deserialize, redis_settings, serialize
from lead_orchestrator.jobs.ticks import Ticker
from lead_orchestrator.jobs.work import JOBS
from lead_orchestrator.log import get_logger
from lead_orchestrator.services import open_services, required
from lead_orchestrator.settings import Settings

__all__ = ["create_worker"]

_log = get_logger(__name__)

JOB_TIMEOUT = 60  # a killed worker's job is stuck for this and ten seconds more: Postgres's ticks do not wait for it
DRAIN_SECONDS = 15
AWAY_SECONDS = 1.0
# Running jobs stay in the queue, those of a killed worker too: whoever reads fewer than there are of them sees no other job.
QUEUE_READ_LIMIT = 1_000


class _Worker(Worker):
    """Outlives Redis: while it is away there are no jobs, and the ticks find what waited when it is back."""

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Those that nobody runs. Running jobs stay in the queue, and arq would ask about each of them, four times, at each look."""
        others = [job_id for job_id in job_ids if job_id.decode() not in self.tasks]
        if not others:
            return
        marks = await self.pool.mget([in_progress_key_prefix + job_id.decode() for job_id in others])
        await super().start_jobs([job_id for job_id, mark in zip(others, marks, strict=True) if mark is None])

    async def _poll_iteration(self) -> None:
        try:
            await super()._poll_iteration()
        except (RedisError, OSError) as error:
            _log.warning("queue_unreachable", reason=type(error).__name__)
            await asyncio.sleep(AWAY_SECONDS)

    async def close(self) -> None:
        """Jobs that still run are cancelled and have ended before anything else: their cancellation is not the closing's."""
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        self.tasks.clear()
        await super().close()


def create_worker(settings: Settings, *, handle_signals: bool = True) -> Worker:
    """A worker that is ready to `async_run`; SIGTERM lets running jobs end first."""

    async def start(context: dict[Any, Any]) -> None:
        stack = context["stack"] = AsyncExitStack()
        services = context["services"] = await stack.enter_async_context(open_services(settings))
        queue = context["queue"] = Queue(context["redis"])
        bell = Bell(context["redis"])
        stack.push_async_callback(bell.close)
        services.tenancy.on_events = bell.ring
        alarms = Alarms(queue)
        stack.push_async_callback(alarms.close)
        services.tenancy.on_alarm = alarms.ring
        answers = AnswerBell(queue)
        stack.push_async_callback(answers.close)
        services.tenancy.on_chats = answers.ring
        await asyncio.to_thread(services.assistant.prepare)
        services.dispatcher.budget = TokenBucket(context["redis"], settings.sends_per_second)
        ticker = context["ticker"] = Ticker(queue, services)
        ticker.start()
        _log.info("worker_started", jobs=settings.worker_jobs)

    async def stop(context: dict[Any, Any]) -> None:
        if ticker := cast("Ticker | None", context.get("ticker")):
            await ticker.stop()
        if stack := cast("AsyncExitStack | None", context.get("stack")):
            await stack.aclose()
        _log.info("worker_stopped")

    return _Worker(
        functions=[func(cast("Any", job), name=job.__name__, keep_result=0, max_tries=1) for job in JOBS],
        redis_settings=redis_settings(required(settings, "redis_url")),
        on_startup=cast("Any", start),
        on_shutdown=cast("Any", stop),
        handle_signals=handle_signals,
        max_jobs=settings.worker_jobs,
        job_timeout=max(JOB_TIMEOUT, settings.send_lease_seconds),
        job_completion_wait=DRAIN_SECONDS,
        keep_result=0,
        max_tries=1,
        poll_delay=0.02,
        queue_read_limit=QUEUE_READ_LIMIT,
        health_check_interval=30,
        timezone=UTC,
        job_serializer=serialize,
        job_deserializer=deserialize,
        log_results=False,
    )
