from __future__ import annotations

import asyncio
from datetime import time, timedelta
from uuid import UUID

from lead_orchestrator.leads.models import Channel, Lead, LeadSource
from lead_orchestrator.leads.service import ConsentGiven, Enquiry
from tests.factories import phone_number
from tests.stack import Stack

AGREED = (ConsentGiven(Channel.SMS, True, "tests"), ConsentGiven(Channel.EMAIL, True, "tests"))


async def make_lead(stack: Stack, **fields: object) -> Lead:
    values: dict[str, object] = {
        "first_name": "Ada",
        "phone": phone_number(),
        "email": "ada@example.com",
        "consents": AGREED,
    }
    values.update(fields)
    location = next(iter(stack.locations.values()))
    enquiry = Enquiry(location_id=location, source=LeadSource.API, **values)  # type: ignore[arg-type]  # fields vary by test
    async with stack.services.tenancy.write(stack.scope) as session:
        return (await stack.services.leads.receive(session, enquiry)).lead


async def touches(stack: Stack, lead_id: UUID) -> list[dict[str, object]]:
    return await stack.rows("SELECT * FROM scheduled_messages WHERE lead_id = :id ORDER BY touch_number", id=lead_id)


async def test_a_due_touch_is_sent_once_and_the_next_one_planned(stack: Stack) -> None:
    lead = await make_lead(stack)

    await stack.services.dispatcher.dispatch(stack.tenant_id)
    await stack.services.dispatcher.dispatch(stack.tenant_id)

    assert len(stack.texts(lead.phone)) == 1
    first, second = await touches(stack, lead.id)
    assert (first["status"], first["attempt"], second["status"], second["touch_number"]) == ("SENT", 1, "SCHEDULED", 2)
    assert "within 09:00-20:00 in America/Los_Angeles" in str(first["decision"])
    [row] = await stack.rows("SELECT status, touches_sent FROM leads WHERE id = :id", id=lead.id)
    assert (row["status"], row["touches_sent"]) == ("CONTACTED", 1)


async def test_at_night_a_touch_waits_for_the_morning(stack: Stack) -> None:
    night = await stack.local_time(time(23))
    lead = await make_lead(stack)

    await stack.services.dispatcher.dispatch(stack.tenant_id)

    assert stack.texts() == []
    [first] = await touches(stack, lead.id)
    due = first["due_at"]
    assert first["status"] == "SCHEDULED"
    assert due == (night + timedelta(days=1)).replace(hour=9, minute=0, second=0, microsecond=0)
    assert "outside the contact hours" in str(first["decision"])


async def test_a_dropped_reply_is_asked_about_and_never_sent_twice(stack: Stack) -> None:
    lead = await make_lead(stack)
    await stack.fault("twilio", "accept_then_drop", count=1)

    await stack.services.dispatcher.dispatch(stack.tenant_id)
    [first] = await touches(stack, lead.id)
    assert first["status"] == "UNKNOWN"
    await until_resolved(stack, lead.id)

    assert len(stack.texts(lead.phone)) == 1
    first = (await touches(stack, lead.id))[0]
    assert (first["status"], first["attempt"]) == ("SENT", 1)
    assert first["provider_message_id"]


async def until_resolved(stack: Stack, lead_id: UUID) -> None:
    async with asyncio.timeout(15):
        while (await touches(stack, lead_id))[0]["status"] in {"UNKNOWN", "SENDING", "SCHEDULED"}:
            await stack.services.resolver.resolve(stack.tenant_id)
            await stack.services.dispatcher.dispatch(stack.tenant_id)
            await asyncio.sleep(0.1)
