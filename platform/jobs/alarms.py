"""What a commit rings: the jobs that do the work it leaves."""

from __future__ import annotations

import asyncio
from uuid import UUID

from lead_orchestrator.jobs.queue import Queue
from lead_orchestrator.tenancy.sessions import Alarm

__all__ = ["Alarms"]


class Alarms:
    """Rings the worker after commits, in the background; alarms that come close together are one."""

    def __init__(self, queue: Queue) -> None:
        self._bells = {Alarm.MESSAGES: queue.due, Alarm.OUTBOX: queue.owed}
        self._rung: set[tuple[UUID, Alarm]] = set()
        self._task: asyncio.Task[None] | None = None

    def ring(self, tenant_id: UUID, alarm: Alarm) -> None:
        """Returns at once; see `Tenancy.on_alarm`."""
        self._rung.add((tenant_id, alarm))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._tell(), name="alarms")

    async def close(self) -> None:
        """Let what was rung go out."""
        if self._task is not None:
            await self._task

    async def _tell(self) -> None:
        while self._rung:
            tenant_id, alarm = self._rung.pop()
            await self._bells[alarm](tenant_id)
