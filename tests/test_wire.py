"""An answer leaves in one piece, whatever the client does with its connection."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import uvicorn
from uvicorn.server import ServerState

from lead_orchestrator.wire import WholeAnswers

REQUEST = b"POST / HTTP/1.1\r\nhost: shop.example.com\r\ncontent-length: 0\r\n\r\n"
LAST_REQUEST = REQUEST.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
PIECES = [b"one,", b"two,", b"three"]


async def counting(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the number of the request, in two messages that follow each other at once."""
    await receive()
    body = b"%06d" % next(scope["state"]["numbers"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
    await send({"type": "http.response.body", "body": body})


class Streaming:
    """Sends a piece of its body for each that is asked for."""

    def __init__(self) -> None:
        self.go_on = asyncio.Semaphore(0)

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in PIECES:
            await self.go_on.acquire()
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Counted(WholeAnswers):
    """Keeps what it wrote, call by call."""

    def __init__(self, config: uvicorn.Config, numbers: dict[str, Any], written: list[bytes]) -> None:
        super().__init__(config, ServerState(), numbers)
        self._written = written

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the library has it
        super().connection_made(cast("asyncio.Transport", _Counting(transport, self._written)))


class _Counting:
    def __init__(self, bare: asyncio.Transport, written: list[bytes]) -> None:
        self._bare = bare
        self._written = written

    def write(self, data: bytes) -> None:
        self._written.append(data)
        self._bare.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bare, name)


@asynccontextmanager
async def connected(app: Any) -> AsyncIterator[tuple[socket.socket, list[bytes]]]:
    """A bare connection to a server of this app, which ends with the block, and the pieces that the server writes."""
    written: list[bytes] = []
    loop = asyncio.get_running_loop()
    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    numbers = {"numbers": itertools.count()}
    server = await loop.create_server(lambda: Counted(config, numbers, written), "127.0.0.1", 0)
    with socket.socket() as client:
        client.setblocking(False)
        await loop.sock_connect(client, server.sockets[0].getsockname())
        yield client, written
    server.close()
    await server.wait_closed()


async def received(client: socket.socket) -> bytes:
    async with asyncio.timeout(20):
        return await asyncio.get_running_loop().sock_recv(client, 65536)


async def test_head_and_body_leave_together_on_a_connection_that_stays() -> None:
    async with connected(counting) as (client, written):
        for number in range(5):
            await asyncio.get_running_loop().sock_sendall(client, REQUEST)
            assert (await received(client)).endswith(b"\r\n\r\n%06d" % number)

    assert [piece[-6:] for piece in written] == [b"%06d" % number for number in range(5)]


async def test_answers_to_requests_that_come_at_once_keep_their_order() -> None:
    async with connected(counting) as (client, _):
        await asyncio.get_running_loop().sock_sendall(client, REQUEST * 20)
        answers = b""
        while answers.count(b"HTTP/1.1 200 OK") < 20 or not answers.endswith(b"000019"):
            answers += await received(client)

    assert [part[-6:] for part in answers.split(b"HTTP/1.1 200 OK")[1:]] == [b"%06d" % number for number in range(20)]


async def test_the_last_answer_leaves_before_the_connection_is_closed() -> None:
    async with connected(counting) as (client, _):
        await asyncio.get_running_loop().sock_sendall(client, LAST_REQUEST)
        answer = await received(client)
        assert (answer[-6:], await received(client)) == (b"000000", b"")


async def test_a_body_that_comes_bit_by_bit_is_not_held_back() -> None:
    app = Streaming()

    async with connected(app) as (client, _):
        await asyncio.get_running_loop().sock_sendall(client, REQUEST)
        assert b"transfer-encoding: chunked" in await received(client)
        for piece in PIECES:
            app.go_on.release()
            assert piece in await received(client)


async def test_what_is_no_request_is_told_so() -> None:
    async with connected(counting) as (client, _):
        await asyncio.get_running_loop().sock_sendall(client, b"nonsense\r\n\r\n")
        assert (await received(client)).startswith(b"HTTP/1.1 400 ")
        assert await received(client) == b""
