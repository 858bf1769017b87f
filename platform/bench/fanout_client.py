"""Many sockets that count: a process of its own, so that what is measured is the server.

Reads one JSON object from standard input ({"port", "sockets": [token, …], "query", "subscriptions": of each}), prints "ready"
once every socket has subscribed, and at the end of its input what it heard: [[number, moment], …], moments of the machine's
monotonic clock.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from functools import partial
from time import perf_counter
from typing import cast

import uvloop

__all__ = ["main"]

_AT_ONCE = 50
_NEXT, _NUMBER = b'"type":"next"', b'"n":'
_SHORT, _MEDIUM = 126, 127


class _Socket(asyncio.Protocol):
    """Speaks just as much of WebSocket as this server needs; its masks are zeros."""

    def __init__(self, token: str, query: str, subscriptions: int, heard: list[tuple[int, float]]) -> None:
        asked = ({"type": "subscribe", "id": str(n), "payload": {"query": query}} for n in range(subscriptions))
        self._messages = [{"type": "connection_init", "payload": {"token": token}}, *asked, {"type": "ping"}]
        self._heard = heard
        self._buffer = bytearray()
        self._upgraded = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without saying so
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET /graphql HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        moment = perf_counter()
        self._buffer += data
        if not self._upgraded:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            del self._buffer[: end + 4]
            self._upgraded = True
            for message in self._messages:
                self._say(json.dumps(message).encode())
        self._frames(moment)

    def _frames(self, moment: float) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:  # noqa: PLR2004 - the shortest header
            size, head = buffer[at + 1], 2
            if size == _SHORT:
                size, head = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
            elif size == _MEDIUM:
                size, head = int.from_bytes(buffer[at + 2 : at + 10], "big"), 10
            if len(buffer) - at < head + size:
                break
            self._hear(bytes(buffer[at + head : at + head + size]), moment)
            at += head + size
        del buffer[:at]

    def _hear(self, message: bytes, moment: float) -> None:
        if _NEXT in message:
            start = message.index(_NUMBER) + len(_NUMBER)
            self._heard.append((int(message[start:].split(b"}", 1)[0]), moment))
        elif b'"pong"' in message and not self.ready.done():
            self.ready.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionError(f"closed: {bytes(self._buffer[:200])!r}"))

    def _say(self, text: bytes) -> None:
        size = bytes([0x80 | len(text)]) if len(text) < _SHORT else bytes([0xFE]) + len(text).to_bytes(2, "big")
        self._transport.write(b"\x81" + size + b"\0\0\0\0" + text)


async def _listen() -> None:
    loop = asyncio.get_running_loop()
    asked = json.loads(sys.stdin.readline())
    heard: list[tuple[int, float]] = []
    waiting: list[_Socket] = []
    for token in asked["sockets"]:
        _, socket = await loop.create_connection(
            partial(_Socket, token, asked["query"], asked["subscriptions"], heard), "127.0.0.1", asked["port"]
        )
        waiting.append(socket)
        if len(waiting) >= _AT_ONCE:
            await asyncio.gather(*(one.ready for one in waiting))
            waiting.clear()
    await asyncio.gather(*(one.ready for one in waiting))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.readline)
    sys.stdout.write(json.dumps(heard) + "\n")
    sys.stdout.flush()


def main() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_listen())


if __name__ == "__main__":
    main()
