"""A customer at the chat page, who does what its script does: over HTTP what is written, over graphql-transport-ws what happens."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from lead_orchestrator.errors import AppError

__all__ = ["Visitor", "visiting"]

_PROTOCOL = Subprotocol("graphql-transport-ws")
_START = """mutation ($input: StartChatInput!) { startChat(input: $input) {
  session { id state } visitorToken chatToken errors { code message } } }"""


@dataclass
class Visitor:
    """In a conversation of its own, whose events it hears from the first one on. `documents`: hashes by name."""

    session_id: str
    token: str
    documents: Mapping[str, str]
    http: httpx.AsyncClient
    socket: ClientConnection

    async def say(self, text: str) -> None:
        """Send a message.

        Raises:
            AppError: it was not taken.
        """
        given = {"sessionId": self.session_id, "text": text, "clientId": secrets.token_hex(16)}
        sent = await _ask(
            self.http, _by_hash(self.documents, "WidgetSendChatMessage", {"input": given}), token=self.token
        )
        if sent["errors"]:
            raise AppError(f"a visitor's message was refused: {sent['errors'][0]['code']}")

    async def event(self) -> dict[str, Any]:
        """What happens next in the conversation.

        Raises:
            AppError: the socket or the subscription ended.
        """
        try:
            while (heard := json.loads(await self.socket.recv()))["type"] != "next":
                if heard["type"] in ("error", "complete"):
                    raise AppError(f"a visitor's subscription ended: {json.dumps(heard.get('payload'))}")
        except ConnectionClosed as closed:
            raise AppError(f"a visitor's socket was closed: {closed}") from None
        event: dict[str, Any] = heard["payload"]["data"]["chatEvents"]
        return event

    async def message(self) -> dict[str, Any]:
        """The next message that is not the visitor's own."""
        while True:
            event = await self.event()
            if event["__typename"] == "ChatMessageAdded" and event["message"]["role"] != "USER":
                message: dict[str, Any] = event["message"]
                return message


@asynccontextmanager
async def visiting(
    http: httpx.AsyncClient, documents: Mapping[str, str], given: Mapping[str, object]
) -> AsyncIterator[Visitor]:
    """Begin a conversation by startChat's input, and listen to it while the block lasts. `http` has the api as its base.

    Raises:
        AppError: nobody was let in.
    """
    started = await _ask(http, {"query": _START, "variables": {"input": dict(given)}})
    if started["errors"]:
        raise AppError(f"startChat let nobody in: {started['errors'][0]['code']}")
    session_id, token = started["session"]["id"], started["visitorToken"]
    address = f"{str(http.base_url).rstrip('/').replace('http', 'ws', 1)}/graphql"
    async with connect(address, subprotocols=[_PROTOCOL], compression=None, ping_interval=None) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}))
        if json.loads(await socket.recv())["type"] != "connection_ack":
            raise AppError("a visitor's socket was not let in")
        events = _by_hash(documents, "WidgetChatEvents", {"sessionId": session_id, "after": "cmv_0"})
        await socket.send(json.dumps({"id": "chat", "type": "subscribe", "payload": events}))
        yield Visitor(session_id, token, documents, http, socket)


def _by_hash(documents: Mapping[str, str], name: str, variables: Mapping[str, object]) -> dict[str, object]:
    persisted = {"version": 1, "sha256Hash": documents[name]}
    return {"variables": dict(variables), "extensions": {"persistedQuery": persisted}}


async def _ask(http: httpx.AsyncClient, body: Mapping[str, object], *, token: str | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = await http.post("/graphql", json=dict(body), headers=headers)
    read = answer.json()
    if read.get("errors") or not read.get("data"):
        raise AppError(f"a visitor's request was answered {answer.status_code}: {json.dumps(read.get('errors'))}")
    [field] = read["data"].values()
    found: dict[str, Any] = field
    return found
