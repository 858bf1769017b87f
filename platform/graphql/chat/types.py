"""Conversations and their messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Self
from uuid import UUID

import strawberry

from lead_orchestrator.chat import models, repository
from lead_orchestrator.chat.models import ChatRole, ChatState
from lead_orchestrator.chat.repository import ChatQuery
from lead_orchestrator.errors import ForbiddenError
from lead_orchestrator.graphql.booking.types import Slot, place
from lead_orchestrator.graphql.catalog.types import Service
from lead_orchestrator.graphql.chat.cursors import ChatPage, chat_page, version_cursor
from lead_orchestrator.graphql.connections import Connection, Count, Node
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.cursors import Key, Page, cursor, page
from lead_orchestrator.graphql.enums import Channel
from lead_orchestrator.graphql.filters import lead_key, location_keys
from lead_orchestrator.graphql.lead_types import Lead
from lead_orchestrator.graphql.tenant_types import Location, User
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["CHAT_ORDER", "ChatMessage", "ChatSession", "ChatSessionConnection", "ChatSessionFilter"]

CHAT_ORDER = "chat.active_at"

strawberry.enum(ChatState)
strawberry.enum(ChatRole)


@strawberry.type
class ChatMessage(Node):
    """`slots` and `services` are what it offers to choose from; null for words alone."""

    version: strawberry.Private[int]
    stored_slots: strawberry.Private[Sequence[Mapping[str, object]] | None]
    stored_services: strawberry.Private[Sequence[str] | None]
    role: ChatRole
    text: str
    created_at: datetime
    client_id: str | None

    @classmethod
    def of(cls, row: models.ChatMessage) -> ChatMessage:
        return cls(
            id=strawberry.ID(encode(Kind.CHAT_MESSAGE, row.id)),
            version=row.version,
            stored_slots=row.slots,
            stored_services=row.services,
            role=ChatRole(row.role),
            text=row.text,
            created_at=row.created_at,
            client_id=row.client_id,
        )

    @strawberry.field
    def slots(self) -> list[Slot] | None:
        return None if self.stored_slots is None else [_slot(stored) for stored in self.stored_slots]

    @strawberry.field
    async def services(self, info: Request) -> list[Service] | None:
        """As the catalog has them now."""
        if self.stored_services is None:
            return None
        keys = [UUID(key) for key in self.stored_services]
        rows = await info.context.loaders.services.load_many(keys)
        return [Service.of(row) for row in rows if row]


def _slot(stored: Mapping[str, object]) -> Slot:
    return Slot(
        starts_at=datetime.fromisoformat(str(stored["startsAt"])).astimezone(UTC),
        ends_at=datetime.fromisoformat(str(stored["endsAt"])).astimezone(UTC),
        local_start=str(stored["localStart"]),
        token=str(stored["token"]),
    )


@strawberry.type
class ChatMessageConnection(Connection[ChatMessage]):
    """In the order they were written."""

    @classmethod
    def of(cls, rows: Sequence[models.ChatMessage], wanted: ChatPage, count: Count) -> Self:
        """`rows` are in the order in which they were asked for."""
        found = ((version_cursor(row.version), ChatMessage.of(row)) for row in rows)
        if wanted.backwards:
            return cls.page(found, wanted.size, wanted.before, count).turned()
        return cls.page(found, wanted.size, wanted.after, count)


@strawberry.type
class ChatSession(Node):
    """`unread` counts the customer's messages that no staff has seen; to a visitor, what they have not seen themselves. Of the lead,
    the shop and its people a visitor is shown nothing here."""

    key: strawberry.Private[UUID]
    location_key: strawberry.Private[UUID]
    lead_key: strawberry.Private[UUID | None]
    user_key: strawberry.Private[UUID | None]
    channel: Channel
    state: ChatState
    created_at: datetime
    last_message_at: datetime | None
    unread: int

    @classmethod
    def of(cls, row: models.ChatSession) -> ChatSession:
        return cls(
            id=strawberry.ID(encode(Kind.CHAT_SESSION, row.id)),
            key=row.id,
            location_key=row.location_id,
            lead_key=row.lead_id,
            user_key=row.assigned_to,
            channel=Channel(row.channel),
            state=ChatState(row.state),
            created_at=row.created_at,
            last_message_at=row.last_message_at,
            unread=row.unread,
        )

    @classmethod
    def of_visitor(cls, row: models.ChatSession) -> ChatSession:
        """As its visitor sees it."""
        return cls(
            id=strawberry.ID(encode(Kind.CHAT_SESSION, row.id)),
            key=row.id,
            location_key=row.location_id,
            lead_key=None,
            user_key=None,
            channel=Channel(row.channel),
            state=ChatState(row.state),
            created_at=row.created_at,
            last_message_at=row.last_message_at,
            unread=row.visitor_unread,
        )

    @classmethod
    async def find(cls, info: Request, key: UUID) -> ChatSession | None:
        """The conversation, as far as the caller may see it."""
        row = await info.context.loaders.chat_sessions.load(key)
        if row is None:
            return None
        return cls.of_visitor(row) if info.context.claims.role is Role.VISITOR else cls.of(row)

    @strawberry.field
    async def lead(self, info: Request) -> Lead | None:
        row = await info.context.loaders.leads.load(self.lead_key) if self.lead_key else None
        return Lead.of(row) if row else None

    @strawberry.field
    async def location(self, info: Request) -> Location:
        if info.context.is_visitor:
            raise ForbiddenError("a VISITOR may not ask for the location of a conversation")
        row = await info.context.loaders.locations.load(self.location_key)
        if row is None:
            raise LookupError("a conversation without its location")
        return Location.of(row)

    @strawberry.field
    async def assigned_to(self, info: Request) -> User | None:
        row = await info.context.loaders.users.load(self.user_key) if self.user_key else None
        return User.of(row) if row else None

    @strawberry.field
    async def messages(
        self,
        info: Request,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> ChatMessageConnection:
        """In the order they were written; `last` counts from the end."""
        wanted = chat_page(first, after, last, before)
        rows = await info.context.loaders.chat_messages_of.load((self.key, wanted.part))
        return ChatMessageConnection.of(rows, wanted, partial(info.context.loaders.chat_message_counts.load, self.key))


@strawberry.input
class ChatSessionFilter:
    """What is left out or null does not narrow; an empty list matches nothing."""

    state: list[ChatState] | None = None
    channel: list[Channel] | None = None
    location_ids: list[strawberry.ID] | None = None
    lead_id: strawberry.ID | None = None

    def query(self) -> ChatQuery:
        """Raises BadInputError: an id is none."""
        return ChatQuery(self.state, self.channel, location_keys(self.location_ids), lead_key(self.lead_id))


@strawberry.type
class ChatSessionConnection(Connection[ChatSession]):
    """The most recently active first."""

    @classmethod
    async def load(cls, info: Request, query: ChatQuery, first: int | None, after: str | None) -> Self:
        """A page of all that `query` matches."""
        wanted = page(first, after, CHAT_ORDER, (Kind.CHAT_SESSION,))
        rows = await info.context.run(repository.chat_sessions_page, query, place(wanted), wanted.first + 1)
        return cls._of(rows, wanted, after, partial(info.context.run, repository.count_chat_sessions, query))

    @classmethod
    async def of_lead(cls, info: Request, lead: UUID, first: int | None, after: str | None) -> Self:
        """A page of those of one lead."""
        wanted = page(first, after, CHAT_ORDER, (Kind.CHAT_SESSION,))
        rows = await info.context.loaders.lead_chats.load((lead, place(wanted), wanted.first + 1))
        return cls._of(rows, wanted, after, partial(info.context.loaders.lead_chat_counts.load, lead))

    @classmethod
    def _of(cls, rows: Sequence[models.ChatSession], wanted: Page, after: str | None, count: Count) -> Self:
        order, kind = CHAT_ORDER, Kind.CHAT_SESSION
        found = ((cursor(order, Key(row.active_at, row.id), kind), ChatSession.of(row)) for row in rows)
        return cls.page(found, wanted.first, after, count)
