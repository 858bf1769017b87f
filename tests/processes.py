"""The product's commands as processes of their own."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from lead_orchestrator.chaos.nursery import environment
from lead_orchestrator.settings import Settings
from tests.http import open_http

__all__ = ["api_process", "command"]

STARTS_WITHIN = 180.0
_PROGRAM = "from lead_orchestrator.cli import main; main()"


@asynccontextmanager
async def command(*arguments: str, settings: Settings, log: Path, **changes: str) -> AsyncIterator[Process]:
    """`lead-orchestrator …` with these settings; what it says, it says to `log`."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _PROGRAM,
            *arguments,
            stdout=output,
            stderr=output,
            env=environment(settings, **changes),
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def api_process(settings: Settings, log: Path, **changes: str) -> AsyncIterator[Process]:
    """`lead-orchestrator serve`, once it answers."""
    async with command("serve", settings=settings, log=log, **changes) as process:
        await _until_answering(int(changes.get("PORT", settings.port)), process, log)
        yield process


async def _until_answering(port: int, process: Process, log: Path) -> None:
    async with asyncio.timeout(STARTS_WITHIN), open_http() as http:
        while True:
            with suppress(httpx.TransportError):
                if (await http.get(f"http://127.0.0.1:{port}/health")).is_success:
                    return
            assert process.returncode is None, f"see {log}"
            await asyncio.sleep(0.05)
