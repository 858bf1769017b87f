"""All SQL about conversations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Select, func, literal, select
from sqlalchemy.orm import aliased, load_only

from lead_orchestrator.chat.models import (
    ChangeKind,
    ChatChange,
    ChatMessage,
    ChatRole,
    ChatSession,
    ChatState,
    Spoken,
)
from lead_orchestrator.keyset import After, Cut, cut, of_each
from lead_orchestrator.leads.models import Channel
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession
from lead_orchestrator.tenancy.tokens import Role

__all__ = [
    "Change",
    "ChatPart",
    "ChatQuery",
    "Said",
    "add",
    "answer_soon",
    "by_client_id",
    "chat_message_counts",
    "chat_messages_by_id",
    "chat_messages_of",
    "chat_sessions_by_id",
    "chat_sessions_of",
    "chat_sessions_page",
    "count_chat_sessions",
    "customer_waits",
    "entries_between",
    "get",
    "get_for_update",
    "newest_messages",
    "open_session_of",
    "session_counts",
]


_SEEN_BY_VISITORS = (
    ChatSession.tenant_id,
    ChatSession.id,
    ChatSession.location_id,
    ChatSession.channel,
    ChatSession.state,
    ChatSession.version,
    ChatSession.created_at,
    ChatSession.last_message_at,
    ChatSession.visitor_unread,
)


@dataclass(frozen=True)
class ChatQuery:
    """Which conversations; None does not narrow, an empty list is none."""

    state: Sequence[str] | None = None
    channel: Sequence[str] | None = None
    location_ids: Sequence[UUID] | None = None
    lead_id: UUID | None = None


@dataclass(frozen=True)
class ChatPart:
    """Which messages of a conversation: `limit` from its beginning or (`backwards`) from its end, between two versions."""

    limit: int
    above: int | None = None
    below: int | None = None
    backwards: bool = False


async def chat_sessions_page(session: ReadSession, query: ChatQuery, after: After, limit: int) -> Sequence[ChatSession]:
    """The most recently active first."""
    part = cut(ChatSession.active_at, ChatSession.id, after, limit)
    return list(await session.scalars(part.of(select(ChatSession).where(*_terms(session, query)))))


async def count_chat_sessions(session: ReadSession, query: ChatQuery) -> int:
    statement = select(func.count()).select_from(ChatSession).where(*_terms(session, query))
    return int(await session.scalar(statement) or 0)


async def chat_sessions_by_id(session: ReadSession, ids: Sequence[UUID]) -> Mapping[UUID, ChatSession]:
    """A visitor gets its own, with the columns that visitors may see."""
    statement = select(ChatSession).where(ChatSession.tenant_id == session.scope.tenant_id, ChatSession.id.in_(ids))
    if session.scope.role is Role.VISITOR:
        statement = statement.options(load_only(*_SEEN_BY_VISITORS, raiseload=True))
    return {row.id: row for row in await session.scalars(statement)}


async def chat_sessions_of(
    session: ReadSession, lead_ids: Sequence[UUID], after: After, limit: int
) -> Mapping[UUID, list[ChatSession]]:
    """Of each lead the most recently active first."""
    row = aliased(ChatSession)
    own = select(row).where(row.tenant_id == session.scope.tenant_id)
    return await of_each(session, lead_ids, own, row, row.lead_id, cut(row.active_at, row.id, after, limit))


async def session_counts(session: ReadSession, lead_ids: Sequence[UUID]) -> Mapping[UUID, int]:
    statement = (
        select(ChatSession.lead_id, func.count())
        .where(ChatSession.tenant_id == session.scope.tenant_id, ChatSession.lead_id.in_(lead_ids))
        .group_by(ChatSession.lead_id)
    )
    return {lead_id: number for lead_id, number in await session.execute(statement) if lead_id is not None}


async def chat_messages_by_id(session: ReadSession, ids: Sequence[UUID]) -> Mapping[UUID, ChatMessage]:
    statement = select(ChatMessage).where(ChatMessage.tenant_id == session.scope.tenant_id, ChatMessage.id.in_(ids))
    return {row.id: row for row in await session.scalars(statement)}


async def chat_messages_of(
    session: ReadSession, session_ids: Sequence[UUID], part: ChatPart
) -> Mapping[UUID, list[ChatMessage]]:
    """Of each conversation in the order it is asked for: from its beginning, or backwards from its end."""
    row = aliased(ChatMessage)
    own = select(row).where(row.tenant_id == session.scope.tenant_id)
    if part.above is not None:
        own = own.where(row.version > part.above)
    if part.below is not None:
        own = own.where(row.version < part.below)
    order = row.version.desc() if part.backwards else row.version.asc()
    return await of_each(session, session_ids, own, row, row.session_id, Cut((order,), None, part.limit))


def add(session: WriteSession, row: ChatSession | ChatMessage | ChatChange) -> None:
    session.add(row)


async def get(session: ReadSession, chat_id: UUID) -> ChatSession | None:
    return await session.scalar(_own(session, chat_id))


async def get_for_update(session: WriteSession, chat_id: UUID) -> ChatSession | None:
    """The conversation, locked: whoever writes into it or changes whose it is takes this lock, after its lead's."""
    statement = _own(session, chat_id).with_for_update(key_share=True).execution_options(populate_existing=True)
    return await session.scalar(statement)


