"""Reads the entries of conversations for their subscribers, and what Redis tells of them besides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from lead_orchestrator.chat import repository
from lead_orchestrator.chat.models import ChangeKind, ChatRole, ChatState
from lead_orchestrator.chat.repository import Change
from lead_orchestrator.graphql.chat.cursors import version_cursor
from lead_orchestrator.graphql.chat.events import (
    ChatMessageAdded,
    ChatMessageDelta,
    ChatMessageRetracted,
    ChatStateChanged,
    ChatTyping,
)
from lead_orchestrator.graphql.chat.types import ChatMessage
from lead_orchestrator.graphql.context import GraphQLServices
from lead_orchestrator.graphql.events.operation import Operation
from lead_orchestrator.graphql.events.source import READERS, Batch, EventContext, Rendered
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.tenancy.tokens import Claims

__all__ = ["ConversationSource", "told"]

_NOBODY = "subscription"


class ConversationSource:
    """Entries are read in the rights of whoever will see them; so many readers at once, the others wait."""

    def __init__(self, services: GraphQLServices) -> None:
        self._services = services
        self._turns = asyncio.Semaphore(READERS)

    async def seen_by(self, claims: Claims, chat_id: UUID) -> bool:
        """Whether these rights reach the conversation."""
        async with self._turns, self._services.tenancy.read(Scope.of(claims)) as session:
            return chat_id in await repository.chat_sessions_by_id(session, [chat_id])

    async def version(self, tenant_id: UUID, chat_id: UUID) -> int:
        """That of its newest entry; 0 where there is no such conversation any more."""
        async with self._turns, self._services.tenancy.read(Scope.service(tenant_id, _NOBODY)) as session:
            chat = await repository.get(session, chat_id)
            return chat.version if chat else 0

    async def render(self, operation: Operation, claims: Claims, after: int, until: int, limit: int) -> Batch:
        """The first `limit` entries above `after` and up to `until`, in the rights of `claims`, in one transaction."""
        context = EventContext(self._services, claims)
        if operation.chat_id is None:
            raise TypeError("this operation is about no conversation")
        async with self._turns:
            try:
                entries = await context.run(repository.entries_between, operation.chat_id, after, until, limit)
                roots = [_entry(entry) for entry in entries]
                texts = await asyncio.gather(*(operation.answer(root, context) for root in roots))
                last = entries[-1].version if len(entries) == limit else until
            finally:
                await context.finish(commit=False)
        return Batch([Rendered(entry.version, text) for entry, text in zip(entries, texts, strict=True)], last)

    async def whispered(self, operation: Operation, claims: Claims, root: object) -> str:
        """What is not kept, as the text that goes out."""
        context = EventContext(self._services, claims)
        try:
            return await operation.answer(root, context)
        finally:
            await context.finish(commit=False)


def told(data: bytes) -> int | object | None:
    """What a message of a conversation's channel says: its version, or something to pass on; None where it says nothing."""
    try:
        news = json.loads(data)
        return _news(news) if isinstance(news, dict) else None
    except (ValueError, KeyError, TypeError):
        return None


def _news(news: Mapping[str, Any]) -> int | object:
    if "version" in news:
        return int(news["version"])
    if "typing" in news:
        return ChatTyping(role=ChatRole(news["typing"]))
    key = encode(Kind.CHAT_MESSAGE, UUID(news["messageId"]))
    return ChatMessageDelta(message_id=key, offset=int(news["offset"]), text=str(news["text"]))  # type: ignore[arg-type]  # an ID is a str


def _entry(entry: Change | repository.Said) -> object:
    cursor = version_cursor(entry.version)
    if isinstance(entry, repository.Said):
        return ChatMessageAdded(cursor=cursor, message=ChatMessage.of(entry.message))
    if entry.kind is ChangeKind.RETRACTION and entry.message_id is not None:
        key = encode(Kind.CHAT_MESSAGE, entry.message_id)
        return ChatMessageRetracted(cursor=cursor, message_id=key)  # type: ignore[arg-type]  # an ID is a str
    return ChatStateChanged(cursor=cursor, state=ChatState(entry.state or ""))
