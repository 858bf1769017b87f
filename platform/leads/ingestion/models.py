"""The durable inbox."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from lead_orchestrator.db import Base
from lead_orchestrator.tenancy.models import Moment

__all__ = ["MESSAGING", "SHOPMONKEY", "EventSource", "EventStatus", "WebhookEvent"]


class EventStatus(StrEnum):
    RECEIVED = "RECEIVED"
    PROCESSED = "PROCESSED"
    IGNORED = "IGNORED"
    FAILED = "FAILED"


class EventSource(StrEnum):
    WEBHOOK = "shopmonkey"
    POLL = "shopmonkey_poll"
    REPLAY = "shopmonkey_replay"
    TWILIO = "twilio"
    WHATSAPP = "whatsapp"
    SENDGRID = "sendgrid"


SHOPMONKEY = (EventSource.WEBHOOK, EventSource.POLL, EventSource.REPLAY)
MESSAGING = (EventSource.TWILIO, EventSource.WHATSAPP, EventSource.SENDGRID)


class WebhookEvent(Base):
    """A change somebody told us of. `change_key` names the change, once a tenant.

    Of ShopMonkey ids only, since the truth is fetched. What cannot be fetched, a person's message, is in `payload` until it
    was processed.
    """

    __tablename__ = "webhook_events"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    source: Mapped[str] = mapped_column(Text)
    delivery_id: Mapped[str] = mapped_column(Text)
    change_key: Mapped[str] = mapped_column(Text)
    operation: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str] = mapped_column(Text)
    external_location_id: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="RECEIVED")
    received_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    processed_at: Mapped[datetime | None] = mapped_column(Moment)
    next_attempt_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    attempts: Mapped[int] = mapped_column(server_default="0")
    outcome: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    payload: Mapped[dict[str, object] | None] = mapped_column(JSONB(none_as_null=True))
