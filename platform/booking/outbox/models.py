"""What other systems have to be told about an appointment, written in the transaction that changed it.

There is one row for each appointment and system. It does not hold the change: whoever works it off reads the appointment as it
is then and brings the other side in line, so changes that come close together are told once. `version` rises with each
change; a row is DONE only if its version is still the one that was read (see `repository.settle`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from lead_orchestrator.db import Base
from lead_orchestrator.tenancy.models import Location, Moment

__all__ = ["OutboxEntry", "OutboxKind", "OutboxStatus", "destinations"]


class OutboxKind(StrEnum):
    """Which system, and what of it is to match the appointment."""

    SHOPMONKEY_APPOINTMENT = "SHOPMONKEY_APPOINTMENT"
    GOOGLE_EVENT = "GOOGLE_EVENT"


class OutboxStatus(StrEnum):
    PENDING = "PENDING"
    DONE = "DONE"
    FAILED = "FAILED"


class OutboxEntry(Base):
    """`payload` holds the other system's id and the times for which a create may have gone out; times are the database's real ones."""

    __tablename__ = "outbox"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    appointment_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(server_default="1")
    payload: Mapped[dict[str, object]] = mapped_column(JSONB, server_default="{}")
    status: Mapped[str] = mapped_column(Text, server_default="PENDING")
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    lease_until: Mapped[datetime | None] = mapped_column(Moment)
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


def destinations(location: Location) -> Collection[OutboxKind]:
    """The systems in which this location's appointments stand too."""
    crm = [OutboxKind.SHOPMONKEY_APPOINTMENT] if location.shopmonkey_location_id else []
    return [*crm, OutboxKind.GOOGLE_EVENT] if location.calendar_connected else crm
