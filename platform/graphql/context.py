"""One request: who asks, its one transaction, and what it has loaded so far."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar
from uuid import UUID

from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.types import Info

from lead_orchestrator.administration.service import Administration
from lead_orchestrator.booking.appointments.service import Appointments
from lead_orchestrator.booking.appointments.visitors import BookingVisitors
from lead_orchestrator.booking.calendar.connections import GoogleConnections
from lead_orchestrator.booking.calendar.freshness import Freshness
from lead_orchestrator.booking.service import Booking
from lead_orchestrator.catalog.sync import CatalogSync
from lead_orchestrator.chat.conversations import Chats
from lead_orchestrator.chat.handoff import HandOff
from lead_orchestrator.chat.live import Live
from lead_orchestrator.chat.visitors import Visitors
from lead_orchestrator.errors import BadInputError, UnavailableError
from lead_orchestrator.graphql.budgets import Budgets
from lead_orchestrator.graphql.loaders import Loaders
from lead_orchestrator.leads.service import Leads
from lead_orchestrator.log import get_logger
from lead_orchestrator.messaging.service import Messages
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.accounts.people import People
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.public.limits import PublicLimits
from lead_orchestrator.tenancy.public.places import Places
from lead_orchestrator.tenancy.reader import Reader
from lead_orchestrator.tenancy.sessions import ReadSession, Scope, Tenancy, WriteSession
from lead_orchestrator.tenancy.tokens import Claims, Role

__all__ = ["Caller", "ChatServices", "Context", "GraphQLServices", "Request"]

_log = get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class ChatServices:
    """What conversations are held with; `live` tells their listeners, `visitors` lets the public in."""

    chats: Chats
    hand_off: HandOff
    visitors: Visitors
    live: Live


@dataclass(frozen=True)
class Caller:
    """Where a request comes from: the client's address, the Origin header, and `en` or `es`."""

    address: str | None = field(default=None, repr=False)
    origin: str | None = None
    language: str = "en"


@dataclass(frozen=True)
class GraphQLServices:
    """What the API works with. `wake(tenant_id)` is called after a commit that made something due.

    `catalog` reads ShopMonkey's services, `messages` writes what staff sends, `booking` finds free times and `appointments` takes
    them, `calendars` connects those outside, `links` makes those in a preview, `places` finds the shops of visitors, `staff`
    invites people, whereupon `wake_mails` is called, `administration` is for the platform's administrators; without one what
    needs it is unavailable, as it is of `chat`. `limits` are those of the
    public (`tenancy.public` says how both are used).
    `reader` answers planned queries; without one every operation takes the ordinary executor. `budgets` limits callers;
    without it nobody is. `development` opens introspection and GraphiQL. `any_document` lets visitors send what is not
    listed, for tests of what lies behind.
    """

    tenancy: Tenancy
    leads: Leads
    access: Access
    wake: Callable[[UUID], Awaitable[None]]
    wake_event: Callable[[UUID, UUID], Awaitable[None]] | None = None
    development: bool = False
    catalog: CatalogSync | None = None
    reader: Reader | None = None
    budgets: Budgets | None = None
    any_document: bool = False
    messages: Messages | None = None
    booking: Booking | None = None
    appointments: Appointments | None = None
    calendars: GoogleConnections | None = None
    freshness: Freshness | None = None
    booking_visitors: BookingVisitors | None = None
    links: LinkSigner | None = None
    staff: People | None = None
    wake_mails: Callable[[UUID], Awaitable[None]] | None = None
    places: Places | None = None
    limits: PublicLimits | None = None
    administration: Administration | None = None
    chat: ChatServices | None = None


class _UndoError(Exception):
    """Ends the transaction without a commit."""


