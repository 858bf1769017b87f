"""What is written into a locked conversation: each entry raises its version, in the order of commits, and nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from lead_orchestrator.chat import repository
from lead_orchestrator.chat.assistant import repository as assistant_repository
from lead_orchestrator.chat.models import (
    ChangeKind,
    ChatChange,
    ChatMessage,
    ChatRole,
    ChatSession,
    ChatState,
    Reason,
)
from lead_orchestrator.clock import app_now
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads.models import Lead
from lead_orchestrator.leads.service import locked
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["add_message", "await_answer", "change_state", "held_until", "locked_chat", "note", "retract"]


async def locked_chat(session: WriteSession, chat_id: UUID) -> tuple[ChatSession, Lead | None]:
    """The conversation and its lead, both locked, the lead first as everywhere.

    Raises:
        NotFoundError: there is none in this scope.
    """
    seen = await repository.get(session, chat_id)
    lead = await locked(session, seen.lead_id) if seen is not None and seen.lead_id is not None else None
    chat = await repository.get_for_update(session, chat_id)
    if chat is None:
        raise NotFoundError("there is no such conversation: load the list again", field=("sessionId",))
    if chat.lead_id is not None and lead is None:  # it was linked in between
        raise BadInputError("the conversation has just changed: send it again", code="TRY_AGAIN")
    return chat, lead


async def add_message(
    session: WriteSession,
    chat: ChatSession,
    role: ChatRole,
    text: str,
    *,
    client_id: str | None = None,
    message_id: UUID | None = None,
    slots: Sequence[dict[str, object]] | None = None,
    services: Sequence[UUID] | None = None,
) -> ChatMessage:
    """Add what `role` says. The customer's counts as unread for staff, everybody else's as unread for the customer."""
    now = await _next(session, chat)
    chat.turn = chat.version
    chat.last_message_at = now
    if role is ChatRole.USER:
        chat.unread += 1
    else:
        chat.visitor_unread += 1
    message = ChatMessage(
        tenant_id=chat.tenant_id,
        location_id=chat.location_id,
        session_id=chat.id,
        version=chat.version,
        role=role,
        text=text,
        client_id=client_id,
        slots=list(slots) if slots is not None else None,
        services=[str(key) for key in services] if services is not None else None,
        created_at=now,
    )
    if message_id is not None:
        message.id = message_id
    repository.add(session, message)
    await _written(session, chat)
    return message


async def change_state(session: WriteSession, chat: ChatSession, state: ChatState, reason: Reason) -> None:
    """Give the conversation to the assistant, to a person, or to nobody any more."""
    await _next(session, chat)
    chat.turn = chat.version
    chat.state = state
    chat.answer_due_at = None
    chat.held_until = await held_until(session) if state is ChatState.HUMAN else None
    await _change(session, chat, ChangeKind.STATE, state=state, reason=reason)
    note(session, chat, "chat.state", {"state": state.value, "reason": reason.value})


async def retract(session: WriteSession, chat: ChatSession, message_id: UUID) -> None:
    """Say that the message of which words were shown while it was written is not coming."""
    await _next(session, chat)
    await _change(session, chat, ChangeKind.RETRACTION, message_id=message_id)


async def await_answer(session: WriteSession, chat: ChatSession) -> None:
    """The assistant is to answer, once nothing more has been said for a moment."""
    repository.answer_soon(chat, await assistant_repository.debounce(session))
    await _written(session, chat, answer_due=True)


async def held_until(session: WriteSession) -> datetime | None:
    """Until when a person who has just done something for a customer keeps the conversation; None: until it is released."""
    config = await tenancy_repository.messaging_config(session)
    if config is None or config.assistant_resumes_minutes is None:
        return None
    return await app_now(session) + timedelta(minutes=config.assistant_resumes_minutes)


def note(session: WriteSession, chat: ChatSession, kind: str, detail: dict[str, object] | None = None) -> None:
    """An event of the conversation's lead, if it has one."""
    if chat.lead_id is not None:
        named = {"chatSessionId": encode(Kind.CHAT_SESSION, chat.id), "channel": chat.channel, **(detail or {})}
        session.record(kind, location_id=chat.location_id, lead_id=chat.lead_id, detail=named)


async def _next(session: WriteSession, chat: ChatSession) -> datetime:
    chat.version += 1
    return await app_now(session)


async def _change(
    session: WriteSession,
    chat: ChatSession,
    kind: ChangeKind,
    *,
    state: ChatState | None = None,
    reason: Reason | None = None,
    message_id: UUID | None = None,
) -> None:
    change = ChatChange(
        tenant_id=chat.tenant_id,
        location_id=chat.location_id,
        session_id=chat.id,
        version=chat.version,
        kind=kind,
        state=state,
        reason=reason,
        message_id=message_id,
        created_at=await app_now(session),
    )
    repository.add(session, change)
    await _written(session, chat)


async def _written(session: WriteSession, chat: ChatSession, *, answer_due: bool = False) -> None:
    await session.flush()
    session.moves(chat.id, chat.version, answer_due=answer_due)
