"""Programs that a benchmark starts beside itself: waited for until they serve, ended by their own id."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from lead_orchestrator.errors import AppError

__all__ = ["free_port", "serving"]

_PATIENCE = 60.0
_DRAIN = 10.0


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
