"""What a customer's text does, from Twilio's webhook to the lead."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from sqlalchemy import text

from lead_orchestrator.leads.ingestion import repository as inbox
from lead_orchestrator.leads.models import LeadStatus
from lead_orchestrator.services import open_services
from tests.factories import phone_number
from tests.messaging.inbound.line import NUMBER, Line
from tests.messaging.leads import change, lead_row, touches, until


async def test_an_answer_engages_the_lead_ends_its_touches_and_opens_a_conversation(line: Line) -> None:
    lead = await line.lead()

    sid = await line.text(lead.phone or "", "Yes, that works for me 🚗")
    before = await lead_row(line.stack, lead.id)
    await line.process()

    row = await lead_row(line.stack, lead.id)
    assert (before["status"], row["status"]) == ("CONTACTED", "ENGAGED")
    assert [touch["status"] for touch in await touches(line.stack, lead.id)] == ["CANCELLED"]
    [log] = await line.stack.rows("SELECT * FROM message_logs WHERE direction = 'INBOUND'")
    assert (log["lead_id"], log["channel"], log["body"]) == (lead.id, "SMS", "Yes, that works for me 🚗")
    assert (log["address"], log["sender"], log["provider_message_id"]) == (lead.phone, NUMBER, sid)
    [chat] = await line.stack.rows("SELECT * FROM chat_sessions")
    assert (chat["lead_id"], chat["channel"], chat["state"]) == (lead.id, "SMS", "ASSISTANT")
    assert (chat["version"], chat["unread"]) == (1, 1)
    [event] = await line.stack.rows("SELECT * FROM lead_events WHERE kind = 'message.received'")
    assert event["detail"] == {"messageId": f"log_{log['id']}", "channel": "SMS", "chatSessionId": f"chat_{chat['id']}"}


async def test_what_follows_goes_on_with_the_conversation_until_it_is_closed(line: Line) -> None:
    lead = await line.lead()

    for body in ("Hello", "Are you there", "Well"):
        await line.says(lead.phone or "", body)
    async with line.stack.services.tenancy.write(line.stack.scope) as session:
        await session.execute(text("UPDATE chat_sessions SET state = 'CLOSED'"))
    await line.says(lead.phone or "", "Hello again")

    messages = await line.stack.rows(
        "SELECT s.state, m.version, m.role, m.text FROM chat_messages m JOIN chat_sessions s ON s.id = m.session_id"
        " ORDER BY s.created_at, m.version"
    )
    assert [(m["state"], m["version"], m["text"]) for m in messages] == [
        ("CLOSED", 1, "Hello"),
        ("CLOSED", 2, "Are you there"),
        ("CLOSED", 3, "Well"),
        ("ASSISTANT", 1, "Hello again"),
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("How much for a Civic?", "HOT"),
        ("is it like $300?", "HOT"),
        ("Do you have something on Tuesday", "HOT"),
        ("¿Cuánto cuesta?", "HOT"),
        ("Thanks, got it", "ENGAGED"),
        ("My wife has the car", "ENGAGED"),
    ],
)
async def test_who_asks_for_a_price_or_a_time_is_hot(line: Line, body: str, status: str) -> None:
    lead = await line.lead()

    await line.says(lead.phone or "", body)

    assert (await lead_row(line.stack, lead.id))["status"] == status


async def test_the_newest_open_lead_of_the_number_is_meant(line: Line) -> None:
    phone = phone_number()
    places = list(line.stack.locations.values())
    older = await line.lead(phone=phone, email=None, location_id=places[0])
    newer = await line.lead(phone=phone, email=None, location_id=places[1])
    leads = line.stack.services.leads

    await line.says(phone, "Hello")
    first = (await lead_row(line.stack, older.id))["status"], (await lead_row(line.stack, newer.id))["status"]
    await change(line.stack, newer.id, lambda session, own: leads.move(session, own, LeadStatus.WON, "tests"))
    await line.says(phone, "Hello")

    assert first == ("CONTACTED", "ENGAGED")
    assert (await lead_row(line.stack, older.id))["status"] == "ENGAGED"


async def test_a_text_stored_before_a_crash_is_applied_once_by_whoever_comes_next(line: Line) -> None:
    lead = await line.lead()
    await line.text(lead.phone or "", "Hello")
    [event] = await line.events()
    assert (event["status"], event["payload"]["told"]["text"]) == ("RECEIVED", "Hello")

    # the process that stored it dies; others start, all at once
    async with open_services(line.stack.settings) as other:
        every = [line.stack.services.inbound, other.inbound] * 5
        results = await asyncio.gather(*(inbound.sweep(line.tenant_id) for inbound in every))
        again = await other.inbound.process(line.tenant_id, event["id"])

    assert sum(map(len, results)) == 1
    assert again is None
    [event] = await line.events()
    assert (event["status"], event["outcome"], event["payload"]) == ("PROCESSED", "answered", None)
    assert len(await line.stack.rows("SELECT id FROM message_logs WHERE direction = 'INBOUND'")) == 1
    assert len(await line.stack.rows("SELECT id FROM chat_messages")) == 1


async def test_an_event_that_trips_us_is_undone_whole_and_tried_again(line: Line) -> None:
    lead = await line.lead()
    await line.text(lead.phone or "", "Hello")
    [event] = await line.events()
    async with line.stack.services.tenancy.write(line.stack.scope) as session:
        broken = {"told": {**event["payload"]["told"], "channel": "PIGEON"}, "location": None}
        await session.execute(
            text("UPDATE webhook_events SET payload = cast(:payload AS jsonb)"), {"payload": json.dumps(broken)}
        )

    applied = await line.stack.services.inbound.process(line.tenant_id, event["id"])

    assert applied is not None
    assert (applied.status, applied.outcome) == ("RECEIVED", "unexpected: ValueError")
    [waits] = await line.events()
    assert (waits["status"], waits["attempts"], waits["payload"] is not None) == ("RECEIVED", 1, True)
    assert waits["next_attempt_at"] > event["next_attempt_at"]
    assert await line.stack.rows("SELECT id FROM message_logs WHERE direction = 'INBOUND'") == []


async def test_the_same_text_told_ten_times_is_one(line: Line) -> None:
    lead = await line.lead()

    await asyncio.gather(*(line.text(lead.phone or "", "Hello", sid="SM" + "7" * 32) for _ in range(10)))
    await line.process()

    assert len(await line.events()) == 1
    assert len(await line.stack.rows("SELECT id FROM chat_messages")) == 1


async def test_a_stranger_becomes_a_lead_without_getting_the_touches(line: Line) -> None:
    phone = phone_number()

    await line.says(phone, "Do you tint windows?")

    [lead] = await line.stack.rows("SELECT * FROM leads")
    assert (lead["phone"], lead["status"], lead["source"]) == (phone, "ENGAGED", "WEB_CHAT")
    assert {touch["status"] for touch in await touches(line.stack, lead["id"])} == {"CANCELLED"}
    assert line.stack.texts(phone) == []
    assert len(await line.stack.rows("SELECT id FROM chat_messages")) == 1


async def test_two_texts_of_one_stranger_at_once_make_one_lead(line: Line) -> None:
    phone = phone_number()
    for number in range(6):
        await line.text(phone, f"Hello {number}")
    events = [event["id"] for event in await line.events()]

    await asyncio.gather(*(line.stack.services.inbound.process(line.tenant_id, event) for event in events))

    [lead] = await line.stack.rows("SELECT * FROM leads")
    assert lead["status"] == "ENGAGED"
    [chat] = await line.stack.rows("SELECT * FROM chat_sessions")
    assert (chat["version"], chat["unread"]) == (6, 6)


async def test_nothing_of_a_stranger_is_kept_where_the_franchise_does_not_want_them(line: Line) -> None:
    async with line.stack.services.tenancy.write(line.stack.scope) as session:
        await session.execute(text("UPDATE tenant_messaging_configs SET strangers_become_leads = false"))

    await line.says(phone_number(), "Do you tint windows?")

    [event] = await line.events()
    assert (event["status"], event["outcome"], event["payload"]) == ("IGNORED", "from nobody we know", None)
    assert await line.stack.rows("SELECT id FROM leads") == []
    assert await line.stack.rows("SELECT id FROM message_logs") == []


async def test_the_text_of_a_number_that_is_nobodys_is_answered_and_not_stored(line: Line) -> None:
    await line.text(phone_number(), "Hello", to="+13105550177")

    assert await line.events() == []


async def test_a_number_of_the_messaging_services_pool_finds_its_franchise(line: Line) -> None:
    lead = await line.lead()
    async with line.stack.services.tenancy.platform() as session:
        await session.execute(
            text("INSERT INTO routes (kind, key, tenant_id) VALUES ('twilio_service', 'MG1', :id)"),
            {"id": line.tenant_id},
        )

    await line.says(lead.phone or "", "Hello", to="+13105550177", MessagingServiceSid="MG1")

    assert (await lead_row(line.stack, lead.id))["status"] == "ENGAGED"


async def test_a_reply_typed_on_the_customers_phone_arrives_through_the_sandbox(line: Line) -> None:
    lead = await line.lead()

    body = {"to": NUMBER, "body": "Hello from my phone"}
    answer = await line.stack.http.post(f"{line.stack.sandbox.url}/phones/{lead.phone}/texts", json=body)
    answer.raise_for_status()
    await until(line.heard)
    await line.process()

    assert (await lead_row(line.stack, lead.id))["status"] == "ENGAGED"


async def test_what_could_never_be_applied_is_forgotten_after_two_weeks(line: Line) -> None:
    for body in ("Old", "New", "Waiting"):
        await line.text(phone_number(), body)
    old, new, _ = [event["id"] for event in await line.events()]
    async with line.stack.services.tenancy.write(line.stack.scope) as session:
        failed = text(
            "UPDATE webhook_events SET status = 'FAILED', received_at = now() - cast(:age AS interval) WHERE id = :id"
        )
        await session.execute(failed, {"id": old, "age": timedelta(days=15)})
        await session.execute(failed, {"id": new, "age": timedelta(days=13)})

        forgotten = await inbox.forget_payloads(session, timedelta(days=14))

    assert forgotten == 1
    assert {event["id"] for event in await line.events() if event["payload"] is None} == {old}
