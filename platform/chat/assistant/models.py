"""What a franchise sets about its assistant, and what the assistant has used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, LargeBinary, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from lead_orchestrator.db import Base
from lead_orchestrator.integrations.openai.models import Account
from lead_orchestrator.tenancy.models import Moment

__all__ = [
    "DEBOUNCE_MS",
    "LEAD_TOKENS_A_DAY",
    "TOKENS_A_MONTH",
    "AssistantConfig",
    "AssistantDay",
    "AssistantMonth",
    "AssistantPrompt",
    "Setup",
]


TOKENS_A_MONTH = 2_000_000
"""What a franchise's assistant may use, unless an administrator sets another budget."""
LEAD_TOKENS_A_DAY, DEBOUNCE_MS = 60_000, 1_000
"""What a franchise has that sets nothing; the table's own defaults are the same."""


class AssistantConfig(Base):
    """A franchise without a row has the defaults; None is the installation's setting. The key is sealed. `prompt_version` 0 is the
    built-in prompt alone. `debounce_ms`: how long a burst of messages is waited out."""

    __tablename__ = "tenant_assistant_configs"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    enabled: Mapped[bool] = mapped_column(server_default="true")
    model: Mapped[str | None] = mapped_column(Text)
    base_url: Mapped[str | None] = mapped_column(Text)
    api_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    debounce_ms: Mapped[int] = mapped_column(server_default="1000")
    lead_tokens_a_day: Mapped[int] = mapped_column(server_default="60000")
    prompt_version: Mapped[int] = mapped_column(server_default="0")
    updated_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class AssistantPrompt(Base):
    """A version of a franchise's own instructions; it is never changed."""

    __tablename__ = "assistant_prompts"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    instructions: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class AssistantDay(Base):
    """What one conversation used on one day in UTC."""

    __tablename__ = "assistant_days"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    session_id: Mapped[UUID]
    day: Mapped[date]
    calls: Mapped[int] = mapped_column(server_default="0")
    tokens: Mapped[int] = mapped_column(BigInteger, server_default="0")


class AssistantMonth(Base):
    """What a franchise used in one month in UTC; `month` is its first day."""

    __tablename__ = "assistant_months"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    month: Mapped[date]
    calls: Mapped[int] = mapped_column(server_default="0")
    tokens: Mapped[int] = mapped_column(BigInteger, server_default="0")


@dataclass(frozen=True)
class Setup:
    """How a franchise's assistant works; without an `account` it has no model, and rules answer."""

    enabled: bool
    account: Account | None
    prompt_version: int
    instructions: str
    lead_tokens_a_day: int
    tokens_a_month: int
