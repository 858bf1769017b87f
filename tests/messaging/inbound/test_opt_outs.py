"""Who asks to be left alone is, at once and by everybody; who comes back is written to again."""

from __future__ import annotations

import asyncio
import random

import pytest
from sqlalchemy import text

from lead_orchestrator.leads.models import Lead
from lead_orchestrator.messaging import repository
from tests.factories import phone_number
from tests.messaging.inbound.line import Line
from tests.messaging.leads import lead_row, made_message, make_lead, touches, until

TWILIO_SAYS_IT = ["STOP", "stop", " Unsubscribe ", "OPTOUT", "Cancel", "quit"]
WE_SAY_IT = ["please stop texting me", "no me escriban más", "STOP!!! Leave me alone", "take me off your list"]


async def opted_out(line: Line, lead: Lead) -> tuple[str, list[str]]:
    row = await lead_row(line.stack, lead.id)
    return row["status"], row["opted_out"]


@pytest.mark.parametrize("body", TWILIO_SAYS_IT)
async def test_a_keyword_stops_everything_and_twilio_alone_confirms_it(line: Line, body: str) -> None:
    lead = await line.lead()

    await line.says(lead.phone or "", body)
    await line.stack.services.dispatcher.dispatch(line.tenant_id)

    assert await opted_out(line, lead) == ("OPTED_OUT", ["EMAIL", "SMS", "WHATSAPP"])
    assert [touch["status"] for touch in await touches(line.stack, lead.id)] == ["CANCELLED"]
    assert line.stack.texts(lead.phone) == []


@pytest.mark.parametrize("body", WE_SAY_IT)
async def test_plain_words_stop_everything_and_are_confirmed_once(line: Line, body: str) -> None:
    lead = await line.lead()

    await line.says(lead.phone or "", body)
    await line.says(lead.phone or "", body)
    await line.says(lead.phone or "", "I said stop texting me")

    assert await opted_out(line, lead) == ("OPTED_OUT", ["EMAIL", "SMS", "WHATSAPP"])
    [confirmation] = line.stack.texts(lead.phone)
    assert "no more messages" in confirmation
    assert "START" in confirmation


async def test_what_twilio_has_answered_is_not_answered_again(line: Line) -> None:
    lead = await line.lead()

    await line.says(lead.phone or "", "Basta ya", OptOutType="STOP")
    stopped = await opted_out(line, lead)
    await line.says(lead.phone or "", "Info please", OptOutType="HELP")
    await line.says(lead.phone or "", "Otra vez", OptOutType="START")

    assert stopped[0] == "OPTED_OUT"
    assert await opted_out(line, lead) == ("ENGAGED", ["EMAIL"])
    assert line.stack.texts(lead.phone) == []


async def test_an_opt_out_is_everybodys_of_that_number(line: Line) -> None:
    phone = phone_number()
    places = list(line.stack.locations.values())
    leads = [await line.lead(phone=phone, email=None, location_id=place) for place in places[:2]]

    await line.says(phone, "STOP")

    assert [await opted_out(line, lead) for lead in leads] == [("OPTED_OUT", ["SMS", "WHATSAPP"])] * 2


async def test_start_brings_back_what_that_number_had_stopped(line: Line) -> None:
    lead = await line.lead()
    await line.says(lead.phone or "", "STOP")

    await line.says(lead.phone or "", "START")
    await made_message(line.stack, lead, "Welcome back, how can we help?")
    await line.stack.services.dispatcher.dispatch(line.tenant_id)

    assert await opted_out(line, lead) == ("ENGAGED", ["EMAIL"])
    assert line.stack.texts(lead.phone) == ["Welcome back, how can we help?"]


async def test_yes_is_an_answer_of_somebody_who_never_stopped(line: Line) -> None:
    lead = await line.lead()

    await line.says(lead.phone or "", "Yes")

    assert await opted_out(line, lead) == ("ENGAGED", [])
    assert line.stack.texts(lead.phone) == []