class Context:
    """One operation. Its statements take turns, since one session is one connection."""

    def __init__(self, services: GraphQLServices, authorization: str | None, caller: Caller | None = None) -> None:
        self.services = services
        self.caller = caller or Caller()
        self.loaders = Loaders(self.run, self._of_shops)
        self.operation_name: str | None = None
        self.response: Response | WebSocket | None = None
        self._authorization = authorization
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._session: ReadSession | None = None
        self._finished = False
        self._due = self._mails = False
        self._events: list[tuple[UUID, UUID]] = []

    @cached_property
    def claims(self) -> Claims:
        """Who asks.

        Raises:
            UnauthenticatedError: there is no valid token.
        """
        return self.services.access.claims(self._authorization)

    @cached_property
    def scope(self) -> Scope:
        """Raises NotFoundError: the token belongs to no tenant."""
        return Scope.of(self.claims)

    def show(self, tenant_id: UUID) -> None:
        """The rest of this operation's answer is of a franchise that an administrator has just changed, and only read.

        Raises:
            BadInputError: the operation has changed another one.
        """
        shown = self.__dict__.get("scope")
        if shown is not None and shown.tenant_id != tenant_id:
            raise BadInputError("this operation has changed another franchise: send an operation for each")
        self.__dict__["scope"] = replace(Scope.service(tenant_id, self.claims.subject), read_only=True)

    @property
    def chat(self) -> ChatServices:
        """Raises UnavailableError: there is none here."""
        if self.services.chat is None:
            raise UnavailableError("there is no chat here")
        return self.services.chat

    @property
    def is_visitor(self) -> bool:
        return self.claims.role is Role.VISITOR

    def become(self, token: str) -> None:
        """The rest of the operation is read in the rights of this token, which the operation has just been given.

        Raises:
            BadInputError: the operation has read something in other rights already.
        """
        if self._session is not None:
            raise BadInputError("let one visitor in with an operation of its own, and ask for nothing else beside it")
        self.__dict__["claims"] = self.services.access.claims(f"Bearer {token}")  # fills the cached property
        self.__dict__.pop("scope", None)

    async def run(
        self, query: Callable[Concatenate[ReadSession, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`query` with this operation's session, in its turn.

        It is done to its end even if nobody waits for it any more: a field that fails takes its neighbours with it, and a statement
        that is cut off would take the transaction from the fields that follow.
        """
        return await asyncio.shield(self._whole(query, *args, **kwargs))

    async def _whole(
        self, query: Callable[Concatenate[ReadSession, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        async with self._lock:
            return await query(await self._opened(), *args, **kwargs)

    async def within(self, tenant_id: UUID, query: Callable[[ReadSession], Awaitable[T]]) -> T:
        """`query` with this operation's session, or for an administrator of the platform with a service's of that tenant.

        What is asked this way is settings and counts: an administrator sees no lead and no message.
        """
        if self.claims.role is not Role.PLATFORM_ADMIN:
            return await self.run(query)
        async with self._lock, self.services.tenancy.read(Scope.service(tenant_id, self.claims.subject)) as session:
            return await query(session)

    async def serving(self, query: Callable[[ReadSession], Awaitable[T]]) -> T:
        """As `run`; for a visitor in a service's session of its locations, since what the service reads is more than a visitor
        may see: only the answer is for them."""
        if self.claims.role is not Role.VISITOR:
            return await self.run(query)
        async with self._lock, self.services.tenancy.read(self.service_scope) as session:
            return await query(session)

    async def _of_shops(
        self, query: Callable[Concatenate[ReadSession, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.serving(lambda session: query(session, *args, **kwargs))

    @property
    def service_scope(self) -> Scope:
        """Of a service that works for the caller, at the caller's locations: what a visitor starts runs in it."""
        return replace(self.scope, role=None, lead_id=None, session_id=None)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[WriteSession]:
        """This operation's session for one mutation: what it did is undone when it raises, the others' work stands."""
        async with self._lock:
            session = await self._opened(write=True)
            if not isinstance(session, WriteSession):
                raise TypeError("a query cannot write")
            self.loaders.forget()
            async with session.attempt():
                yield session
                await session.flush()

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[WriteSession]:
        """As `writing`; for a visitor in a service's session of its locations, which commits at the end of the block."""
        if self.claims.role is not Role.VISITOR:
            async with self.writing() as session:
                yield session
            return
        async with self._lock, self.services.tenancy.write(self.service_scope) as session:
            yield session

    @property
    def wrote(self) -> bool:
        return isinstance(self._session, WriteSession)

    @property
    def changed(self) -> bool:
        """Whether there is something to commit, or to tell others of: an administrator's work has sessions of its own."""
        return self.wrote or self._due or bool(self._events)

    def keep_cookie(self, name: str, value: str, *, path: str, seconds: int) -> None:
        """Have the caller's browser keep this for a while, and send it to `path` alone; scripts do not see it."""
        if isinstance(self.response, Response):
            secure = not self.services.development
            self.response.set_cookie(
                name, value, max_age=seconds, path=path, secure=secure, httponly=True, samesite="lax"
            )

    def something_is_due(self) -> None:
        """Wake the sender once this operation has committed."""
        self._due = True

    def mail_is_due(self) -> None:
        """Wake who mails invitations once this operation has committed."""
        self._mails = True

    def event_waits(self, tenant_id: UUID, event_id: UUID) -> None:
        """Wake whoever processes this webhook event once this operation has committed."""
        self._events.append((tenant_id, event_id))

    async def finish(self, *, commit: bool) -> None:
        """End the transaction, once; whoever still runs is refused the session."""
        async with self._lock:
            if self._finished:
                return
            self._finished = True
            if commit:
                await self._stack.aclose()
            else:
                undo = _UndoError()
                await self._stack.__aexit__(_UndoError, undo, None)
        if commit and self._due:
            await self._wake()
        if commit and self._mails and self.services.wake_mails is not None:
            await self.services.wake_mails(self.scope.tenant_id)
        if commit and self.services.wake_event is not None:
            for tenant_id, event_id in self._events:
                await self.services.wake_event(tenant_id, event_id)

    async def _wake(self) -> None:
        try:
            await self.services.wake(self.scope.tenant_id)
        except Exception as error:  # noqa: BLE001 - what is due is committed; a bell that fails only costs seconds
            _log.warning("wake_failed", error=type(error).__name__)

    async def _opened(self, *, write: bool = False) -> ReadSession:
        if self._finished:
            raise RuntimeError("the operation has ended")
        if self._session is None:
            tenancy = self.services.tenancy
            opening = tenancy.write(self.scope) if write else tenancy.read(self.scope)
            self._session = await self._stack.enter_async_context(opening)
        return self._session


Request: TypeAlias = Info[Context, None]
