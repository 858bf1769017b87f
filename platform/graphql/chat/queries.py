"""What can be asked about conversations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

import strawberry

from lead_orchestrator.graphql.chat.types import ChatMessage, ChatSession, ChatSessionConnection, ChatSessionFilter
from lead_orchestrator.graphql.connections import Node
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.ids import Kind, decode

__all__ = ["CHAT_NODES", "ChatQueries"]


@strawberry.type
class ChatQueries:
    @strawberry.field
    async def chat_sessions(
        self,
        info: Request,
        first: int | None = None,
        after: str | None = None,
        filter: ChatSessionFilter | None = None,  # noqa: A002 - the contract's name
    ) -> ChatSessionConnection:
        """The most recently active first."""
        return await ChatSessionConnection.load(info, (filter or ChatSessionFilter()).query(), first, after)

    @strawberry.field
    async def chat_session(self, info: Request, id: strawberry.ID) -> ChatSession | None:  # noqa: A002 - the contract's name
        key = decode(Kind.CHAT_SESSION, id, field="id")
        return None if info.context.claims.tenant_id is None else await ChatSession.find(info, key)


async def _message(info: Request, key: UUID) -> ChatMessage | None:
    row = await info.context.loaders.chat_messages.load(key)
    return ChatMessage.of(row) if row else None


CHAT_NODES: Mapping[Kind, Callable[[Request, UUID], Awaitable[Node | None]]] = {
    Kind.CHAT_SESSION: ChatSession.find,
    Kind.CHAT_MESSAGE: _message,
}
