"""Tenants, their locations, their settings and their people."""

from __future__ import annotations

from datetime import datetime, time
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, LargeBinary, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from lead_orchestrator.db import Base

__all__ = [
    "CrmConfig",
    "Location",
    "LocationHours",
    "MessagingConfig",
    "Tenant",
    "UnroutedWebhook",
    "User",
]

Moment = TIMESTAMP(timezone=True)
Texts = ARRAY(Text)


class Tenant(Base):
    """A franchise. A limit that is None is the one of all franchises; `messages_per_day` None is no limit."""

    __tablename__ = "tenants"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    name: Mapped[str] = mapped_column(Text)
    slug: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="ACTIVE")
    status_changed_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    demo_mode: Mapped[bool] = mapped_column(server_default="true")
    demo_allowlist: Mapped[list[str]] = mapped_column(Texts, server_default="{}")
    assistant_token_budget: Mapped[int | None]
    requests_per_minute: Mapped[int | None]
    messages_per_day: Mapped[int | None]
    webhook_retention_days: Mapped[int | None]
    conversation_retention_days: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class Location(Base):
    """A shop; `timezone` is an IANA name.

    `calendar_connected`: appointments are owed to its Google calendar. `crm_calendar_at` is when its appointments in
    ShopMonkey were read last, `crm_calendar_next` when they are to be read again.
    """

    __tablename__ = "locations"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    name: Mapped[str] = mapped_column(Text)
    slug: Mapped[str] = mapped_column(Text)
    shopmonkey_location_id: Mapped[str | None] = mapped_column(Text)
    timezone: Mapped[str] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)
    bays: Mapped[int] = mapped_column(server_default="1")
    buffer_minutes: Mapped[int] = mapped_column(server_default="0")
    lead_time_minutes: Mapped[int] = mapped_column(server_default="120")
    horizon_days: Mapped[int] = mapped_column(server_default="60")
    allowed_origins: Mapped[list[str]] = mapped_column(Texts, server_default="{}")
    survey: Mapped[dict[str, object] | None] = mapped_column(JSONB)
    calendar_connected: Mapped[bool] = mapped_column(server_default="false")
    crm_calendar_at: Mapped[datetime | None] = mapped_column(Moment)
    crm_calendar_next: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class LocationHours(Base):
    """One stretch of opening hours; day 0 is Sunday, several rows a day are allowed."""

    __tablename__ = "location_hours"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    day_of_week: Mapped[int]
    opens_at: Mapped[time]
    closes_at: Mapped[time]


class CrmConfig(Base):
    """The tenant's ShopMonkey account; secrets are sealed."""

    __tablename__ = "tenant_crm_configs"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    api_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    webhook_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_webhook_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_secret_valid_until: Mapped[datetime | None] = mapped_column(Moment)
    lead_workflow_status_ids: Mapped[list[str]] = mapped_column(
        Texts, server_default="{619813fb2c9c3e8ce527be48,65fb14d76ee665db4d8d2ce0}"
    )
    lead_name_prefix: Mapped[str] = mapped_column(Text, server_default="New Quote")
    next_poll_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    poll_failures: Mapped[int] = mapped_column(server_default="0")
    polled_until: Mapped[datetime | None] = mapped_column(Moment)
    last_error: Mapped[str | None] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class MessagingConfig(Base):
    """The tenant's messaging accounts and rules; secrets are sealed, quiet hours are local wall time.

    `strangers_become_leads`: somebody unknown who writes to the franchise is a lead. `assistant_resumes_minutes`: after so long
    without a word from the person who has a conversation the assistant answers in it again; None is never.
    `strangers_become_leads`: somebody unknown who writes to the franchise is a lead. `…_checked_at` is when the service was
    asked last whether account and sender are the franchise's, and said yes.
    """

    __tablename__ = "tenant_messaging_configs"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    twilio_account_sid: Mapped[str | None] = mapped_column(Text)
    twilio_auth_token: Mapped[bytes | None] = mapped_column(LargeBinary)
    twilio_phone_number: Mapped[str | None] = mapped_column(Text)
    twilio_messaging_service_sid: Mapped[str | None] = mapped_column(Text)
    sendgrid_api_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    sendgrid_from_email: Mapped[str | None] = mapped_column(Text)
    sendgrid_from_name: Mapped[str | None] = mapped_column(Text)
    sendgrid_event_public_key: Mapped[str | None] = mapped_column(Text)
    whatsapp_phone_number_id: Mapped[str | None] = mapped_column(Text)
    whatsapp_access_token: Mapped[bytes | None] = mapped_column(LargeBinary)
    quiet_hours_start: Mapped[time] = mapped_column(server_default="20:00")
    quiet_hours_end: Mapped[time] = mapped_column(server_default="09:00")
    instant_replies: Mapped[bool] = mapped_column(server_default="false")
    daily_cap: Mapped[int] = mapped_column(server_default="3")
    weekly_cap: Mapped[int] = mapped_column(server_default="10")
    skip_holidays: Mapped[bool] = mapped_column(server_default="false")
    sms_refused: Mapped[str | None] = mapped_column(Text)
    email_refused: Mapped[str | None] = mapped_column(Text)
    whatsapp_refused: Mapped[str | None] = mapped_column(Text)
    strangers_become_leads: Mapped[bool] = mapped_column(server_default="true")
    assistant_resumes_minutes: Mapped[int | None] = mapped_column(server_default="720")
    sms_checked_at: Mapped[datetime | None] = mapped_column(Moment)
    email_checked_at: Mapped[datetime | None] = mapped_column(Moment)
    whatsapp_checked_at: Mapped[datetime | None] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class User(Base):
    """A person of the franchise; `location_ids` None means every location.

    `generation` is that of the tokens that count; `totp_secret` is sealed, and counts once it is confirmed.
    """

    __tablename__ = "users"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    email: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    location_ids: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid))
    password_hash: Mapped[str | None] = mapped_column(Text)
    totp_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_confirmed_at: Mapped[datetime | None] = mapped_column(Moment)
    totp_last_step: Mapped[int | None] = mapped_column(BigInteger)
    recovery_hashes: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary), server_default="{}")
    active: Mapped[bool] = mapped_column(server_default="true")
    generation: Mapped[int] = mapped_column(server_default="1")
    generation_raised_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class UnroutedWebhook(Base):
    """An event of a location that no tenant has claimed yet: ids only."""

    __tablename__ = "unrouted_webhooks"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    source: Mapped[str] = mapped_column(Text)
    route_key: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str] = mapped_column(Text)
    operation: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    attempts: Mapped[int] = mapped_column(server_default="1")
    replayed_at: Mapped[datetime | None] = mapped_column(Moment)