def _own(session: ReadSession, chat_id: UUID) -> Select[ChatSession]:
    return select(ChatSession).where(ChatSession.tenant_id == session.scope.tenant_id, ChatSession.id == chat_id)


def answer_soon(chat: ChatSession, wait: timedelta) -> None:
    """The assistant is to answer after `wait` on the database's clock, unless something more is said meanwhile."""
    chat.answer_due_at = func.clock_timestamp() + wait
    chat.answer_attempts = 0


async def by_client_id(session: ReadSession, chat_id: UUID, client_id: str) -> ChatMessage | None:
    statement = select(ChatMessage).where(
        ChatMessage.tenant_id == session.scope.tenant_id,
        ChatMessage.session_id == chat_id,
        ChatMessage.client_id == client_id,
    )
    return await session.scalar(statement)


async def newest_messages(session: ReadSession, chat_id: UUID, limit: int, *, above: int = 0) -> list[Spoken]:
    """The newest `limit` of those above a version, in the order they were written."""
    rows = select(ChatMessage.version, ChatMessage.role, ChatMessage.text).where(
        ChatMessage.tenant_id == session.scope.tenant_id,
        ChatMessage.session_id == chat_id,
        ChatMessage.version > _big(above),
    )
    newest = await session.execute(rows.order_by(ChatMessage.version.desc()).limit(limit))
    return [Spoken(version, ChatRole(role), said) for version, role, said in newest][::-1]


async def customer_waits(session: ReadSession, chat_id: UUID) -> bool:
    """Whether the customer said something after whatever was said to it by the assistant or by staff."""
    rows = select(ChatMessage.role).where(
        ChatMessage.tenant_id == session.scope.tenant_id,
        ChatMessage.session_id == chat_id,
        ChatMessage.role != ChatRole.SYSTEM,
    )
    return await session.scalar(rows.order_by(ChatMessage.version.desc()).limit(1)) == ChatRole.USER


@dataclass(frozen=True)
class Said:
    """A message as an entry of its conversation."""

    version: int
    message: ChatMessage


@dataclass(frozen=True)
class Change:
    """A change as an entry of its conversation; see ChatChange."""

    version: int
    kind: ChangeKind
    state: str | None
    message_id: UUID | None


async def entries_between(
    session: ReadSession, chat_id: UUID, after: int, until: int, limit: int
) -> list[Said | Change]:
    """The first `limit` entries of the conversation above the version `after` and up to `until`, in their order."""
    message, change = ChatMessage, ChatChange
    said = select(message).where(
        message.tenant_id == session.scope.tenant_id,
        message.session_id == chat_id,
        message.version.between(_big(after + 1), _big(until)),
    )
    done = select(change.version, change.kind, change.state, change.message_id).where(
        change.tenant_id == session.scope.tenant_id,
        change.session_id == chat_id,
        change.version.between(_big(after + 1), _big(until)),
    )
    messages = await session.scalars(said.order_by(message.version).limit(limit))
    changes = await session.execute(done.order_by(change.version).limit(limit))
    entries: list[Said | Change] = [Said(row.version, row) for row in messages]
    entries += [Change(version, ChangeKind(kind), state, key) for version, kind, state, key in changes]
    return sorted(entries, key=lambda entry: entry.version)[:limit]


def _big(version: int) -> ColumnElement[int]:
    """The mapped column is a plain int, which the driver would send with 32 bits."""
    return literal(version, BigInteger)


async def open_session_of(session: WriteSession, lead_id: UUID, channel: Channel) -> ChatSession | None:
    """The lead's newest conversation on `channel` that is not closed, locked: whoever writes into it takes this lock.

    One in which somebody only typed the lead's number is not the lead's.
    """
    statement = (
        select(ChatSession)
        .where(
            ChatSession.tenant_id == session.scope.tenant_id,
            ChatSession.lead_id == lead_id,
            ChatSession.channel == channel,
            ChatSession.state != ChatState.CLOSED,
            ChatSession.verified,
        )
        .order_by(ChatSession.active_at.desc(), ChatSession.id.desc())
        .limit(1)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return await session.scalar(statement)


async def chat_message_counts(session: ReadSession, session_ids: Sequence[UUID]) -> Mapping[UUID, int]:
    statement = (
        select(ChatMessage.session_id, func.count())
        .where(ChatMessage.tenant_id == session.scope.tenant_id, ChatMessage.session_id.in_(session_ids))
        .group_by(ChatMessage.session_id)
    )
    return {session_id: int(number) for session_id, number in await session.execute(statement)}


def _terms(session: ReadSession, query: ChatQuery) -> Iterable[ColumnElement[bool]]:
    yield ChatSession.tenant_id == session.scope.tenant_id
    if query.state is not None:
        yield ChatSession.state.in_(query.state)
    if query.channel is not None:
        yield ChatSession.channel.in_(query.channel)
    if query.location_ids is not None:
        yield ChatSession.location_id.in_(query.location_ids)
    if query.lead_id is not None:
        yield ChatSession.lead_id == query.lead_id
