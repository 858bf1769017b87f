"""The sandbox on a real socket, inside the running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator
from types import TracebackType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lead_orchestrator.sandbox.app import create_sandbox
from lead_orchestrator.sandbox.clock import SandboxClock
from lead_orchestrator.sandbox.context import Sandbox
from lead_orchestrator.sandbox.faults import DROP_EXTENSION
from lead_orchestrator.sandbox.world import World

__all__ = ["SandboxServer"]


class _DroppingProtocol(HttpToolsProtocol):
    """Offers a request the means to close its connection without a reply."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {DROP_EXTENSION: {"close": self.transport.close}}


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready, self.stop = asyncio.Event(), asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        while not self.stop.is_set():
            await self.on_tick(0)  # it renews the Date header
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self.stop.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield  # signals belong to the process that embeds the sandbox

    def cut_connections(self) -> None:
        """Abort what is under way; clients that hold their connections open would hold up the end."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class SandboxServer:
    """Serves the sandbox while `async with` lasts; port 0 takes a free one."""

    def __init__(
        self, world: World, *, host: str = "127.0.0.1", port: int = 0, clock: SandboxClock | None = None
    ) -> None:
        self.world = world
        self.host, self.port = host, port
        self.app = create_sandbox(world, clock=clock)
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def shopmonkey_url(self) -> str:
        """SHOPMONKEY_BASE_URL; clients append /v3/…"""
        return f"{self.url}/shopmonkey"

    @property
    def twilio_url(self) -> str:
        """TWILIO_BASE_URL; clients append /2010-04-01/…"""
        return f"{self.url}/twilio"

    @property
    def sendgrid_url(self) -> str:
        """SENDGRID_BASE_URL; clients append /v3/mail/send"""
        return f"{self.url}/sendgrid"

    @property
    def whatsapp_url(self) -> str:
        """WHATSAPP_BASE_URL; clients append /v25.0/{phone number id}/messages"""
        return f"{self.url}/whatsapp"

    @property
    def google_url(self) -> str:
        """GOOGLE_BASE_URL; clients append /calendar/v3/…, /token and /o/oauth2/v2/auth"""
        return f"{self.url}/google"

    @property
    def openai_url(self) -> str:
        """OPENAI_BASE_URL; clients append /chat/completions"""
        return f"{self.url}/openai/v1"

    @property
    def sandbox(self) -> Sandbox:
        sandbox: Sandbox = self.app.state.sandbox
        return sandbox

    async def __aenter__(self) -> SandboxServer:
        self.world.faults.release(released=False)
        listener = _listen(self.host, self.port)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self.app,
            http=_DroppingProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait({self._serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            listener.close()
            await self._serving
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is None or self._serving is None:
            return
        self.world.faults.release()
        self._server.cut_connections()
        self._server.stop.set()
        await self._serving


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket. It names its protocol: without, asyncio leaves out TCP_NODELAY and a reply takes 40 ms."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener
