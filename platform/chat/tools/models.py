"""What a conversation remembers of the tools that were called in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import BigInteger, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from lead_orchestrator.booking.tokens import Offer
from lead_orchestrator.chat.guard.evidence import Evidence, united
from lead_orchestrator.db import Base
from lead_orchestrator.messaging.templates.defaults import Language
from lead_orchestrator.tenancy.models import Moment

__all__ = ["Bound", "Box", "Called", "ChatToolCall", "Memory"]


class ChatToolCall(Base):
    """A tool as it was called: `arguments` as far as they were understood, `result` as the model saw it, `evidence` what it allows
    to be said, `handles` what the names in it stand for. `turn` is that of the conversation it was called in."""

    __tablename__ = "chat_tool_calls"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    location_id: Mapped[UUID]
    session_id: Mapped[UUID]
    turn: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(Text)
    arguments: Mapped[dict[str, Any]] = mapped_column(JSONB)
    result: Mapped[dict[str, Any]] = mapped_column(JSONB)
    evidence: Mapped[dict[str, Any]] = mapped_column(JSONB)
    handles: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(Moment)


@dataclass(frozen=True)
class Bound:
    """For whom and where the tools work, as the server knows it: nothing that a model writes can change it.

    `lead_id` is None where nobody proved who writes; then `name` and `phone` are what was typed, if anything.
    """

    tenant_id: UUID
    location_id: UUID
    chat_id: UUID
    turn: int
    lead_id: UUID | None
    language: Language
    name: str | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)


class Box(Protocol):
    """What a tool at work is given."""

    @property
    def bound(self) -> Bound: ...
    @property
    def memory(self) -> Memory: ...
    def handle(self, kind: str, taken: Sequence[str] = ()) -> str:
        """A name for a row of ours that means nothing outside this conversation; `taken` are those just given away."""
        ...


@dataclass(frozen=True)
class Called:
    """One call: `result` is for the model."""

    turn: int
    name: str
    arguments: Mapping[str, Any]
    result: Mapping[str, Any]
    evidence: Evidence = field(default_factory=Evidence)
    handles: Mapping[str, Any] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        return "error" not in self.result


@dataclass
class Memory:
    """The calls of a conversation, oldest first."""

    calls: list[Called] = field(default_factory=list)

    @property
    def evidence(self) -> Evidence:
        return united(call.evidence for call in self.calls)

    def service(self, handle: str) -> UUID | None:
        found = self._handle(handle)
        return UUID(found["service"]) if found and "service" in found else None

    def offer(self, handle: str, location_id: UUID) -> Offer | None:
        """The time that the handle stands for."""
        found = self._handle(handle)
        if found is None or "starts_at" not in found:
            return None
        services = [UUID(service) for service in found["services"]]
        return Offer(location_id, services, datetime.fromisoformat(found["starts_at"]))

    def hold(self, handle: str) -> UUID | None:
        """The appointment by which the time is held."""
        found = self._handle(f"{handle}:hold")
        return UUID(found["hold"]) if found else None

    def names(self) -> frozenset[str]:
        """The handles that are taken."""
        return frozenset(name for call in self.calls for name in call.handles)

    def count(self, name: str) -> int:
        """How often a tool did what it was called for."""
        return sum(call.name == name and call.succeeded for call in self.calls)

    def during(self, turn: int) -> Sequence[Called]:
        return [call for call in self.calls if call.turn == turn]

    def _handle(self, name: str) -> Mapping[str, Any] | None:
        for call in reversed(self.calls):
            if name in call.handles:
                found: Mapping[str, Any] = call.handles[name]
                return found
        return None
