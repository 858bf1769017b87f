"""The product's side of the wire: a bare HTTP server that keeps what was posted to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl

LIMIT = 5.0


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


class Receiver:
    """Answers every request with the next of `statuses`, and 200 when there are none left; `body` makes the answer's."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.statuses: list[int] = []
        self.body: Callable[[str], bytes] = lambda _path: b""
        self.url = ""
        self._news = asyncio.Condition()
        self._connections: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in list(self._connections):
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head.decode().split("\r\n"), reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
        finally:
            self._connections.discard(writer)

    async def _answer(self, head: list[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body, path = await reader.readexactly(int(headers.get("content-length", 0))), head[0].split(" ")[1]
        status, said = self.statuses.pop(0) if self.statuses else 200, self.body(path)
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: {len(said)}\r\n\r\n".encode() + said)
        await writer.drain()
        async with self._news:
            self.received.append(Received(path, headers, body))
            self._news.notify_all()

    async def until(self, count: int, accept: Callable[[Received], bool] = lambda _: True) -> list[Received]:
        """The requests that count, once there are so many; fails after 5 s."""

        def found() -> list[Received]:
            return [one for one in self.received if accept(one)]

        async with asyncio.timeout(LIMIT), self._news:
            await self._news.wait_for(lambda: len(found()) >= count)
        return found()
