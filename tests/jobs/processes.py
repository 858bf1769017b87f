"""Workers as processes of their own, which tests can kill."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import sysconfig
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from lead_orchestrator.settings import Settings

__all__ = ["Nursery", "environment", "installed_worker", "nursery"]

# It imports everything once and then forks: a worker is at work within a moment, so that kills hit work, not imports.
_NURSERY = """
import os, signal, sys
from lead_orchestrator.jobs.worker import create_worker
from lead_orchestrator.log import configure_logging
from lead_orchestrator.settings import load_settings
import twilio.rest.api.v2010.account.message
import sendgrid.helpers.mail
settings = load_settings()
print("ready", flush=True)
children = []
while sys.stdin.readline():
    child = os.fork()
    if not child:
        os.close(0)
        os.dup2(2, 1)
        configure_logging(settings.log_level)
        create_worker(settings).run()
        os._exit(0)
    children.append(child)
    print(child, flush=True)
    for known in list(children):
        if os.waitpid(known, os.WNOHANG)[0]:
            children.remove(known)
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def environment(settings: Settings, **changes: str) -> dict[str, str]:
    """The settings as a process gets them, without this process's own."""
    known = {name.upper(): value for name in Settings.model_fields if (value := getattr(settings, name)) is not None}
    plain = {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        for name, value in known.items()
    }
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    return {**kept, **plain, **changes}


class Nursery:
    """Starts workers one by one; `kill` is kill -9."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def start(self) -> int:
        """The process id of a new worker."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        await self._process.stdin.drain()
        return int(await self._process.stdout.readline())

    def kill(self, worker: int) -> None:
        os.kill(worker, signal.SIGKILL)


@asynccontextmanager
async def nursery(settings: Settings, log: Path, **changes: str) -> AsyncIterator[Nursery]:
    """Workers with these settings; whatever still runs at the end is killed."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _NURSERY, stdin=PIPE, stdout=PIPE, stderr=output, env=environment(settings, **changes)
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        ready = await process.stdout.readline()
        assert ready == b"ready\n", f"see {log}"
        yield Nursery(process)
    finally:
        process.stdin.close()
        await process.wait()


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
