"""Conversations: web chat, SMS and WhatsApp alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, FetchedValue, LargeBinary, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from lead_orchestrator.db import Base
from lead_orchestrator.tenancy.models import Moment

__all__ = ["ChangeKind", "ChatChange", "ChatMessage", "ChatRole", "ChatSession", "ChatState", "Reason", "Spoken"]


class ChatState(StrEnum):
    ASSISTANT = "ASSISTANT"
    HUMAN = "HUMAN"
    CLOSED = "CLOSED"


class ChatRole(StrEnum):
    USER = "USER"
    ASSISTANT = "ASSISTANT"
    SYSTEM = "SYSTEM"
    STAFF = "STAFF"


class Reason(StrEnum):
    """Why a conversation went over to somebody else: the first five give it to a person, who was asked for, or is needed."""

    ASKED = "ASKED"
    GUARD = "GUARD"
    FAILURE = "FAILURE"
    BUDGET = "BUDGET"
    ANGER = "ANGER"
    TAKEN = "TAKEN"
    RELEASED = "RELEASED"
    SILENCE = "SILENCE"
    CLOSED = "CLOSED"


class ChangeKind(StrEnum):
    STATE = "STATE"
    RETRACTION = "RETRACTION"


class ChatSession(Base):
    """`version` is that of its newest entry, a message or a change, and is raised under the row's lock; `turn` is the version of
    the newest entry that an answer has to take into account, which a retraction is not.

    `unread` counts the customer's messages that no staff has seen, `visitor_unread` what the customer has not. `active_at` is the
    time of the newest message or, before there is one, of its beginning. `answer_due_at` (real time): the assistant is to answer
    then, and has tried `answer_attempts` times. `held_until` (the product's time): a person has it for so long; None in state
    HUMAN is until it is released. `verified`: whoever writes is the lead, by a provider's word, a signed link or a texted code;
    else `visitor_…` is only what was typed, and nothing of the lead may be shown. `visitor_nonce` is the random part of the
    secret by which the visitor's token is renewed; without one it cannot be.
    """

    __tablename__ = "chat_sessions"
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012 - as the library declares it; reads generated columns back

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    lead_id: Mapped[UUID | None]
    channel: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, default=ChatState.ASSISTANT)
    assigned_to: Mapped[UUID | None]
    version: Mapped[int] = mapped_column(BigInteger, default=0)
    unread: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(Moment)
    last_message_at: Mapped[datetime | None] = mapped_column(Moment)
    active_at: Mapped[datetime] = mapped_column(Moment, FetchedValue(), server_onupdate=FetchedValue())
    turn: Mapped[int] = mapped_column(BigInteger, default=0)
    answer_due_at: Mapped[datetime | None] = mapped_column(Moment)
    answer_attempts: Mapped[int] = mapped_column(default=0)
    held_until: Mapped[datetime | None] = mapped_column(Moment)
    visitor_unread: Mapped[int] = mapped_column(default=0)
    language: Mapped[str] = mapped_column(Text, default="en")
    verified: Mapped[bool] = mapped_column(default=False)
    visitor_name: Mapped[str | None] = mapped_column(Text)
    visitor_phone: Mapped[str | None] = mapped_column(Text)
    visitor_email: Mapped[str | None] = mapped_column(Text)
    visitor_consents: Mapped[list[dict[str, object]] | None] = mapped_column(JSONB(none_as_null=True))
    visitor_nonce: Mapped[bytes | None] = mapped_column(LargeBinary)
    code_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    code_expires_at: Mapped[datetime | None] = mapped_column(Moment)
    code_attempts: Mapped[int] = mapped_column(default=0)
    codes_sent: Mapped[int] = mapped_column(default=0)


class ChatMessage(Base):
    """`version` orders a session's messages. `slots` ({startsAt, endsAt, localStart, token}) and `services` (keys of the
    catalog as text) are what the message offers."""

    __tablename__ = "chat_messages"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    session_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(BigInteger)
    role: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    client_id: Mapped[str | None] = mapped_column(Text)
    slots: Mapped[list[dict[str, object]] | None] = mapped_column(JSONB(none_as_null=True))
    services: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(Moment)


@dataclass(frozen=True)
class Spoken:
    """A message as an answer takes it into account."""

    version: int
    role: ChatRole
    text: str = field(repr=False)


class ChatChange(Base):
    """What happened to a conversation besides its messages, in the same order of versions: a new state, or that a message is
    not coming of which words were shown while it was written (`message_id`)."""

    __tablename__ = "chat_changes"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    session_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(Text)
    state: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    message_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(Moment)
