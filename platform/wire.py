"""How answers leave: what is written in one turn of the loop, the head and the body, goes out in one piece."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["WholeAnswers"]


class WholeAnswers(HttpToolsProtocol):
    """uvicorn's protocol with one system call for an answer that is sent at once, where it would make two."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the library has it
        super().connection_made(cast("asyncio.Transport", _Gathering(transport)))

    def handle_websocket_upgrade(self) -> None:
        """A socket writes a frame at a time, and many at once: gathering would only cost there."""
        self.transport = cast("_Gathering", self.transport).bare
        super().handle_websocket_upgrade()


class _Gathering:
    """A transport that writes at the end of the turn; all else is done by the `bare` one at once."""

    def __init__(self, bare: asyncio.Transport) -> None:
        self.bare = bare
        self._held: list[bytes] = []
        self._soon = asyncio.get_running_loop().call_soon

    def write(self, data: bytes) -> None:
        if not self._held:
            self._soon(self._let_go)
        self._held.append(data)

    def close(self) -> None:
        """What was written before still leaves."""
        self._let_go()
        self.bare.close()

    def _let_go(self) -> None:
        if self._held:
            held, self._held = self._held, []
            self.bare.write(b"".join(held))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bare, name)
