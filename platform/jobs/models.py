"""What the worker did, per tenant."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, func
from sqlalchemy.orm import Mapped, mapped_column

from lead_orchestrator.db import Base
from lead_orchestrator.tenancy.models import Moment

__all__ = ["JobExecution"]


class JobExecution(Base):
    """One run of a job; `processed` counts what it changed."""

    __tablename__ = "job_executions"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    job: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column(Moment)
    finished_at: Mapped[datetime | None] = mapped_column(Moment)
    status: Mapped[str] = mapped_column(Text)
    processed: Mapped[int]
    error: Mapped[str | None] = mapped_column(Text)
