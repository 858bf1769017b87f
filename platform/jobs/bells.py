"""Calling the assistant after a commit. A call that is lost is found by the next tick."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lead_orchestrator.jobs.queue import Queue
from lead_orchestrator.tenancy.sessions import Moved

__all__ = ["AnswerBell", "both"]


def both(*rings: Callable[[Moved], None]) -> Callable[[Moved], None]:
    """Rings one after the other."""

    def ring(moved: Moved) -> None:
        for one in rings:
            one(moved)

    return ring


class AnswerBell:
    """Rings for conversations that are owed an answer, in the background; the job itself waits until it is due."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._ringing: set[asyncio.Task[None]] = set()

    def ring(self, moved: Moved) -> None:
        """Returns at once; says nothing to nobody unless an answer is owed."""
        if not moved.answer_due:
            return
        task = asyncio.create_task(self._queue.chat(moved.tenant_id, moved.chat_id), name="answer-bell")
        self._ringing.add(task)
        task.add_done_callback(self._ringing.discard)

    async def close(self) -> None:
        """Let what was rung go out."""
        await asyncio.gather(*self._ringing, return_exceptions=True)
