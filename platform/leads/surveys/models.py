"""The surveys of a location in all their versions; `locations.survey` has the one in force."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from lead_orchestrator.db import Base
from lead_orchestrator.tenancy.models import Moment

__all__ = ["SurveyVersion"]


class SurveyVersion(Base):
    """A survey as it was asked; a new one is another row."""

    __tablename__ = "surveys"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    version: Mapped[int]
    definition: Mapped[dict[str, object]] = mapped_column(JSONB)
    set_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
