"""Who asks to be left alone is, at once and by everybody; who comes back is written to again."""

from __future__ import annotations

import asyncio
import random

import pytest
from sqlalchemy import text

from lead_orchestrator.leads.models import Channel, Lead, LeadStatus, MessageKind
from lead_orchestrator.messaging import repository
from lead_orchestrator.messaging.templates.models import TemplateVariant
from lead_orchestrator.messaging.templates.service import TemplateChange, set_template
from tests.factories import phone_number
from tests.messaging.inbound.line import Line
from tests.messaging.leads import change, lead_row, made_message, make_lead, touches, until

LOST = LeadStatus.LOST
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
    assert confirmation.startswith("Hemos cancelado" if "escriban" in body else "You are unsubscribed")
    assert "START" in confirmation


async def test_a_whole_exchange_in_spanish_is_answered_in_spanish(line: Line) -> None:
    lead = await line.lead()
    await line.stack.services.dispatcher.dispatch(line.tenant_id)

    for said in ("ayuda", "Ya no me manden mensajes", "alto", "Alta"):
        await line.says(lead.phone or "", said)

    _touch, helped, stopped, restored = line.stack.texts(lead.phone)
    assert "mensajes sobre su solicitud" in helped
    assert "Hemos cancelado los mensajes de Sun Shade Tint" in stopped
    assert "Recibe de nuevo los mensajes" in restored
    assert await opted_out(line, lead) == ("ENGAGED", ["EMAIL"])


async def test_a_franchises_own_words_confirm_its_opt_outs_and_answer_help(line: Line) -> None:
    lead = await line.lead()
    async with line.stack.services.tenancy.write(line.stack.scope) as session:
        for variant in (TemplateVariant.OPTED_OUT, TemplateVariant.OPTED_IN, TemplateVariant.HELP):
            body = f"{{shop_name}} says {variant.value}. STOP ends, START resumes."
            await set_template(session, TemplateChange(None, MessageKind.REPLY, variant, Channel.SMS, None, body))
    await line.stack.services.dispatcher.dispatch(line.tenant_id)

    for said in ("Help?", "please stop", "Unstop!"):
        await line.says(lead.phone or "", said)

    said_by_us = [text.split(" says ")[1].split(".")[0] for text in line.stack.texts(lead.phone)[1:]]
    assert said_by_us == ["HELP", "OPTED_OUT", "OPTED_IN"]
    rows = await line.stack.rows("SELECT kind, template_version FROM scheduled_messages WHERE template_version > 0")
    assert [(row["kind"], row["template_version"]) for row in rows] == [("REPLY", 1)] * 3


async def test_an_opt_out_that_could_not_be_read_for_five_minutes_is_kept_and_not_confirmed(line: Line) -> None:
    lead = await line.lead()
    await line.text(lead.phone or "", "please stop")
    await _aged(line, "UPDATE webhook_events SET received_at = received_at - interval '5 minutes'")

    await line.process()

    assert (await opted_out(line, lead))[0] == "OPTED_OUT"
    assert line.stack.texts(lead.phone) == []
    assert {row["kind"] for row in await touches(line.stack, lead.id)} == {"TOUCH"}


async def test_a_confirmation_that_could_not_be_sent_for_five_minutes_is_never_sent(line: Line) -> None:
    lead = await line.lead()
    await line.text(lead.phone or "", "please stop")
    [event] = await line.events()
    await line.stack.services.inbound.process(line.tenant_id, event["id"])
    await _aged(
        line, "UPDATE scheduled_messages SET send_before = send_before - interval '5 minutes' WHERE kind = 'REPLY'"
    )

    await line.stack.services.dispatcher.dispatch(line.tenant_id)

    [confirmation] = [row for row in await touches(line.stack, lead.id) if row["kind"] == "REPLY"]
    assert (confirmation["confirms_opt_out"], confirmation["status"]) == (True, "SUPPRESSED")
    assert "was to go out before" in confirmation["decision"]
    assert line.stack.texts(lead.phone) == []


async def test_the_carrier_is_told_to_drop_a_confirmation_after_five_minutes(line: Line) -> None:
    lead = await line.lead()

    await line.says(lead.phone or "", "please stop")

    [confirmation] = [row for row in await touches(line.stack, lead.id) if row["kind"] == "REPLY"]
    left = (confirmation["send_before"] - confirmation["created_at"]).total_seconds()
    assert len(line.stack.texts(lead.phone)) == 1
    assert 280 < left <= 300


async def test_a_wrong_number_keeps_the_persons_mails(line: Line) -> None:
    lead = await line.lead()

    await line.says(lead.phone or "", "You have the wrong number, stop texting me")

    assert await opted_out(line, lead) == ("CONTACTED", ["SMS", "WHATSAPP"])


async def test_start_brings_back_no_lead_that_it_was_not_about(line: Line) -> None:
    """The same number at two shops; one of the leads was lost meanwhile, which START does not undo."""
    phone = phone_number()
    here, there = list(line.stack.locations.values())[:2]
    lost = await line.lead(phone=phone, email=None, location_id=there)
    lead = await line.lead(phone=phone, email=None, location_id=here)
    stranger = await line.lead()
    for one in (lead, stranger):
        await line.says(one.phone or "", "STOP")
    await change(line.stack, lost.id, lambda session, own: line.stack.services.leads.set_status(session, own, LOST))

    await line.says(phone, "START")

    assert await opted_out(line, lead) == ("ENGAGED", [])
    assert await opted_out(line, lost) == ("LOST", [])
    assert await opted_out(line, stranger) == ("OPTED_OUT", ["EMAIL", "SMS", "WHATSAPP"])


async def _aged(line: Line, statement: str) -> None:
    async with line.stack.services.tenancy.write(line.stack.scope) as session:
        await session.execute(text(statement))


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

    await line.says(lead.phone or "", "HELP")  # Twilio's own word, which it answers
    await line.says(lead.phone or "", "Help?")

    [_touch, answer] = line.stack.texts(lead.phone)
    assert "Sun Shade Tint" in answer
    assert "STOP" in answer
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
