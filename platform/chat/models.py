"""Conversations: web chat, SMS and WhatsApp alike."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, FetchedValue, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from lead_orchestrator.db import Base
from lead_orchestrator.tenancy.models import Moment

__all__ = ["ChatMessage", "ChatRole", "ChatSession", "ChatState"]


class ChatState(StrEnum):
    ASSISTANT = "ASSISTANT"
    HUMAN = "HUMAN"
    CLOSED = "CLOSED"


class ChatRole(StrEnum):
    USER = "USER"
    ASSISTANT = "ASSISTANT"
    SYSTEM = "SYSTEM"
    STAFF = "STAFF"


class ChatSession(Base):
    """`version` is that of its newest message; `unread` counts the customer's messages that no staff has seen. `active_at` is
    the time of the newest message or, before there is one, of its beginning."""

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
