"""A provider of a few lines on a loopback socket: it records what arrives and answers as the test says, or hangs up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["Answer", "Hangup", "Received", "Silence", "Wire", "listening"]


@dataclass(frozen=True)
class Received:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def wire(self) -> bytes:
        content = self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()
        kind = "text/html" if isinstance(self.body, str) else "application/json"
        headers = {"Content-Type": kind, "Content-Length": str(len(content)), "Connection": "close", **self.headers}
        lines = [f"HTTP/1.1 {self.status} Status", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode() + content


class Hangup:
    """Take the request and close the connection without an answer."""


class Silence:
    """Take the request and say nothing until the client goes away."""


Behaviour = Callable[[Received], Answer | Hangup | Silence]


class Wire:
    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Received] = []
        self.reached = asyncio.Event()
        self.behaviour: Behaviour = lambda _: Answer(200, {})

    def answers(self, *answers: Answer | Hangup | Silence) -> None:
        """The next requests get these in order, and the last one for ever."""
        left = list(answers)
        self.behaviour = lambda _: left.pop(0) if len(left) > 1 else left[0]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            received = await _read(reader)
            self.requests.append(received)
            self.reached.set()
            reaction = self.behaviour(received)
            if isinstance(reaction, Answer):
                writer.write(reaction.wire())
                await writer.drain()
            elif isinstance(reaction, Silence):
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body)


@asynccontextmanager
async def listening() -> AsyncIterator[Wire]:
    wire = Wire()
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    wire.url = f"http://{host}:{port}"
    async with server:
        yield wire