async def test_who_opted_out_and_writes_again_is_read_but_not_written_to(line: Line) -> None:
    lead = await line.lead()
    await line.says(lead.phone or "", "STOP")

    await line.says(lead.phone or "", "How much was it again?")
    await made_message(line.stack, lead, "It was $300")
    await line.stack.services.dispatcher.dispatch(line.tenant_id)

    assert (await opted_out(line, lead))[0] == "OPTED_OUT"
    assert line.stack.texts(lead.phone) == []
    [chat] = await line.stack.rows("SELECT * FROM chat_sessions")
    assert chat["unread"] == 2


async def test_help_says_who_writes_and_ends_nothing(line: Line) -> None:
    lead = await line.lead()
    await line.stack.services.dispatcher.dispatch(line.tenant_id)

    await line.says(lead.phone or "", "HELP")

    [_touch, answer] = line.stack.texts(lead.phone)
    assert "Sun Shade Tint" in answer
    assert "1 Example Street" in answer
    assert (await lead_row(line.stack, lead.id))["status"] == "CONTACTED"
    assert "CANCELLED" not in {touch["status"] for touch in await touches(line.stack, lead.id)}


async def test_a_stranger_who_says_stop_is_never_written_to(line: Line) -> None:
    phone = phone_number()

    await line.says(phone, "Stop texting me")
    known = await line.stack.rows("SELECT id FROM leads")
    lead = await make_lead(line.stack, phone=phone, email=None)
    await line.stack.services.dispatcher.dispatch(line.tenant_id)

    assert known == []
    assert await opted_out(line, lead) == ("OPTED_OUT", ["SMS", "WHATSAPP"])
    assert line.stack.texts(phone) == []


async def test_an_opt_out_waits_for_the_claim_it_races_and_then_nothing_is_sent_any_more(line: Line) -> None:
    lead = await make_lead(line.stack)
    await line.text(lead.phone or "", "STOP")
    [event] = await line.events()
    tenancy = line.stack.services.tenancy

    async with tenancy.write(line.stack.scope) as session:
        [due] = await repository.claim_due(session, 10)
        racing = asyncio.create_task(line.stack.services.inbound.process(line.tenant_id, event["id"]))
        await _is_waiting(line)
        assert due.lead.opted_out == []
    await racing
    sent = await line.stack.services.dispatcher.dispatch(line.tenant_id)

    assert (await opted_out(line, lead))[0] == "OPTED_OUT"
    assert sent.claimed == 0
    assert line.stack.texts(lead.phone) == []


async def test_after_an_opt_out_is_committed_no_call_begins(line: Line) -> None:
    """Thirty leads whose first text is due and who say stop at that very moment."""
    chance = random.Random(7)  # noqa: S311 - the same pauses in every run
    services = line.stack.services
    leads = [await make_lead(line.stack, email=None) for _ in range(30)]
    for lead in leads:
        await line.text(lead.phone or "", "STOP")
    events = [event["id"] for event in await line.events()]
    chance.shuffle(events)

    async def stops() -> None:
        for event in events:
            await services.inbound.process(line.tenant_id, event)

    async def sends() -> None:
        for _ in range(12):
            await services.dispatcher.dispatch(line.tenant_id)

    await asyncio.gather(stops(), sends(), sends())
    await sends()

    late = await line.stack.rows(
        "SELECT m.id FROM message_logs m JOIN opt_outs o ON o.tenant_id = m.tenant_id AND o.channel = 'SMS'"
        " JOIN webhook_events e ON e.outcome = 'opted out' AND e.processed_at < m.started_at"
        " JOIN message_logs i ON i.provider_message_id = e.external_id AND i.lead_id = m.lead_id"
        " WHERE m.direction = 'OUTBOUND' LIMIT 1"
    )
    assert late == []
    assert {(await opted_out(line, lead))[0] for lead in leads} == {"OPTED_OUT"}
    assert {len(line.stack.texts(lead.phone)) for lead in leads} <= {0, 1}
    assert {row["status"] for row in await line.stack.rows("SELECT status FROM scheduled_messages")} <= {
        "SENT",
        "CANCELLED",
        "SUPPRESSED",
    }


async def _is_waiting(line: Line) -> None:
    """Until somebody waits for a lock in this test's database."""
    waiting = text(
        "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
        " WHERE NOT l.granted AND a.datname = current_database()"
    )

    async def there() -> bool:
        async with line.stack.services.tenancy.engines.app.connect() as connection:
            return bool(await connection.scalar(waiting))

    await until(there)
