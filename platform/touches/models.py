"""A tenant's own touches: a location's stand in the place of the tenant's, and those in the place of the default."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Text, func
from sqlalchemy.orm import Mapped, mapped_column

from lead_orchestrator.db import Base

__all__ = ["TouchTemplate"]


class TouchTemplate(Base):
    """`location_id` None is the whole tenant's; all rows of one schedule have its `version`."""

    __tablename__ = "touch_templates"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID | None]
    number: Mapped[int]
    day: Mapped[int]
    channel: Mapped[str] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    whatsapp_template: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(server_default="1")
