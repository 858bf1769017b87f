"""A franchise's own templates: a location's stand in the place of the tenant's, and those in the place of the built-in text."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Text, func
from sqlalchemy.orm import Mapped, mapped_column

from lead_orchestrator.db import Base
from lead_orchestrator.tenancy.models import Moment

__all__ = ["MessageTemplate", "TemplateVariant"]


class TemplateVariant(StrEnum):
    """What a template is for within its kind."""

    STANDARD = "STANDARD"
    RESCHEDULED = "RESCHEDULED"
    CANCELLED = "CANCELLED"
    OPTED_OUT = "OPTED_OUT"
    OPTED_IN = "OPTED_IN"
    HELP = "HELP"


class MessageTemplate(Base):
    """One version of a template, never changed; the highest one is in force. `location_id` None is the whole tenant's."""

    __tablename__ = "message_templates"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID | None]
    kind: Mapped[str] = mapped_column(Text)
    variant: Mapped[str] = mapped_column(Text)
    channel: Mapped[str] = mapped_column(Text)
    version: Mapped[int]
    subject: Mapped[str | None] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
