"""A client of graphql-transport-ws that says exactly what it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

__all__ = ["LEAD_EVENTS", "Peer", "connected", "opened"]

PROTOCOL = "graphql-transport-ws"
LEAD_EVENTS = """
subscription Events($locationIds: [ID!], $after: String) {
  leadEvents(locationIds: $locationIds, after: $after) { cursor kind at detail lead { id firstName location { id } } }
}"""
PATIENCE = 5.0


@dataclass
class Peer:
    """One socket; `ack` is what the server acknowledged with."""

    socket: ClientConnection
    ack: dict[str, Any] | None = None

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def hear(self, patience: float = PATIENCE) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(patience):
            heard: dict[str, Any] = json.loads(await self.socket.recv())
            return heard

    async def subscribe(self, key: str = "1", query: str = LEAD_EVENTS, **variables: Any) -> None:
        await self.say(type="subscribe", id=key, payload={"query": query, "variables": variables})

    async def event(self, patience: float = PATIENCE) -> dict[str, Any]:
        """The next event of a subscription to leads."""
        heard = await self.hear(patience)
        assert heard["type"] == "next", heard
        assert "errors" not in heard["payload"], heard
        event: dict[str, Any] = heard["payload"]["data"]["leadEvents"]
        return event

    async def kinds(self, number: int) -> list[str]:
        return [(await self.event())["kind"] for _ in range(number)]

    async def refusal(self) -> str:
        """The code of the error that a subscription was answered with."""
        heard = await self.hear()
        assert heard["type"] == "error", heard
        code: str = heard["payload"][0]["extensions"]["code"]
        return code

    async def in_step(self) -> None:
        """Until the server has handled all that was said, with nothing else to tell."""
        await self.say(type="ping")
        assert await self.hear() == {"type": "pong"}

    async def closed(self, patience: float = PATIENCE) -> tuple[int, str]:
        """How the server closed it; what it said before is passed over."""
        _, code, reason = await self.rest(patience)
        return code, reason

    async def rest(self, patience: float = PATIENCE) -> tuple[list[str], int, str]:
        """The cursors of what still came, and how the server closed it."""
        cursors: list[str] = []
        with suppress(ConnectionClosed):
            async with asyncio.timeout(patience):
                while True:
                    heard = json.loads(await self.socket.recv())
                    if heard["type"] == "next":
                        cursors.append(heard["payload"]["data"]["leadEvents"]["cursor"])
        close = self.socket.protocol.close_rcvd
        assert close is not None, "the socket ended without a close"
        return cursors, close.code, close.reason


@asynccontextmanager
async def opened(address: str, protocol: str | None = PROTOCOL, *, origin: str | None = None) -> AsyncIterator[Peer]:
    """A socket that has said nothing yet; `origin` is where the page is that opens it."""
    protocols = [Subprotocol(protocol)] if protocol else None
    url = address.replace("http://", "ws://") + "/graphql"
    site = Origin(origin) if origin is not None else None
    async with connect(
        url, origin=site, subprotocols=protocols, compression=None, max_size=None, max_queue=1, close_timeout=1
    ) as socket:
        yield Peer(socket)


@asynccontextmanager
async def connected(address: str, token: str) -> AsyncIterator[Peer]:
    """A socket whose token was taken."""
    async with opened(address) as peer:
        await peer.say(type="connection_init", payload={"Authorization": f"Bearer {token}"})
        heard = await peer.hear()
        assert heard["type"] == "connection_ack", heard
        peer.ack = heard.get("payload")
        yield peer
