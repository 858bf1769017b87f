"""Appointments: who comes when, into which bay, for what."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, FetchedValue, LargeBinary, Text, func
from sqlalchemy.dialects.postgresql import TSTZRANGE, Range
from sqlalchemy.orm import Mapped, mapped_column

from lead_orchestrator.db import Base
from lead_orchestrator.tenancy.models import Moment

__all__ = ["Appointment", "AppointmentService", "AppointmentStatus", "Bay"]


class AppointmentStatus(StrEnum):
    HELD = "HELD"
    CONFIRMED = "CONFIRMED"
    CANCELLED = "CANCELLED"
    COMPLETED = "COMPLETED"
    NO_SHOW = "NO_SHOW"


class Bay(Base):
    """A place where one car is worked on; the database numbers them as `locations.bays` says."""

    __tablename__ = "bays"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    number: Mapped[int]


class Appointment(Base):
    """`during` begins with its first instant and ends before its last; no two held or confirmed ones share a bay. The customer's link
    carries `manage_nonce`: another one makes the link void. `sequence` rises with each change that calendars are told of."""

    __tablename__ = "appointments"
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012 - as the library declares it; reads generated columns back

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    lead_id: Mapped[UUID | None]
    bay: Mapped[int]
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    starts_at: Mapped[datetime] = mapped_column(Moment, FetchedValue(), server_onupdate=FetchedValue())
    ends_at: Mapped[datetime] = mapped_column(Moment, FetchedValue(), server_onupdate=FetchedValue())
    status: Mapped[str] = mapped_column(Text)
    hold_expires_at: Mapped[datetime | None] = mapped_column(Moment)
    notes: Mapped[str | None] = mapped_column(Text)
    total_cents: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text, server_default="USD")
    cancel_reason: Mapped[str | None] = mapped_column(Text)
    manage_nonce: Mapped[bytes | None] = mapped_column(LargeBinary)
    shopmonkey_appointment_id: Mapped[str | None] = mapped_column(Text)
    sync_status: Mapped[str] = mapped_column(Text, server_default="NOT_NEEDED")
    sync_error: Mapped[str | None] = mapped_column(Text)
    sequence: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = mapped_column(Moment)


class AppointmentService(Base):
    """One of an appointment's services, with the name, price and duration it was booked at."""

    __tablename__ = "appointment_services"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    appointment_id: Mapped[UUID]
    service_id: Mapped[UUID]
    position: Mapped[int]
    name: Mapped[str] = mapped_column(Text)
    price_cents: Mapped[int | None] = mapped_column(BigInteger)
    duration_minutes: Mapped[int]
