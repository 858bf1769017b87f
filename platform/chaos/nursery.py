"""Workers and apis as processes of their own that can be killed at any moment and started within milliseconds.

Run as a program it imports everything once and forks a worker or an api for each byte it reads: kills hit work, not imports. All
apis answer at one address, which outlives them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from lead_orchestrator.demo.run import listen, run_api
from lead_orchestrator.errors import AppError
from lead_orchestrator.jobs.worker import run_worker
from lead_orchestrator.log import configure_logging
from lead_orchestrator.settings import Settings, load_settings

__all__ = ["Nursery", "environment", "nursery"]

_READY = "ready"
_WORKER, _API = b"w", b"a"


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
    """Starts processes one by one; `kill` is kill -9. Whoever asks at `api_url` while no api runs waits for the next one."""

    def __init__(self, process: Process, api_url: str) -> None:
        self._process = process
        self.api_url = api_url

    async def start(self) -> int:
        """The process id of a new worker."""
        return await self._started(_WORKER)

    async def start_api(self) -> int:
        """The process id of a new api."""
        return await self._started(_API)

    async def _started(self, kind: bytes) -> int:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the nursery was started without pipes")
        self._process.stdin.write(kind)
        await self._process.stdin.drain()
        return int(await self._process.stdout.readline())

    def kill(self, process_id: int) -> None:
        os.kill(process_id, signal.SIGKILL)

    def cpu_seconds(self, worker: int) -> float:
        """What the worker has used of the processors, user and system, as Linux counts it."""
        fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_megabytes(self, process_id: int) -> float:
        """What it holds of the machine's memory, what it shares with others included, as Linux counts it."""
        return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@asynccontextmanager
async def nursery(settings: Settings, log: Path, **changes: str) -> AsyncIterator[Nursery]:
    """Workers with these settings; whatever still runs at the end is killed.

    Raises:
        AppError: they cannot be started; `log` says why.
    """
    environ: Mapping[str, str] = environment(settings, **changes)
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, stdin=PIPE, stdout=PIPE, stderr=output, env=environ
        )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the nursery was started without pipes")
    try:
        ready, _, port = (await process.stdout.readline()).decode().strip().partition(" ")
        if ready != _READY:
            raise AppError(f"no worker can be started: {_last_words(log)}")
        yield Nursery(process, f"http://127.0.0.1:{port}")
    finally:
        process.stdin.close()
        await process.wait()


def _last_words(log: Path) -> str:
    return log.read_text()[-2000:].strip()


async def _answer(settings: Settings, listener: socket.socket) -> None:
    async with run_api(settings, listener):
        await asyncio.Event().wait()


def _child(settings: Settings, work: Coroutine[None, None, None]) -> None:
    os.close(sys.stdin.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    configure_logging(settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def _serve() -> None:
    settings, children, listener = load_settings(), set[int](), listen("127.0.0.1", 0)
    listener.listen()
    gc.collect()
    gc.freeze()  # what is loaded stays, and the children share it
    sys.stdout.write(f"{_READY} {listener.getsockname()[1]}\n")
    sys.stdout.flush()
    while kind := os.read(sys.stdin.fileno(), 1):  # one by one: a child must not inherit what was read ahead
        child = os.fork()
        if not child:
            _child(settings, _answer(settings, listener) if kind == _API else run_worker(settings))
            os._exit(0)
        children.add(child)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        children -= {known for known in children if os.waitpid(known, os.WNOHANG)[0]}
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    _serve()
