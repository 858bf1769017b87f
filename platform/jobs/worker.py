"""The arq worker: ticks in the background, jobs from the queue."""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack
from datetime import UTC
from functools import cached_property
from typing import Any, cast

from arq.constants import in_progress_key_prefix
from arq.utils import timestamp_ms
from arq.worker import Worker, func
from redis.exceptions import RedisError

from lead_orchestrator.chat.live import Live
from lead_orchestrator.graphql.events.wake import Bell
from lead_orchestrator.jobs.alarms import Alarms
from lead_orchestrator.jobs.bells import AnswerBell, both
from lead_orchestrator.jobs.budget import TokenBucket
from lead_orchestrator.jobs.queue import Queue, deserialize, redis_settings, serialize
from lead_orchestrator.jobs.ticks import Ticker
from lead_orchestrator.jobs.work import JOBS
from lead_orchestrator.log import get_logger
from lead_orchestrator.services import open_services, required
from lead_orchestrator.settings import Settings

__all__ = ["create_worker", "run_worker"]

_log = get_logger(__name__)

JOB_TIMEOUT = 60  # a killed worker's job is stuck for this and ten seconds more: Postgres's ticks do not wait for it
DRAIN_SECONDS = 15
AWAY_SECONDS = 1.0
# Running jobs stay in the queue, those of a killed worker too: whoever reads fewer than there are of them sees no other job.
QUEUE_READ_LIMIT = 1_000
TAKE_JOBS = """
local taken, most, now = {}, tonumber(ARGV[1]), tonumber(ARGV[3])
for i = 4, #ARGV do
  if #taken == 2 * most then break end
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) <= now and redis.call('SET', KEYS[i - 2], '1', 'NX', 'PX', ARGV[2]) then
    table.insert(taken, ARGV[i])
    table.insert(taken, score)
  end
end
return taken
"""
"""KEYS: the queue, then each job's mark that somebody runs it. ARGV: how many to take at most, how long a mark is kept (ms), the
time (ms), then each job. Marks and answers with those that wait and nobody runs, each followed by its time."""


class _Worker(Worker):
    """Outlives Redis: while it is away there are no jobs, and the ticks find what waited when it is back."""

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Start as many as there is room for of those that nobody runs, all in one question.

        Running jobs stay in the queue, those of killed workers too: arq would ask four times for each of them at each look.
        """
        free, others = (
            self.max_jobs - self.job_counter,
            [name for name in map(bytes.decode, job_ids) if name not in self.tasks],
        )
        if free <= 0 or not others:
            return
        keys = [self.queue_name, *(in_progress_key_prefix + name for name in others)]
        timing = [int(self.in_progress_timeout_s * 1000), timestamp_ms()]
        taken = await self._take_jobs(keys=keys, args=[free, *timing, *others])
        for name, score in zip(map(bytes.decode, taken[::2]), taken[1::2], strict=True):
            await self.sem.acquire()
            self.job_counter += 1
            self.tasks[name] = self.loop.create_task(self.run_job(name, int(score)))
            self.tasks[name].add_done_callback(lambda _: self._release_sem_dec_counter_on_complete())

    @cached_property
    def _take_jobs(self) -> Any:
        return self.pool.register_script(TAKE_JOBS)

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
        await asyncio.to_thread(services.assistant.prepare)
        live = Live(context["redis"])
        services.assistant.listener = live
        stack.push_async_callback(live.close)
        services.tenancy.on_chats = both(live.moved, answers.ring)
        services.dispatcher.budget = TokenBucket(context["redis"], settings.sends_per_second)
        ticker = context["ticker"] = Ticker(queue, services)
        ticker.start()
        # What is loaded by now stays: looking through it for garbage takes 90 ms in which no message moves.
        gc.collect()
        gc.freeze()
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


async def run_worker(settings: Settings) -> None:
    """Run one until a signal comes; its running jobs end first."""
    worker = create_worker(settings)
    try:
        await worker.async_run()
    except asyncio.CancelledError:
        pass  # a signal: arq ends its jobs and cancels itself
    finally:
        await worker.close()
