"""What staff does in conversations, and what both sides say in them."""

from __future__ import annotations

from typing import Self
from uuid import UUID

import strawberry

from lead_orchestrator.chat import models
from lead_orchestrator.chat.models import ChatRole
from lead_orchestrator.errors import NotFoundError
from lead_orchestrator.graphql.chat.types import ChatMessage, ChatSession
from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import Context, Request
from lead_orchestrator.graphql.payloads import answer
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["ChatMutations", "ChatSessionPayload", "own_session"]


@strawberry.input
class SendChatMessageInput:
    """`clientId` names the message: sent twice it is one, and answered alike."""

    session_id: strawberry.ID
    text: str
    client_id: str


@strawberry.type
class ChatMessagePayload:
    message: ChatMessage | None
    errors: list[UserError]

    @classmethod
    def of(cls, row: models.ChatMessage | None, errors: list[UserError]) -> Self:
        return cls(message=ChatMessage.of(row) if row else None, errors=errors)


@strawberry.type
class ChatSessionPayload:
    session: ChatSession | None
    errors: list[UserError]

    @classmethod
    def of(cls, row: models.ChatSession | None, errors: list[UserError]) -> Self:
        return cls(session=ChatSession.of(row) if row else None, errors=errors)

    @classmethod
    def of_visitor(cls, row: models.ChatSession | None, errors: list[UserError]) -> Self:
        return cls(session=ChatSession.of_visitor(row) if row else None, errors=errors)


@strawberry.type
class ChatMutations:
    @strawberry.mutation
    async def send_chat_message(self, info: Request, input: SendChatMessageInput) -> ChatMessagePayload:  # noqa: A002 - the contract's name
        """Say something in a conversation. Staff takes it over by that; on SMS, WhatsApp and mail it is sent as well."""
        context = info.context

        async def work(session: WriteSession) -> models.ChatMessage:
            say = context.chat.chats.receive if context.is_visitor else context.chat.chats.write
            return await say(session, own_session(context, input.session_id), input.text, input.client_id)

        return await answer(info, work, ChatMessagePayload.of, visitors=True)

    @strawberry.mutation
    async def take_over_chat(self, info: Request, session_id: strawberry.ID) -> ChatSessionPayload:
        """The caller has the conversation from now on, and the customer is told; the assistant is silent at once."""
        key = decode(Kind.CHAT_SESSION, session_id, field="sessionId")
        return await answer(
            info, lambda session: info.context.chat.hand_off.take_over(session, key), ChatSessionPayload.of
        )

    @strawberry.mutation
    async def release_chat(self, info: Request, session_id: strawberry.ID) -> ChatSessionPayload:
        """The assistant has the conversation again, and answers what the customer said last."""
        key = decode(Kind.CHAT_SESSION, session_id, field="sessionId")
        return await answer(
            info, lambda session: info.context.chat.hand_off.release(session, key), ChatSessionPayload.of
        )

    @strawberry.mutation
    async def assign_chat(self, info: Request, session_id: strawberry.ID, user_id: strawberry.ID) -> ChatSessionPayload:
        """That colleague has the conversation from now on."""
        key = decode(Kind.CHAT_SESSION, session_id, field="sessionId")
        user = decode(Kind.USER, user_id, field="userId")
        return await answer(
            info, lambda session: info.context.chat.hand_off.assign(session, key, user), ChatSessionPayload.of
        )

    @strawberry.mutation
    async def close_chat(self, info: Request, session_id: strawberry.ID) -> ChatSessionPayload:
        """Nobody writes into the conversation any more."""
        key = decode(Kind.CHAT_SESSION, session_id, field="sessionId")
        return await answer(info, lambda session: info.context.chat.hand_off.close(session, key), ChatSessionPayload.of)

    @strawberry.mutation
    async def set_typing(self, info: Request, session_id: strawberry.ID) -> bool:
        """The caller is writing: the other side is told, for a few seconds. False for a conversation the caller does not see."""
        context = info.context
        key = decode(Kind.CHAT_SESSION, session_id, field="sessionId")
        if context.claims.tenant_id is None or await context.loaders.chat_sessions.load(key) is None:
            return False
        await context.chat.live.typing(key, ChatRole.USER if context.is_visitor else ChatRole.STAFF)
        return True

    @strawberry.mutation
    async def mark_chat_read(self, info: Request, session_id: strawberry.ID) -> ChatSessionPayload:
        """The caller's side has seen everything that was said up to now."""
        context = info.context

        async def work(session: WriteSession) -> models.ChatSession:
            key = own_session(context, session_id)
            return await context.chat.chats.mark_read(session, key, by_visitor=context.is_visitor)

        payload = ChatSessionPayload.of_visitor if context.is_visitor else ChatSessionPayload.of
        return await answer(info, work, payload, visitors=True)


def own_session(context: Context, session_id: str) -> UUID:
    """The key of a conversation; a visitor names no other than its own.

    Raises:
        NotFoundError: it is another's.
    """
    key = decode(Kind.CHAT_SESSION, session_id, field="sessionId")
    if context.is_visitor and key != context.claims.session_id:
        raise NotFoundError(f"there is no conversation {session_id}", field=("sessionId",))
    return key
