"""`lead-orchestrator worker`, as it is installed."""

from __future__ import annotations

import asyncio
import sysconfig
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from lead_orchestrator.chaos.nursery import environment
from lead_orchestrator.settings import Settings

__all__ = ["installed_worker"]


@asynccontextmanager
async def installed_worker(settings: Settings, log: Path, **changes: str) -> AsyncIterator[Process]:
    """`lead-orchestrator worker`, as it is installed."""
    program = Path(sysconfig.get_path("scripts")) / "lead-orchestrator"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            program, "worker", stdout=output, stderr=output, env=environment(settings, **changes)
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
