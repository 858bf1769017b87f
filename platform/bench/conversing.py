"""Conversations with the assistant in this process: a customer writes, and is answered at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text

from lead_orchestrator.bench.stage import Stage
from lead_orchestrator.booking.capacity import change_location, set_hours
from lead_orchestrator.chat import repository as chat_repository
from lead_orchestrator.chat.assistant.service import Done
from lead_orchestrator.chat.models import ChatSession
from lead_orchestrator.clock import app_now
from lead_orchestrator.leads.models import Channel, LeadSource
from lead_orchestrator.leads.service import Enquiry
from lead_orchestrator.services import Services
from lead_orchestrator.tenancy.hours import Open
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["Outcome", "Talk", "outcome_of", "phone", "sell"]

_AREA = 213


def phone(number: int) -> str:
    """A number nobody has."""
    return f"+1{_AREA + number // 100 % 700}55501{number % 100:02d}"


@dataclass(frozen=True)
class Talk:
    """One conversation."""

    services: Services
    tenant_id: UUID
    chat_id: UUID

    @classmethod
    async def begin(cls, services: Services, tenant_id: UUID, location_id: UUID, *, known: bool = True) -> Talk:
        """On the web; `known`: whoever writes has proved to be a lead, a new one."""
        async with services.tenancy.write(Scope.service(tenant_id, "bench")) as session:
            lead_id = None
            if known:
                number = uuid4().int % 60_000
                enquiry = Enquiry(
                    location_id=location_id,
                    source=LeadSource.WEB_CHAT,
                    first_name="Ada",
                    phone=phone(number),
                    email=f"lead{uuid4().hex[:10]}@example.com",
                )
                lead_id = (await services.leads.receive(session, enquiry)).lead.id
            chat = ChatSession(
                tenant_id=tenant_id,
                location_id=location_id,
                lead_id=lead_id,
                channel=Channel.WEB_CHAT,
                verified=known,
                created_at=await app_now(session),
            )
            chat_repository.add(session, chat)
            await session.flush()
        return cls(services, tenant_id, chat.id)

    async def write(self, words: str, *, wait: timedelta = timedelta()) -> None:
        """The customer writes; an answer is due after `wait`."""
        async with self.services.tenancy.write(Scope.service(self.tenant_id, "bench")) as session:
            await self.services.chats.receive(session, self.chat_id, words, uuid4().hex)
            chat = await chat_repository.get_for_update(session, self.chat_id)
            if chat is not None and chat.answer_due_at is not None:
                chat_repository.answer_soon(chat, wait)

    async def say(self, words: str) -> Done:
        """The customer writes, and the assistant answers."""
        await self.write(words)
        return await self.services.assistant.answer(self.tenant_id, self.chat_id)


@dataclass(frozen=True)
class Outcome:
    """What a conversation came to; `blocked` counts the answers that the guard kept back."""

    state: str
    answers: Sequence[str]
    booked: bool
    offered: bool
    opted_out: bool
    blocked: int


_OUTCOME = text("""
  SELECT s.state,
    ARRAY(SELECT m.text FROM chat_messages m WHERE m.session_id = s.id AND m.role = 'ASSISTANT' ORDER BY m.version) AS answers,
    EXISTS (SELECT FROM chat_tool_calls c, jsonb_each(c.handles) h JOIN appointments a ON a.id::text = h.value->>'appointment'
      WHERE c.session_id = s.id AND a.status = 'CONFIRMED') AS booked,
    EXISTS (SELECT FROM chat_messages m WHERE m.session_id = s.id AND m.slots IS NOT NULL) AS offered,
    coalesce((SELECT cardinality(l.opted_out) > 0 FROM leads l WHERE l.id = s.lead_id), false) AS opted_out,
    (SELECT count(*) FROM chat_changes c WHERE c.session_id = s.id AND c.reason = 'GUARD') AS blocked
  FROM chat_sessions s WHERE s.id = :chat""")


async def outcome_of(services: Services, tenant_id: UUID, chat_id: UUID) -> Outcome:
    """What came of a conversation so far."""
    async with services.tenancy.read(Scope.service(tenant_id, "bench")) as session:
        row = (await session.execute(_OUTCOME, {"chat": chat_id})).mappings().one()
    return Outcome(**row)


async def sell(stage: Stage, *, bays: int) -> None:
    """The stage's shop has the sandbox's catalog and so many bays, and is open from 9 to 18 every day."""
    scope = Scope.service(stage.tenant_id, "bench")
    await stage.services.catalog.sync(scope, stage.location_id)
    async with stage.services.tenancy.write(scope) as session:
        await change_location(session, stage.location_id, {"bays": bays})
        await set_hours(session, stage.location_id, [Open(day, time(9), time(18)) for day in range(7)])
