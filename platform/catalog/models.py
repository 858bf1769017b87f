"""What a shop sells, and when it is shut for a while."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, FetchedValue, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from lead_orchestrator.db import Base
from lead_orchestrator.tenancy.models import Moment

__all__ = ["Closure", "Service"]


class Service(Base):
    """`location_id` None is the whole tenant's; a location's row of the same name stands in its place there.

    `duration_minutes` is its category's default until `duration_is_set`. It is `active` while ShopMonkey lets it be booked
    (`bookable`; always, for one of our own) and nobody `switched_off` it here.
    """

    __tablename__ = "service_catalog"
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012 - as the library declares it; reads generated columns back

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID | None]
    shopmonkey_id: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    category: Mapped[str | None] = mapped_column(Text)
    price_cents: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text, server_default="USD")
    duration_minutes: Mapped[int]
    duration_is_set: Mapped[bool] = mapped_column(server_default="false")
    bookable: Mapped[bool] = mapped_column(server_default="true")
    switched_off: Mapped[bool] = mapped_column(server_default="false")
    active: Mapped[bool] = mapped_column(FetchedValue(), server_onupdate=FetchedValue())
    display_order: Mapped[int] = mapped_column(server_default="0")
    synced_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class Closure(Base):
    """A location is shut from `starts_at` until `ends_at`, whatever its hours say."""

    __tablename__ = "location_closures"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    starts_at: Mapped[datetime] = mapped_column(Moment)
    ends_at: Mapped[datetime] = mapped_column(Moment)
    reason: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
