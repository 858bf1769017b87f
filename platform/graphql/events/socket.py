"""One socket that speaks graphql-transport-ws: who it is, what it subscribed to, and when it must end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from graphql import GraphQLError
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Receive, Send

from lead_orchestrator.errors import (
    AppError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
)
from lead_orchestrator.graphql.cursors import position_cursor
from lead_orchestrator.graphql.errors import presented
from lead_orchestrator.graphql.events.codes import Close
from lead_orchestrator.graphql.events.hub import Hub
from lead_orchestrator.graphql.events.messages import (
    ClosingError,
    Complete,
    Init,
    Message,
    Ping,
    Subscribe,
    authorization_of,
    read_message,
)
from lead_orchestrator.graphql.events.operation import Operation, Operations, RefusedError
from lead_orchestrator.graphql.events.outbox import Frame, Outbox, Sent
from lead_orchestrator.graphql.events.registry import Registry
from lead_orchestrator.graphql.events.rooms import Room, Rooms
from lead_orchestrator.graphql.events.source import Rendered
from lead_orchestrator.graphql.events.tail import Tail
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.permissions import admit
from lead_orchestrator.tenancy.tokens import Claims, Role

__all__ = ["MOST_SUBSCRIPTIONS", "Socket"]

_log = get_logger(__name__)

_AWAY = (UnavailableError, SQLAlchemyError, OSError, TimeoutError)

TOO_SLOW = "you read too slowly: subscribe again"
INIT_SECONDS = 10.0
CLOSE_SECONDS = 5.0
MOST_SUBSCRIPTIONS = 20
MOST_MESSAGES, MESSAGES_A_SECOND = 100, 20


class Socket:
    """An accepted socket; `serve` returns when it has ended. `check` raises ForbiddenError for whom it is not."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        access: Access,
        hub: Hub,
        rooms: Rooms,
        operations: Operations,
        registry: Registry,
        check: Callable[[Claims], Awaitable[None]],
        *,
        init_seconds: float = INIT_SECONDS,
    ) -> None:
        self.claims: Claims | None = None
        self._receive = receive
        self._send = send
        self._access = access
        self._hub = hub
        self._rooms = rooms
        self._operations = operations
        self._registry = registry
        self._check = check
        self._outbox = Outbox()
        self._subscriptions: dict[str, _Subscription] = {}
        self._tail: Tail | None = None
        self._loop = asyncio.get_running_loop()
        self._allowance = float(MOST_MESSAGES)
        self._last_message = self._loop.time()
        self._timer = self._loop.call_later(init_seconds, self.close, Close.INIT_TIMEOUT, "no connection_init came")
        self._writing = asyncio.create_task(self._write(), name="socket-writer")

    async def serve(self) -> None:
        """Read and write until one of both ends."""
        try:
            self._registry.arrive(self)
        except ClosingError as error:
            self.close(error.code, error.reason)
        reading = asyncio.create_task(self._read(), name="socket-reader")
        try:
            await asyncio.wait({reading, self._writing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._timer.cancel()
            self._registry.leave(self)
            for task in (reading, self._writing):
                task.cancel()
            await asyncio.gather(reading, self._writing, return_exceptions=True)
            for subscription in list(self._subscriptions.values()):
                await subscription.end()
            if self._tail is not None and self.claims is not None and self.claims.tenant_id is not None:
                await self._hub.close(self.claims.tenant_id, self._tail)

    def close(self, code: Close, reason: str) -> None:
        """End it; a client that does not even take the close is left after a while."""
        self._outbox.close(code, reason)
        self._loop.call_later(CLOSE_SECONDS, self._writing.cancel)

    def away(self, error: Exception) -> None:
        """The database is: the client may try again."""
        _log.warning("events_unreadable", error=type(error).__name__)
        self.close(Close.TRY_AGAIN, "events cannot be read at the moment: come back in a while")

    def close_as_slow(self) -> None:
        """The client takes less than happens: it may come back and go on from where it was."""
        if self._outbox.closing is None:
            self._registry.slow += 1
        self.close(Close.TRY_AGAIN, TOO_SLOW)

    async def _write(self) -> None:
        with suppress(OSError):  # the client is gone: the reader is told so
            while (frame := await self._outbox.take()) is not None:
                await self._send({"type": "websocket.send", "text": f"{frame.head}{frame.shared}{frame.foot}"})
                if frame.sent is not None:
                    frame.sent.position = frame.position
            if self._outbox.closing is not None:
                code, reason = self._outbox.closing
                reason += self._cursor() if reason == TOO_SLOW else ""
                await self._send({"type": "websocket.close", "code": int(code), "reason": reason})

    def _cursor(self) -> str:
        """The last position that every subscription to the franchise's events was sent."""
        sent = [one.sent.position for one in self._subscriptions.values() if isinstance(one.feed, Tail)]
        return f" after {position_cursor(min(sent))}" if sent else ""

    async def _read(self) -> None:
        while (event := await self._receive())["type"] != "websocket.disconnect":
            try:
                self._count_message()
                text = event.get("text")
                if not isinstance(text, str):
                    raise ClosingError(Close.BAD_MESSAGE, "messages are text")
                await self._handle(read_message(text))
            except ClosingError as error:
                self.close(error.code, error.reason)
            except _AWAY as error:
                self.away(error)
            except Exception:  # noqa: BLE001 - the last resort: whatever it is, the socket ends and we get the trace
                _log.exception("socket_failed")
                self.close(Close.INTERNAL, "something went wrong on our side")

    def _count_message(self) -> None:
        now = self._loop.time()
        earned = (now - self._last_message) * MESSAGES_A_SECOND
        self._allowance, self._last_message = min(MOST_MESSAGES, self._allowance + earned) - 1, now
        if self._allowance < 0:
            raise ClosingError(Close.POLICY, f"more than {MESSAGES_A_SECOND} messages a second")

    async def _handle(self, message: Message) -> None:
        match message:
            case Init():
                await self._open(message)
            case Ping():
                self.put({"type": "pong", **({"payload": message.payload} if message.payload is not None else {})})
            case Subscribe():
                await self._subscribe(message)
            case Complete():
                if subscription := self._subscriptions.pop(message.id, None):
                    await subscription.end()
            case _:
                pass

    async def _open(self, message: Init) -> None:
        if self.claims is not None:
            raise ClosingError(Close.SECOND_INIT, "connection_init came twice")
        try:
            authorization = authorization_of(message.payload)
            await self._access.prepare(authorization)
            claims = self._access.claims(authorization)
            await self._check(claims)
        except (UnauthenticatedError, ForbiddenError) as error:
            raise ClosingError(Close.UNAUTHORIZED, error.message) from None
        self._registry.enter(self, claims)
        self.claims = claims
        self._timer.cancel()
        left = self._access.seconds_left(claims)
        self._timer = self._loop.call_later(
            left, self.close, Close.TOKEN_ENDED, "the access token has expired: come back with a fresh one"
        )
        if claims.tenant_id is not None and claims.role is not Role.VISITOR:
            self._tail = await self._hub.open(claims.tenant_id)
        payload = {"payload": {"cursor": position_cursor(self._tail.position)}} if self._tail else {}
        self.put({"type": "connection_ack", **payload})

    async def _subscribe(self, message: Subscribe) -> None:
        if self.claims is None:
            raise ClosingError(Close.UNAUTHORIZED, "subscribe came before connection_ack")
        if message.id in self._subscriptions:
            raise ClosingError(Close.DUPLICATE_ID, "there is a subscription of this id already")
        try:
            if len(self._subscriptions) >= MOST_SUBSCRIPTIONS:
                refusal = f"this socket has {MOST_SUBSCRIPTIONS} subscriptions: end one of them first"
                raise RateLimitedError(refusal, retry_after=0)
            operation = await self._operations.enter(message.request, self.claims)
            admit(self.claims, operation.who)
            feed = await self._feed(operation, self.claims)
        except RefusedError as error:
            self.refuse(message.id, error.errors)
        except AppError as error:
            self.refuse(message.id, [_error(error)])
        else:
            member = _Subscription(self, feed, message.id, operation, self.claims)
            self._subscriptions[message.id] = member

    async def _feed(self, operation: Operation, claims: Claims) -> Tail | Room:
        if operation.chat_id is not None:
            return await self._rooms.open(claims, operation.chat_id)
        if self._tail is None:
            raise NotFoundError("this token belongs to no franchise: ask for one by impersonation")
        return self._tail

    async def left(self, feed: Tail | Room) -> None:
        """A subscription to it has ended."""
        if isinstance(feed, Room):
            await self._rooms.close(feed)

    def put(self, message: dict[str, Any]) -> None:
        """Send a message of the protocol."""
        self._outbox.put(Frame(json.dumps(message, separators=(",", ":"))))
        if self._outbox.full:
            self.close_as_slow()

    def refuse(self, key: str, errors: list[GraphQLError]) -> None:
        """End a subscription, or what was to become one, with its errors."""
        self._subscriptions.pop(key, None)
        self.put({"type": "error", "id": key, "payload": [error.formatted for error in presented(errors) or ()]})

    def deliver(self, head: str, events: Sequence[Rendered], sent: Sent) -> None:
        """Queue the events of one subscription."""
        for event in events:
            self._outbox.put(Frame(head, event.text, "}", sent, event.position))
        if self._outbox.full:
            self.close_as_slow()

    def whisper(self, head: str, text: str) -> None:
        """Queue what may get lost, unless the client is behind."""
        if self._outbox.roomy:
            self._outbox.put(Frame(head, text, "}"))

    @property
    def waiting(self) -> bool:
        return self._outbox.waiting

    async def drained(self) -> None:
        await self._outbox.emptied()


class _Subscription:
    """One subscription of a socket: catches up, and is fed by its group until it ends."""

    def __init__(self, socket: Socket, feed: Tail | Room, key: str, operation: Operation, claims: Claims) -> None:
        self._socket = socket
        self.feed = feed
        self._key = key
        self._head = f'{{"id":{json.dumps(key)},"type":"next","payload":'
        self._member = feed.join(operation, claims, self)
        self.sent = Sent(self._member.cursor)
        self._catching_up: asyncio.Task[None] | None = None
        self._ended = False
        if operation.after is not None:
            self._catching_up = asyncio.create_task(self._catch_up(operation.after), name="subscription-replay")

    @property
    def waiting(self) -> bool:
        return self._socket.waiting

    def deliver(self, events: Sequence[Rendered]) -> None:
        self._socket.deliver(self._head, events, self.sent)

    def whisper(self, text: str) -> None:
        self._socket.whisper(self._head, text)

    async def drained(self) -> None:
        await self._socket.drained()

    async def end(self) -> None:
        if self._catching_up is not None:
            self._catching_up.cancel()
            with suppress(asyncio.CancelledError):
                await self._catching_up
        await self.feed.leave(self._member)
        if not self._ended:
            self._ended = True
            await self._socket.left(self.feed)

    async def _catch_up(self, after: int) -> None:
        try:
            await self.feed.check(after)
            await self._member.catch_up()
        except _AWAY as error:
            self._socket.away(error)
        except Exception as error:  # noqa: BLE001 - masked and logged like any other
            await self.feed.leave(self._member)
            self._socket.refuse(self._key, [GraphQLError(str(error), original_error=error)])


def _error(error: AppError) -> GraphQLError:
    return GraphQLError(error.message, original_error=error)
