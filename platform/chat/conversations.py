"""Conversations on all channels: what customers, staff and the assistant say, and in which order.

A conversation has a version, which every entry raises under the conversation's lock, and a turn: the version of the newest entry
that an answer has to take into account. Whoever writes an answer takes a `Snapshot`, works without a transaction, and
`post_answer`s: it is posted only where the turn is still the snapshot's and the assistant still has the conversation, in one
transaction. A second answer to the same turn is superseded like any other, so a job that runs twice answers once.

When the assistant is to answer, `chat_sessions.answer_due_at` says so in Postgres (`lookups.due_answers()` names the tenants), and
`Tenancy.on_chats` is told after the commit (`Moved.answer_due`). What is said on SMS, WhatsApp or by mail also goes out through the
send gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from lead_orchestrator.chat import repository
from lead_orchestrator.chat.entries import (
    add_message,
    await_answer,
    change_state,
    held_until,
    locked_chat,
    note,
    retract,
)
from lead_orchestrator.chat.models import ChatMessage, ChatRole, ChatSession, ChatState, Reason, Spoken
from lead_orchestrator.clock import app_now
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads.models import Channel, Lead
from lead_orchestrator.leads.service import Leads
from lead_orchestrator.messaging.inbound.answered import customer_answered
from lead_orchestrator.messaging.replies import reply
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Scope, WriteSession
from lead_orchestrator.touches.wording import LONGEST_BODY

__all__ = ["LONGEST_TEXT", "MOST_REMEMBERED", "Answer", "Chats", "Conversations", "Snapshot", "staff_user"]

LONGEST_TEXT = 2_000
LONGEST_CLIENT_ID = 100
MOST_REMEMBERED = 60
"""Messages that an answer takes into account."""
_USER = f"{Kind.USER.value}_"


@dataclass(frozen=True)
class Snapshot:
    """A conversation as an answer takes it into account; `messages` are the newest, in the order they were written.

    `lead_id` is None unless whoever writes is proven to be that lead: what was typed as `visitor_name` and `visitor_phone`
    (SMS has neither) is no proof, and shows nothing of a lead.
    """

    chat_id: UUID
    location_id: UUID
    channel: Channel
    state: ChatState
    version: int
    turn: int
    lead_id: UUID | None
    language: str
    answer_attempts: int
    messages: Sequence[Spoken]
    visitor_name: str | None = field(repr=False, default=None)
    visitor_phone: str | None = field(repr=False, default=None)

    @classmethod
    def of(cls, chat: ChatSession, messages: Sequence[Spoken]) -> Self:
        return cls(
            chat_id=chat.id,
            location_id=chat.location_id,
            channel=Channel(chat.channel),
            state=ChatState(chat.state),
            version=chat.version,
            turn=chat.turn,
            lead_id=chat.lead_id if chat.verified else None,
            language=chat.language,
            answer_attempts=chat.answer_attempts,
            messages=messages,
            visitor_name=chat.visitor_name,
            visitor_phone=chat.visitor_phone,
        )

    @property
    def awaits_answer(self) -> bool:
        """The assistant has it, and the customer said something last."""
        return self.state is ChatState.ASSISTANT and bool(self.messages) and self.messages[-1].role == ChatRole.USER


@dataclass(frozen=True)
class Answer:
    """What the assistant says. `slots` as a message stores them ({startsAt, endsAt, localStart, token}), `services` by their keys.

    `message_id` is that under which its words were shown while it was written: the message takes it, or it is retracted.
    """

    text: str
    slots: Sequence[dict[str, object]] | None = None
    services: Sequence[UUID] | None = None
    message_id: UUID | None = None


class Conversations:
    """What reaches a conversation by text, WhatsApp and mail, and what staff sends there. Of a lead and a channel one is open."""

    async def hear(
        self, session: WriteSession, lead: Lead, channel: Channel, text: str, client_id: str, *, answerable: bool = True
    ) -> UUID:
        """Add a message of the locked lead to its conversation on `channel`, or begin one; returns the conversation's id.

        `client_id` is the provider's id of the message. One that is not `answerable` has its answer already.
        """
        chat = await repository.open_session_of(session, lead.id, channel)
        if chat is None:
            chat = await _begin(session, lead, channel)
        await _resume_after_silence(session, chat)
        await add_message(session, chat, ChatRole.USER, text, client_id=client_id)
        if answerable and channel is not Channel.EMAIL and channel not in lead.opted_out:
            await _call_assistant(session, chat)
        return chat.id

    async def say(self, session: WriteSession, lead: Lead, channel: Channel, text: str, client_id: str) -> bool:
        """Add what staff writes to the locked lead to its open conversation on `channel`, which it takes over; False where
        there is none."""
        chat = await repository.open_session_of(session, lead.id, channel)
        if chat is None:
            return False
        await _by_person(session, chat)
        await add_message(session, chat, ChatRole.STAFF, text, client_id=client_id)
        return True


class Chats:
    """What customers, staff and the assistant write into conversations that are named by their id."""

    def __init__(self, leads: Leads, secrets: SecretBox) -> None:
        self._leads = leads
        self._secrets = secrets

    async def receive(self, session: WriteSession, chat_id: UUID, text: str, client_id: str) -> ChatMessage:
        """Add what a visitor writes, once for each `client_id`: a second time answers the message of the first.

        A verified lead has answered by it: its touches end.

        Raises:
            BadInputError: the text or the client id will not do; CHAT_CLOSED; CLIENT_ID_REUSED.
            NotFoundError: there is no such conversation in this scope.
        """
        _check(text, client_id, LONGEST_TEXT)
        chat, lead = await locked_chat(session, chat_id)
        if (known := await _known(session, chat, ChatRole.USER, text, client_id)) is not None:
            return known
        _check_open(chat)
        await _resume_after_silence(session, chat)
        message = await add_message(session, chat, ChatRole.USER, text, client_id=client_id)
        await _call_assistant(session, chat)
        if lead is not None:
            note(session, chat, "chat.received")
            if chat.verified:
                lead.last_activity_at = await app_now(session)
                await customer_answered(session, self._leads, lead, text)
        return message

    async def write(self, session: WriteSession, chat_id: UUID, text: str, client_id: str) -> ChatMessage:
        """Add what staff writes, once for each `client_id`, and take the conversation over; it reaches the customer on the
        conversation's channel.

        Raises: as `receive`.
        """
        chat, lead = await locked_chat(session, chat_id)
        channel = Channel(chat.channel)
        _check(text, client_id, LONGEST_BODY.get(channel, LONGEST_TEXT))
        if (known := await _known(session, chat, ChatRole.STAFF, text, client_id)) is not None:
            return known
        _check_open(chat)
        await _by_person(session, chat)
        message = await add_message(session, chat, ChatRole.STAFF, text, client_id=client_id)
        await self.send(session, chat, lead, text)
        session.audit("chat.written", target=encode(Kind.CHAT_MESSAGE, message.id))
        return message

    async def post_answer(self, session: WriteSession, snapshot: Snapshot, answer: Answer) -> ChatMessage | None:
        """Add the assistant's answer to what `snapshot` shows; None where it is superseded: something was said or done since, or
        somebody else has the conversation.

        Nothing is said then; words that were shown of it are retracted. On SMS, WhatsApp and mail it goes out through the gate.

        Raises:
            NotFoundError: there is no such conversation in this scope.
        """
        chat, lead = await locked_chat(session, snapshot.chat_id)
        if chat.turn != snapshot.turn or chat.state != ChatState.ASSISTANT:
            if answer.message_id is not None:
                await retract(session, chat, answer.message_id)
            return None
        message = await add_message(
            session,
            chat,
            ChatRole.ASSISTANT,
            answer.text,
            message_id=answer.message_id,
            slots=answer.slots,
            services=answer.services,
        )
        chat.answer_due_at = None
        await self.send(session, chat, lead, answer.text)
        return message

    async def retract(self, session: WriteSession, chat_id: UUID, message_id: UUID) -> None:
        """Say that a message of which words were shown is not coming: the guard blocked it, or the model failed."""
        chat, _ = await locked_chat(session, chat_id)
        await retract(session, chat, message_id)

    async def mark_read(self, session: WriteSession, chat_id: UUID, *, by_visitor: bool) -> ChatSession:
        """Staff, or the visitor, has seen everything up to now.

        Raises:
            NotFoundError: there is no such conversation in this scope.
        """
        chat, _ = await locked_chat(session, chat_id)
        if by_visitor:
            chat.visitor_unread = 0
        else:
            chat.unread = 0
        return chat

    async def send(self, session: WriteSession, chat: ChatSession, lead: Lead | None, text: str) -> None:
        """What was said in a locked conversation, sent on its channel where that is not the web."""
        channel = Channel(chat.channel)
        if channel is not Channel.WEB_CHAT and lead is not None:
            await reply(session, lead, channel, text, self._secrets)


async def _begin(session: WriteSession, lead: Lead, channel: Channel) -> ChatSession:
    chat = ChatSession(
        tenant_id=lead.tenant_id,
        location_id=lead.location_id,
        lead_id=lead.id,
        channel=channel,
        state=ChatState.ASSISTANT,
        version=0,
        turn=0,
        unread=0,
        visitor_unread=0,
        verified=True,  # the provider says who wrote
        created_at=await app_now(session),
    )
    repository.add(session, chat)
    await session.flush()
    return chat


async def _resume_after_silence(session: WriteSession, chat: ChatSession) -> None:
    """A person who has said nothing for so long has left it to the assistant."""
    if chat.state != ChatState.HUMAN or chat.held_until is None or chat.held_until > await app_now(session):
        return
    chat.assigned_to = None
    await change_state(session, chat, ChatState.ASSISTANT, Reason.SILENCE)


async def _call_assistant(session: WriteSession, chat: ChatSession) -> None:
    if chat.state == ChatState.ASSISTANT:
        await await_answer(session, chat)


async def _by_person(session: WriteSession, chat: ChatSession) -> None:
    """Somebody of staff does something in it: it is theirs, and they have seen it."""
    if chat.state != ChatState.HUMAN:
        await change_state(session, chat, ChatState.HUMAN, Reason.TAKEN)
    chat.assigned_to = chat.assigned_to or staff_user(session.scope)
    chat.held_until = await held_until(session)
    chat.unread = 0


def staff_user(scope: Scope) -> UUID | None:
    """The user in whose name a session is; None for a service."""
    if not scope.subject.startswith(_USER):
        return None
    try:
        return UUID(scope.subject.removeprefix(_USER))
    except ValueError:
        return None


async def _known(
    session: WriteSession, chat: ChatSession, role: ChatRole, text: str, client_id: str
) -> ChatMessage | None:
    known = await repository.by_client_id(session, chat.id, client_id)
    if known is not None and (known.role, known.text) != (role, text):
        message = "this clientId came with another message before: send a new one for each message"
        raise BadInputError(message, code="CLIENT_ID_REUSED", field=("clientId",))
    return known


def _check(text: str, client_id: str, longest: int) -> None:
    if not text.strip():
        raise BadInputError("text is empty: write something", field=("text",))
    if len(text) > longest:
        raise BadInputError(f"text has {len(text)} characters: send {longest} at most", field=("text",))
    if not client_id.strip() or len(client_id) > LONGEST_CLIENT_ID:
        message = f"clientId has {len(client_id)} characters: send 1 to {LONGEST_CLIENT_ID}, another for each message"
        raise BadInputError(message, field=("clientId",))


def _check_open(chat: ChatSession) -> None:
    if chat.state == ChatState.CLOSED:
        message = f"the conversation {encode(Kind.CHAT_SESSION, chat.id)} is closed: start a new one"
        raise BadInputError(message, code="CHAT_CLOSED", field=("sessionId",))
