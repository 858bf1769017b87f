"""Programs that a benchmark starts beside itself: waited for until they serve or answer, ended by their own id."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

from lead_orchestrator.errors import AppError

__all__ = ["Partner", "free_port", "serving"]

_PATIENCE = 60.0
_DRAIN = 10.0
_LONGEST_LINE = 64 * 1024 * 1024


class Partner:
    """A module run by `python -m`, which answers each line of JSON on its standard input by one; ends with its `async with`."""

    def __init__(self, module: str) -> None:
        self._module = module

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    async def ask(self, order: Mapping[str, object]) -> dict[str, Any]:
        """Its answer.

        Raises:
            AppError: it ended instead; it said why on its standard error, which is this process's.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError(f"{self._module} was started without pipes")
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        if not line:
            raise AppError(f"{self._module} ended without an answer: see what it said above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def serving(arguments: Sequence[str], environment: Mapping[str, str], port: int) -> AsyncIterator[None]:
    """The program, once it takes connections on `port`, while the block lasts.

    Raises:
        AppError: it ended, or does not listen within a minute; with the last of what it said.
    """
    with tempfile.TemporaryFile() as said:
        process = await asyncio.create_subprocess_exec(
            *arguments, env={**os.environ, **environment}, stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said
        )
        try:
            if not await _listens(process, port):
                said.seek(0)
                words = said.read()[-2000:].decode(errors="replace")
                raise AppError(f"{arguments[0]} did not begin to serve: {words.strip()}")
            yield
        finally:
            await _end(process)


async def _listens(process: asyncio.subprocess.Process, port: int) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return True
    return False


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _DRAIN)
    except TimeoutError:
        process.kill()
        await process.wait()
