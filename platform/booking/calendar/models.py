"""The calendars outside, as we know them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import LargeBinary, Text, func
from sqlalchemy.dialects.postgresql import TSTZRANGE, Range
from sqlalchemy.orm import Mapped, mapped_column

from lead_orchestrator.db import Base
from lead_orchestrator.tenancy.models import Moment

__all__ = ["SHOWN", "CalendarStatus", "GoogleCalendarEvent", "GoogleCredential", "ShopMonkeyAppointment"]


class CalendarStatus(StrEnum):
    """PENDING: a consent was asked for. ENDING: staff disconnected it, and Google is still to be told."""

    PENDING = "PENDING"
    CONNECTED = "CONNECTED"
    ERROR = "ERROR"
    DISCONNECTED = "DISCONNECTED"
    ENDING = "ENDING"


SHOWN = (CalendarStatus.CONNECTED, CalendarStatus.ERROR, CalendarStatus.DISCONNECTED)
"""The others are no connection to whoever looks."""


class GoogleCredential(Base):
    """A location's connection with Google; tokens and verifier are sealed. Times are the database's real ones.

    `generation` rises with each consent and disconnection: what was begun before them is not written any more.
    """

    __tablename__ = "google_credentials"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    location_id: Mapped[UUID] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(Text)
    generation: Mapped[int] = mapped_column(server_default="0")
    email: Mapped[str | None] = mapped_column(Text)
    refresh_token: Mapped[bytes | None] = mapped_column(LargeBinary)
    access_token: Mapped[bytes | None] = mapped_column(LargeBinary)
    access_expires_at: Mapped[datetime | None] = mapped_column(Moment)
    consent_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    consent_verifier: Mapped[bytes | None] = mapped_column(LargeBinary)
    consent_by: Mapped[str | None] = mapped_column(Text)
    sync_token: Mapped[str | None] = mapped_column(Text)
    synced_at: Mapped[datetime | None] = mapped_column(Moment)
    next_sync_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    failures: Mapped[int] = mapped_column(server_default="0")
    error: Mapped[str | None] = mapped_column(Text)
    channel_id: Mapped[str | None] = mapped_column(Text)
    channel_resource_id: Mapped[str | None] = mapped_column(Text)
    channel_expires_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class GoogleCalendarEvent(Base):
    """A time that is taken in the location's Google calendar by something that is not ours."""

    __tablename__ = "google_calendar_events"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    event_id: Mapped[str] = mapped_column(Text)
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)


class ShopMonkeyAppointment(Base):
    """An appointment that was made in ShopMonkey; a repeating one has a row for each time. ShopMonkey knows no
    bays: `bay` is one that was free here."""

    __tablename__ = "shopmonkey_appointments"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    external_id: Mapped[str] = mapped_column(Text)
    bay: Mapped[int]
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
