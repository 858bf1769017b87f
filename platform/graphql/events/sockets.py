"""The WebSocket side of /graphql: an ASGI app that lasts as long as the process listens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from redis.asyncio import Redis
from starlette.types import Receive, Scope, Send

from lead_orchestrator.graphql.context import GraphQLServices
from lead_orchestrator.graphql.documents import trusted_documents
from lead_orchestrator.graphql.events.codes import Close
from lead_orchestrator.graphql.events.conversations import ConversationSource
from lead_orchestrator.graphql.events.hub import LOOK_UP_SECONDS, Heads, Hub
from lead_orchestrator.graphql.events.operation import Operations
from lead_orchestrator.graphql.events.registry import Registry
from lead_orchestrator.graphql.events.rooms import ChatHeads, Rooms
from lead_orchestrator.graphql.events.socket import INIT_SECONDS, Socket
from lead_orchestrator.graphql.events.source import Source
from lead_orchestrator.graphql.events.wake import Channels, Listener
from lead_orchestrator.graphql.gate import Gate
from lead_orchestrator.graphql.schema import make_schema
from lead_orchestrator.graphql.sites import Sites
from lead_orchestrator.tenancy.access import Access

__all__ = ["PROTOCOL", "Sockets", "open_sockets"]

PROTOCOL = "graphql-transport-ws"


class Sockets:
    """Accepts sockets of the one protocol there is."""

    def __init__(
        self,
        access: Access,
        hub: Hub,
        rooms: Rooms,
        registry: Registry,
        operations: Operations,
        sites: Sites,
        *,
        init_seconds: float,
    ) -> None:
        self.registry = registry
        self._sites = sites
        self._hub = hub
        self._rooms = rooms
        self._access = access
        self._operations = operations
        self._init_seconds = init_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        if PROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept"})  # without it the client would not learn the code
            reason = f"connect with the subprotocol {PROTOCOL}"
            await send({"type": "websocket.close", "code": int(Close.SUBPROTOCOL), "reason": reason})
            return
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
        socket = Socket(
            receive,
            send,
            self._access,
            self._hub,
            self._rooms,
            self._operations,
            self.registry,
            partial(self._sites.check, _origin(scope)),
            init_seconds=self._init_seconds,
        )
        await socket.serve()


def _origin(scope: Scope) -> str | None:
    """Where the page is that opened it; browsers always say."""
    value = dict(reversed(scope["headers"])).get(b"origin")
    return value.decode("latin-1") if value is not None else None


@asynccontextmanager
async def open_sockets(
    services: GraphQLServices,
    heads: Heads,
    redis: Redis | None,
    *,
    look_up_seconds: float = LOOK_UP_SECONDS,
    init_seconds: float = INIT_SECONDS,
    chat_heads: ChatHeads | None = None,
) -> AsyncIterator[Sockets]:
    """Listens while the block lasts. Without `redis` nobody wakes it and the look-up finds everything; without `chat_heads` what is
    lost of conversations is not found."""
    hub = Hub(Source(services), heads, look_up_seconds=look_up_seconds)
    registry = Registry(services.access.revocations)
    channels = Channels()
    rooms = Rooms(ConversationSource(services), chat_heads, channels, look_up_seconds=look_up_seconds)
    channels.heard = rooms.heard
    listener = Listener(redis, hub.wake, channels) if redis is not None else None
    schema = make_schema(development=services.development)._schema  # noqa: SLF001 - the library's own is what executes events
    gate = Gate(schema, trusted_documents(), services.budgets, any_document=services.any_document)
    operations = Operations(schema, gate)
    hub.start()
    rooms.start()
    registry.start()
    if listener is not None:
        listener.start()
    try:
        yield Sockets(
            services.access,
            hub,
            rooms,
            registry,
            operations,
            Sites(services.access, services.places, services.limits),
            init_seconds=init_seconds,
        )
    finally:
        if listener is not None:
            await listener.stop()
        await registry.stop()
        await rooms.stop()
        await hub.stop()
