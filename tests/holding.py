"""Holds an outside service's answers until the test lets go: what happens meanwhile takes as long as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lead_orchestrator.sandbox.faults import Fault
from lead_orchestrator.sandbox.world import World

__all__ = ["Hold", "holding"]


@dataclass(frozen=True)
class Hold:
    fault: Fault

    async def reached(self, count: int = 1, seconds: float = 60) -> None:
        """Wait until so many requests wait for their answer."""
        async with asyncio.timeout(seconds):
            while self.fault.waiting < count:  # noqa: ASYNC110 - a fault rings no bell
                await asyncio.sleep(0.01)


@asynccontextmanager
async def holding(
    world: World, service: str, *, count: int | None = None, match: str = "", when: str = "before"
) -> AsyncIterator[Hold]:
    """While the block lasts the service answers nobody (`count` requests, those that `match`), before or after it accepted."""
    fault = world.faults.add(Fault(service, "hold", count=count, match=match, when=when))
    try:
        yield Hold(fault)
    finally:
        world.faults.clear(fault.id)
