"""The messages of graphql-transport-ws that a client sends, checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from lead_orchestrator.graphql.events.codes import Close

__all__ = [
    "LARGEST_MESSAGE",
    "ClosingError",
    "Complete",
    "Init",
    "Message",
    "Ping",
    "Pong",
    "Subscribe",
    "authorization_of",
    "read_message",
]

LARGEST_MESSAGE = 128 * 1024
LONGEST_ID = 200
LONGEST_REASON = 120


class ClosingError(Exception):
    """The socket is to be closed; the reason is at most 123 bytes on the wire."""

    def __init__(self, code: Close, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode("ascii", "replace").decode()[:LONGEST_REASON]


@dataclass(frozen=True)
class Init:
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Ping:
    payload: Mapping[str, Any] | None


@dataclass(frozen=True)
class Pong:
    pass


@dataclass(frozen=True)
class Subscribe:
    """`request` has a query, or extensions that may name one, and maybe variables and an operationName, as over HTTP."""

    id: str
    request: dict[str, Any]


@dataclass(frozen=True)
class Complete:
    id: str


Message: TypeAlias = Init | Ping | Pong | Subscribe | Complete


def read_message(text: str) -> Message:
    """Raises ClosingError: it is no message of the protocol."""
    if len(text) > LARGEST_MESSAGE:
        raise ClosingError(Close.TOO_LARGE, f"a message is larger than {LARGEST_MESSAGE} bytes")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ClosingError(Close.BAD_MESSAGE, "a message is not JSON") from None
    if not isinstance(message, dict):
        raise ClosingError(Close.BAD_MESSAGE, "a message is not a JSON object")
    match message.get("type"):
        case "connection_init":
            return Init(_object(message, "payload") or {})
        case "ping":
            return Ping(_object(message, "payload"))
        case "pong":
            return Pong()
        case "subscribe":
            return _subscribe(message)
        case "complete":
            return Complete(_id(message))
        case _:
            raise ClosingError(Close.BAD_MESSAGE, "a message has no type of the protocol graphql-transport-ws")


def authorization_of(payload: Mapping[str, Any]) -> str | None:
    """The Authorization header that connection_init carries, by one of three names; a bare token will do."""
    for name in ("Authorization", "authorization", "token"):
        value = payload.get(name)
        if isinstance(value, str) and value.strip():
            return value if " " in value.strip() else f"Bearer {value}"
    return None


def _subscribe(message: Mapping[str, Any]) -> Subscribe:
    payload = _object(message, "payload") or {}
    variables, extensions = _object(payload, "variables"), _object(payload, "extensions")
    query, name = payload.get("query"), payload.get("operationName")
    if not isinstance(query, str) and (query is not None or not extensions):
        raise ClosingError(Close.BAD_MESSAGE, "subscribe has no payload.query")
    if not isinstance(name, str | None):
        raise ClosingError(Close.BAD_MESSAGE, "payload.operationName is not a string")
    request = {"query": query, "variables": variables or {}, "operationName": name, "extensions": extensions}
    return Subscribe(_id(message), request)


def _id(message: Mapping[str, Any]) -> str:
    found = message.get("id")
    if not isinstance(found, str) or not 0 < len(found) <= LONGEST_ID:
        raise ClosingError(Close.BAD_MESSAGE, f"an id is a text of 1 to {LONGEST_ID} characters")
    return found


def _object(holder: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = holder.get(name)
    if not isinstance(value, dict | None):
        raise ClosingError(Close.BAD_MESSAGE, f"{name} is not a JSON object")
    return value
