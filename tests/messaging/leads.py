"""Leads of a stack's tenant and what was planned for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from lead_orchestrator.leads.consents import ConsentGiven
from lead_orchestrator.leads.models import Channel, Lead, LeadSource, MessageKind, ScheduledMessage
from lead_orchestrator.leads.service import Enquiry, locked
from lead_orchestrator.tenancy.sessions import WriteSession
from tests.factories import phone_number
from tests.stack import Stack

__all__ = ["AGREED", "change", "lead_row", "made_message", "make_lead", "touches", "until"]

AGREED = (ConsentGiven(Channel.SMS, True, "tests"), ConsentGiven(Channel.EMAIL, True, "tests"))


async def make_lead(stack: Stack, **fields: Any) -> Lead:
    """A lead at the first shop, due now, with both addresses and consent unless told otherwise."""
    phone = phone_number()
    values = {
        "first_name": "Ada",
        "phone": phone,
        "email": f"lead{phone[1:]}@example.com",
        "consents": AGREED,
        **fields,
    }
    location = values.pop("location_id", next(iter(stack.locations.values())))
    enquiry = Enquiry(location_id=location, source=LeadSource.API, **values)
    async with stack.services.tenancy.write(stack.scope) as session:
        return (await stack.services.leads.receive(session, enquiry)).lead


async def touches(stack: Stack, lead_id: UUID) -> list[dict[str, Any]]:
    """The lead's messages in the order they were planned."""
    statement = "SELECT * FROM scheduled_messages WHERE lead_id = :id ORDER BY enrolment, touch_number, id"
    return await stack.rows(statement, id=lead_id)


async def lead_row(stack: Stack, lead_id: UUID) -> dict[str, Any]:
    [row] = await stack.rows("SELECT * FROM leads WHERE id = :id", id=lead_id)
    return row


async def made_message(stack: Stack, lead: Lead, body: str, **fields: Any) -> UUID:
    """A reply to the lead that is due now."""
    message = ScheduledMessage(
        tenant_id=lead.tenant_id,
        location_id=lead.location_id,
        lead_id=lead.id,
        body=body,
        **{
            "kind": MessageKind.REPLY,
            "channel": Channel.SMS,
            "due_at": lead.created_at,
            "created_at": lead.created_at,
            **fields,
        },
    )
    async with stack.services.tenancy.write(stack.scope) as session:
        session.add(message)
    return message.id


async def change(stack: Stack, lead_id: UUID, work: Callable[[WriteSession, Lead], Awaitable[Any]]) -> None:
    """Do `work` on the locked lead, in a transaction of its own."""
    async with stack.services.tenancy.write(stack.scope) as session:
        await work(session, await locked(session, lead_id))


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Wait for the condition, at most so long."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in another process or in the database
            await asyncio.sleep(0.03)
