"""What ends a lead's touches and the claim of its next one run at once, over connections of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from lead_orchestrator.chat.models import ChatSession, ChatState
from lead_orchestrator.leads.models import Channel, Lead, LeadStatus
from lead_orchestrator.leads.service import Leads, locked_person
from lead_orchestrator.messaging.ledger import DispatchPolicy
from lead_orchestrator.tenancy.sessions import WriteSession
from tests.messaging.leads import make_lead
from tests.stack import Stack

LEADS = 4 * DispatchPolicy().batch  # more than two dispatchers claim at once
Ending = Callable[[Leads, WriteSession, Lead], Awaitable[Any]]


async def opt_out(leads: Leads, session: WriteSession, lead: Lead) -> None:
    await leads.opt_out(session, lead, None, "Asked us to stop")


async def book(leads: Leads, session: WriteSession, lead: Lead) -> None:
    await leads.move(session, lead, LeadStatus.BOOKED, "Booked")


async def take_over(_leads: Leads, session: WriteSession, lead: Lead) -> None:
    chat = {"tenant_id": lead.tenant_id, "location_id": lead.location_id, "lead_id": lead.id}
    session.add(
        ChatSession(**chat, channel=Channel.SMS, state=ChatState.HUMAN, verified=True, created_at=lead.created_at)
    )


@pytest.mark.parametrize("ending", [opt_out, book, take_over])
async def test_nothing_is_claimed_once_it_has_ended(stack: Stack, ending: Ending) -> None:
    """A claim that begins after the lead's lock was taken for the ending must find it ended: its intent tells when it began."""
    leads = [await make_lead(stack) for _ in range(LEADS)]

    async def end(lead: Lead) -> tuple[UUID, datetime]:
        async with stack.services.tenancy.write(stack.scope) as session:
            held = await locked_person(session, lead.id)
            ended_at: datetime = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
            await ending(stack.services.leads, session, held)
        return lead.id, ended_at

    async def send() -> None:
        while (await stack.services.dispatcher.dispatch(stack.tenant_id)).claimed:
            pass

    async def end_all(mine: Sequence[Lead]) -> list[tuple[UUID, datetime]]:
        return [await end(lead) for lead in mine]

    # Claims take the oldest first, the endings come from the other side: they meet.
    backwards = leads[::-1]
    first, second, *_ = await asyncio.gather(end_all(backwards[::2]), end_all(backwards[1::2]), send(), send())
    await send()

    moments = dict(first + second)
    attempts = await stack.rows("SELECT lead_id, started_at FROM message_logs WHERE direction = 'OUTBOUND'")
    assert [row for row in attempts if row["started_at"] > moments[row["lead_id"]]] == []
    assert len({row["lead_id"] for row in attempts}) == len(attempts) == len(stack.world.messages)
    assert 0 < len(attempts) < LEADS, "one side won every race: nothing was tried"
