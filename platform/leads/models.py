"""A lead is a person at a location; what it was sent, is owed and has agreed to hangs from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from uuid import UUID

from sqlalchemy import LargeBinary, Text, func
from sqlalchemy.dialects.postgresql import INET, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from lead_orchestrator.db import Base
from lead_orchestrator.tenancy.models import Moment, Texts

__all__ = [
    "Channel",
    "Consent",
    "Lead",
    "LeadEvent",
    "LeadOrder",
    "LeadSource",
    "LeadStatus",
    "MessageKind",
    "MessageStatus",
    "OptOut",
    "ScheduledMessage",
]


class Channel(StrEnum):
    SMS = "SMS"
    EMAIL = "EMAIL"
    WHATSAPP = "WHATSAPP"
    WEB_CHAT = "WEB_CHAT"


class LeadStatus(StrEnum):
    NEW = "NEW"
    CONTACTED = "CONTACTED"
    ENGAGED = "ENGAGED"
    HOT = "HOT"
    BOOKED = "BOOKED"
    WON = "WON"
    LOST = "LOST"
    OPTED_OUT = "OPTED_OUT"


class LeadSource(StrEnum):
    SHOPMONKEY_WEBHOOK = "SHOPMONKEY_WEBHOOK"
    SHOPMONKEY_POLL = "SHOPMONKEY_POLL"
    SURVEY = "SURVEY"
    WEB_CHAT = "WEB_CHAT"
    API = "API"


class MessageKind(StrEnum):
    TOUCH = "TOUCH"
    REMINDER = "REMINDER"
    WELCOME = "WELCOME"
    CONFIRMATION = "CONFIRMATION"
    REPLY = "REPLY"
    AD_HOC = "AD_HOC"


class MessageStatus(StrEnum):
    SCHEDULED = "SCHEDULED"
    SENDING = "SENDING"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    UNDELIVERED = "UNDELIVERED"
    SUPPRESSED = "SUPPRESSED"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"


class Lead(Base):
    """`enrolment` counts how often the person entered the 13 touches; `opted_out` and `consented` list channels.

    `whatsapp_user_id` is how WhatsApp names a person who hides the number. For reports: bit n of `touched` is set once
    touch n went out; `answered_after` and `booked_after` are the number of the last touch before the first answer and the
    first booking (0: before any), None while there is none.
    """

    __tablename__ = "leads"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    first_name: Mapped[str | None] = mapped_column(Text)
    last_name: Mapped[str | None] = mapped_column(Text)
    email: Mapped[str | None] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(Text)
    whatsapp_user_id: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, default=LeadStatus.NEW)
    source: Mapped[str] = mapped_column(Text)
    enrolment: Mapped[int] = mapped_column(default=1)
    enrolled_at: Mapped[datetime] = mapped_column(Moment)
    touches_sent: Mapped[int] = mapped_column(default=0)
    touches_paused: Mapped[bool] = mapped_column(default=False)
    opted_out: Mapped[list[str]] = mapped_column(Texts, default=list)
    consented: Mapped[list[str]] = mapped_column(Texts, default=list)
    time_zone: Mapped[str | None] = mapped_column(Text)
    postal_code: Mapped[str | None] = mapped_column(Text)
    vehicle: Mapped[dict[str, object] | None] = mapped_column(JSONB(none_as_null=True))
    survey: Mapped[dict[str, object] | None] = mapped_column(JSONB(none_as_null=True))
    external_order_id: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
    last_activity_at: Mapped[datetime] = mapped_column(Moment)
    first_contacted_at: Mapped[datetime | None] = mapped_column(Moment)
    touched: Mapped[int] = mapped_column(default=0)
    answered_after: Mapped[int | None]
    booked_after: Mapped[int | None]

    @property
    def addresses(self) -> Mapping[Channel, str | None]:
        """Where the person is reached on each channel; None where it cannot be."""
        whatsapp = self.phone or self.whatsapp_user_id
        return {Channel.SMS: self.phone, Channel.WHATSAPP: whatsapp, Channel.EMAIL: self.email}

    @property
    def last_touch(self) -> int:
        """The highest number of a touch that went out in any enrolment; 0 before the first."""
        return max(self.touched.bit_length() - 1, 0)

    @property
    def name(self) -> str:
        """First and last name as far as known, else empty."""
        return " ".join(part for part in (self.first_name, self.last_name) if part)


class LeadOrder(Base):
    """An order of the CRM that belongs to a lead; `version` is the change we last applied."""

    __tablename__ = "lead_orders"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    lead_id: Mapped[UUID]
    order_id: Mapped[str] = mapped_column(Text)
    enrolment: Mapped[int]
    state: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[datetime] = mapped_column(Moment)


class LeadEvent(Base):
    """What happened to a lead, in the order of commits; `position` is the cursor."""

    __tablename__ = "lead_events"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    location_id: Mapped[UUID]
    lead_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Moment)
    detail: Mapped[dict[str, object] | None] = mapped_column(JSONB(none_as_null=True))


class Consent(Base):
    """One line of the consent ledger; lines are added, never changed."""

    __tablename__ = "consents"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    lead_id: Mapped[UUID]
    channel: Mapped[str] = mapped_column(Text)
    granted: Mapped[bool]
    source: Mapped[str] = mapped_column(Text)
    wording: Mapped[str | None] = mapped_column(Text)
    ip: Mapped[IPv4Address | IPv6Address | None] = mapped_column(INET)
    at: Mapped[datetime] = mapped_column(Moment)


class OptOut(Base):
    """An address that must not be written to on a channel: a keyed hash, so that it outlives the lead's erasure.

    `erased_at`: nothing else is held of what the person asked before.
    """

    __tablename__ = "opt_outs"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    channel: Mapped[str] = mapped_column(Text)
    address_hash: Mapped[bytes] = mapped_column(LargeBinary)
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Moment)
    erased_at: Mapped[datetime | None] = mapped_column(Moment)


class ScheduledMessage(Base):
    """Everything that is to be sent; `decision` says in words why it was sent, deferred or suppressed.

    `confirms_opt_out`: it tells a person who opted out that nothing more will come, and goes out nevertheless, once and never
    after `send_before`; of other messages that is when the contact hours of the last attempt end. After `void_after` no message
    goes out, whatever it is.
    `reference` is the name by which whoever planned it replaces or cancels it. `template_version` 0 is the built-in text;
    None: it was not made from a template of its kind. `retries` counts how often staff had it tried again.
    """

    __tablename__ = "scheduled_messages"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    lead_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(Text)
    channel: Mapped[str] = mapped_column(Text)
    enrolment: Mapped[int] = mapped_column(default=1)
    touch_number: Mapped[int | None]
    subject: Mapped[str | None] = mapped_column(Text)
    body: Mapped[str | None] = mapped_column(Text)
    due_at: Mapped[datetime] = mapped_column(Moment)
    status: Mapped[str] = mapped_column(Text, default=MessageStatus.SCHEDULED)
    decision: Mapped[str | None] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(default=0)
    resends: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None] = mapped_column(Moment)
    send_before: Mapped[datetime | None] = mapped_column(Moment)
    confirms_opt_out: Mapped[bool] = mapped_column(default=False)
    void_after: Mapped[datetime | None] = mapped_column(Moment)
    invite: Mapped[dict[str, object] | None] = mapped_column(JSONB(none_as_null=True))
    sent_at: Mapped[datetime | None] = mapped_column(Moment)
    delivered_at: Mapped[datetime | None] = mapped_column(Moment)
    provider_message_id: Mapped[str | None] = mapped_column(Text)
    error_code: Mapped[str | None] = mapped_column(Text)
    segments: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(Moment)
    reference: Mapped[str | None] = mapped_column(Text)
    template_id: Mapped[UUID | None]
    template_version: Mapped[int | None]
    retries: Mapped[int] = mapped_column(default=0)

    @property
    def leads_on(self) -> bool:
        """Whether the next touch waits for what becomes of this one; a touch that is tried again has its follower."""
        return self.kind == MessageKind.TOUCH and not self.retries
