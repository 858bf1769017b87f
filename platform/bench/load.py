"""A lean HTTP load generator in a process of its own: keep-alive connections that send ready-made requests in turn.

It is told what to do by lines of JSON on standard input and answers each by one: {"pool": name, "port": …, "requests": […]}
keeps a pool of requests, {"run": name, "connections": …, "seconds": …} sends them and answers with what `Round` holds.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

import uvloop

from lead_orchestrator.bench.programs import Partner

__all__ = ["LoadProcess", "Round", "request_bytes"]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PATIENCE = 30.0


@dataclass
class Round:
    """What one round measured: `microseconds` of each answer, and how many of them were errors."""

    seconds: float = 0.0
    failures: int = 0
    microseconds: list[int] = field(default_factory=list)


def request_bytes(port: int, path: str, body: object, token: str) -> bytes:
    """One POST of JSON as it goes over the wire."""
    payload = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\naccept: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload


class LoadProcess(Partner):
    """The generator; ends with its `async with`."""

    def __init__(self) -> None:
        super().__init__(__name__)

    async def keep(self, name: str, port: int, requests: list[bytes]) -> None:
        """Keep a pool of requests for `run`; it goes on where the last round stopped."""
        await self.ask({"pool": name, "port": port, "requests": [request.decode() for request in requests]})

    async def run(self, name: str, *, connections: int, seconds: float) -> Round:
        return Round(**await self.ask({"run": name, "connections": connections, "seconds": seconds}))


@dataclass
class _Pool:
    port: int
    requests: Iterator[bytes]


class _Connection(asyncio.Protocol):
    """Sends one request after the other until the time is up."""

    def __init__(self, pool: _Pool, measured: Round, until: float) -> None:
        self._requests = pool.requests
        self._measured = measured
        self._until = until
        self._answer = bytearray()
        self._whole = 0
        self._sent = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent = perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not self._complete():
            return
        now = perf_counter()
        self._measured.microseconds.append(round((now - self._sent) * 1e6))
        head, _, body = bytes(self._answer[:4096]).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200") or b'"errors":[{' in body:
            self._measured.failures += 1
        self._answer.clear()
        self._whole = 0
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def _complete(self) -> bool:
        if not self._whole:
            end = self._answer.find(b"\r\n\r\n")
            if end < 0:
                return False
            length = _LENGTH.search(self._answer, 0, end + 2)
            if length is None:  # chunked
                return self._answer.endswith(b"\r\n0\r\n\r\n")
            self._whole = end + 4 + int(length[1])
        return len(self._answer) >= self._whole

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer or exc is not None:
            self._measured.failures += 1
        if not self.ended.done():
            self.ended.set_result(None)


async def _round(pool: _Pool, connections: int, seconds: float) -> Round:
    measured, started = Round(), perf_counter()
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda: _Connection(pool, measured, started + seconds), "127.0.0.1", pool.port))[
            1
        ]
        for _ in range(connections)
    ]
    async with asyncio.timeout(seconds + _PATIENCE):
        await asyncio.gather(*(connection.ended for connection in opened))
    measured.seconds = perf_counter() - started
    return measured


async def _serve() -> None:
    pools: dict[str, _Pool] = {}
    for line in sys.stdin:  # between two rounds nothing else is to be done: blocking is fine
        order = json.loads(line)
        if "pool" in order:
            requests = [request.encode() for request in order["requests"]]
            pools[order["pool"]] = _Pool(order["port"], itertools.cycle(requests))
            answer: dict[str, object] = {}
        else:
            answer = asdict(await _round(pools[order["run"]], order["connections"], order["seconds"]))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        uvloop.run(_serve())
