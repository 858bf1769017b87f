from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from structlog.testing import capture_logs

from lead_orchestrator.chat.models import ChatSession, ChatState
from lead_orchestrator.db import database_url
from lead_orchestrator.leads.models import Channel, Lead, LeadStatus
from lead_orchestrator.leads.service import Leads, locked
from lead_orchestrator.messaging.ledger import DispatchPolicy
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.messaging.reference import reference
from lead_orchestrator.tenancy.sessions import WriteSession
from tests.database import Cluster, TestDatabase
from tests.factories import phone_number
from tests.holding import holding
from tests.messaging.leads import change, lead_row, made_message, make_lead, touches, until
from tests.stack import Stack, open_stack
from tests.waiting import until_elapsed

BATCH, SHARE = DispatchPolicy().batch, DispatchPolicy().share
Ending = Callable[[Leads, WriteSession, Lead], Awaitable[Any]]

LOS_ANGELES = ZoneInfo("America/Los_Angeles")


async def dispatch(stack: Stack) -> dict[str, int]:
    return dict((await stack.services.dispatcher.dispatch(stack.tenant_id)).outcomes)


async def set_tenant(stack: Stack, change: str) -> None:
    """Change the tenant's settings as the platform's administrators do."""
    engine = create_async_engine(database_url(stack.database.admin_url))
    async with engine.begin() as connection:
        await connection.execute(text(change), {"tenant": stack.tenant_id})
    await engine.dispose()


async def product_now(stack: Stack) -> datetime:
    [row] = await stack.rows("SELECT app_now() AS now")
    now: datetime = row["now"]
    return now


async def test_a_due_touch_is_sent_once_and_the_next_one_planned(stack: Stack) -> None:
    lead = await make_lead(stack)

    await dispatch(stack)
    await dispatch(stack)

    assert len(stack.texts(lead.phone)) == 1
    first, second = await touches(stack, lead.id)
    assert (first["status"], first["attempt"], second["status"], second["touch_number"]) == ("SENT", 1, "SCHEDULED", 2)
    assert "within 09:00-20:00 in America/Los_Angeles" in str(first["decision"])
    row = await lead_row(stack, lead.id)
    assert (row["status"], row["touches_sent"], row["touched"]) == ("CONTACTED", 1, 0b10)


async def test_at_night_a_touch_waits_for_the_morning(stack: Stack) -> None:
    night = await stack.local_time(time(23))
    lead = await make_lead(stack)

    assert await dispatch(stack) == {"DEFERRED": 1}

    assert stack.texts() == []
    [first] = await touches(stack, lead.id)
    assert first["status"] == "SCHEDULED"
    assert first["due_at"] == (night + timedelta(days=1)).replace(hour=9, minute=0, second=0, microsecond=0)
    assert "outside the contact hours" in str(first["decision"])


async def test_what_is_known_of_the_customers_place_decides_the_zone(stack: Stack) -> None:
    await stack.local_time(time(18))
    nobodys = "+15555550123"
    stated = await make_lead(stack, time_zone="America/New_York", postal_code="90015")
    living = await make_lead(stack, postal_code="10001")
    calling = await make_lead(stack, time_zone="Mars/Olympus")
    unknown = await make_lead(stack, phone=nobodys)

    assert await dispatch(stack) == {"DEFERRED": 2, "SENT": 2}

    decisions = [(await touches(stack, lead.id))[0]["decision"] for lead in (stated, living, calling, unknown)]
    assert "in America/New_York (the customer's zone)" in decisions[0]
    assert "in America/New_York (by the postal code)" in decisions[1]
    assert "in America/Los_Angeles (by the area code)" in decisions[2]
    assert "in America/Los_Angeles (the shop's zone)" in decisions[3]


async def test_a_states_hours_hold_where_they_are_narrower_than_the_franchises(stack: Stack) -> None:
    evening = await stack.local_time(time(18, 30))
    await make_lead(stack, phone="+14015550123", time_zone="America/Los_Angeles")  # a number of Rhode Island

    assert await dispatch(stack) == {"DEFERRED": 1}

    [row] = await stack.rows("SELECT due_at, decision FROM scheduled_messages")
    opens = {5: 10, 4: 10}.get(evening.weekday(), 9)  # tomorrow is Saturday or Sunday: 10:00
    assert row["due_at"] == (evening + timedelta(days=1)).replace(hour=opens, minute=0, second=0, microsecond=0)
    assert "law of RI" in row["decision"]


async def test_contact_hours_that_are_none_do_not_stop_everything(stack: Stack) -> None:
    await set_tenant(
        stack,
        "UPDATE tenant_messaging_configs SET quiet_hours_start = '08:00', quiet_hours_end = '21:00' WHERE tenant_id = :tenant",
    )
    lead = await make_lead(stack)

    assert await dispatch(stack) == {"SENT": 1}

    assert "within 09:00-20:00" in (await touches(stack, lead.id))[0]["decision"]


async def test_a_lead_without_a_number_is_mailed_with_text_html_and_one_click_unsubscribe(stack: Stack) -> None:
    lead = await make_lead(
        stack, phone=None, first_name="Ada <b>", vehicle={"year": 2021, "make": "Honda", "model": "Fit"}
    )

    await dispatch(stack)

    [mail] = [message for message in stack.world.messages if message.to == lead.email]
    assert mail.subject == "Your quote from Sun Shade Tint Los Angeles"
    assert "your 2021 Honda Fit" in mail.body
    assert "Hi Ada <b>," in mail.body
    assert mail.html is not None
    assert "Hi Ada &lt;b&gt;," in mail.html
    link = mail.headers["List-Unsubscribe"].strip("<>")
    assert link == stack.services.links.unsubscribe(lead.tenant_id, lead.id)
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"Unsubscribe: {link}" in mail.body
    [first, _] = await touches(stack, lead.id)
    assert mail.custom_args == {"message": reference(first["id"], 1)}
    assert (first["channel"], first["provider_message_id"], first["segments"]) == ("EMAIL", mail.id, None)
    assert "instead of SMS: the lead has no address for it" in first["decision"]


async def test_every_mail_says_who_sent_it_and_how_to_end_the_mails_once(stack: Stack) -> None:
    lead = await make_lead(stack, phone=None)
    link = stack.services.links.unsubscribe(lead.tenant_id, lead.id)
    for body in ("Your car is ready.", f"Your car is ready. No more of these: {link}"):
        await made_message(stack, lead, body, channel=Channel.EMAIL, subject="Ready")
        await dispatch(stack)
        await dispatch(stack)

    mails = [message.body for message in stack.world.messages if message.subject == "Ready"]

    assert [mail.count(link) for mail in mails] == [1, 1]
    assert "Your car is ready.\n\nSun Shade Tint Los Angeles\n1 Example Street" in mails[0]


async def test_a_touch_without_consent_is_skipped_and_the_next_one_planned(stack: Stack) -> None:
    lead = await make_lead(stack, consents=())
    await dispatch(stack)
    await stack.wind(timedelta(days=1, minutes=1))

    assert await dispatch(stack) == {"SUPPRESSED": 1}

    first, second, third = await touches(stack, lead.id)
    assert (first["status"], second["status"], third["status"]) == ("SENT", "SUPPRESSED", "SCHEDULED")
    assert second["decision"] == (
        "Not sent. SMS: there is no consent to further messages; EMAIL: there is no consent to further messages"
    )
    assert third["due_at"] == first["sent_at"].astimezone(LOS_ANGELES) + timedelta(days=3)  # by the wall clock


async def test_going_live_does_not_start_the_leads_of_demo_mode(stack: Stack) -> None:
    await set_tenant(stack, "UPDATE tenants SET demo_mode = true, demo_allowlist = '{+12015550000}' WHERE id = :tenant")
    lead = await make_lead(stack)
    assert await dispatch(stack) == {"SUPPRESSED": 1}

    await set_tenant(stack, "UPDATE tenants SET demo_mode = false WHERE id = :tenant")
    await stack.wind(timedelta(days=3))
    await dispatch(stack)

    assert stack.world.messages == []
    [first] = await touches(stack, lead.id)
    assert first["status"] == "SUPPRESSED"
    assert "demo mode is on" in first["decision"]


async def test_a_new_tenant_is_in_demo_mode(stack: Stack) -> None:
    rows = await stack.rows(
        "SELECT column_default FROM information_schema.columns WHERE table_name = 'tenants' AND column_name = 'demo_mode'"
    )
    assert rows == [{"column_default": "true"}]


async def test_the_weeks_cap_counts_what_was_sent_within_seven_days(stack: Stack) -> None:
    await set_tenant(stack, "UPDATE tenant_messaging_configs SET weekly_cap = 2 WHERE tenant_id = :tenant")
    lead = await make_lead(stack)
    for _ in range(4):
        await dispatch(stack)
        await stack.wind(timedelta(days=1, minutes=1))

    first, second, third = await touches(stack, lead.id)

    assert [row["status"] for row in (first, second, third)] == ["SENT", "SENT", "SCHEDULED"]
    assert third["due_at"] == first["sent_at"] + timedelta(days=7)
    assert third["decision"].endswith("2 messages within a week, at most 2")


async def test_holidays_are_left_out_where_the_franchise_wants_it(stack: Stack) -> None:
    now = await stack.local_time(time(10))
    days_to_new_year = (datetime(now.year + 1, 1, 1).date() - now.date()).days  # noqa: DTZ001 - a date of the wall
    holiday = await stack.local_time(time(10), days=days_to_new_year)
    await make_lead(stack)
    await set_tenant(stack, "UPDATE tenant_messaging_configs SET skip_holidays = true WHERE tenant_id = :tenant")

    assert await dispatch(stack) == {"DEFERRED": 1}

    [row] = await stack.rows("SELECT due_at, decision FROM scheduled_messages")
    assert row["due_at"] == (holiday + timedelta(days=1)).replace(hour=9, minute=0, second=0, microsecond=0)
    assert row["decision"].endswith("today is a federal holiday")


async def take_over(_leads: Leads, session: WriteSession, lead: Lead) -> None:
    now = lead.created_at
    chat = {"tenant_id": lead.tenant_id, "location_id": lead.location_id, "lead_id": lead.id}
    session.add(ChatSession(**chat, channel=Channel.SMS, state=ChatState.HUMAN, verified=True, created_at=now))


async def test_while_a_person_has_the_conversation_touches_wait_and_replies_go_out(stack: Stack) -> None:
    lead = await make_lead(stack)
    await change(stack, lead.id, lambda session, held: take_over(stack.services.leads, session, held))

    assert await dispatch(stack) == {"DEFERRED": 1}
    [waiting] = await touches(stack, lead.id)
    assert waiting["decision"] == "Waiting: a person has the conversation"
    await made_message(stack, lead, "I am on it")
    assert await dispatch(stack) == {"SENT": 1}

    async with stack.services.tenancy.write(stack.scope) as session:
        await session.execute(text("UPDATE chat_sessions SET state = 'ASSISTANT'"))
    await stack.wind(timedelta(hours=1))
    assert await dispatch(stack) == {"SENT": 1}


async def test_a_person_who_takes_over_first_keeps_a_claim_out(stack: Stack) -> None:
    lead = await make_lead(stack)

    async with stack.services.tenancy.write(stack.scope) as session:
        held = await locked(session, lead.id)
        assert await dispatch(stack) == {}
        await take_over(stack.services.leads, session, held)
    await dispatch(stack)

    assert stack.world.messages == []
    assert [row["status"] for row in await touches(stack, lead.id)] == ["SCHEDULED"]


async def test_somebody_who_has_just_written_is_answered_at_night(stack: Stack) -> None:
    night = await stack.local_time(time(23))
    lead = await make_lead(stack)
    quiet = await make_lead(stack)
    for answered in (lead, quiet):
        await made_message(stack, answered, "Of course", due_at=night - timedelta(minutes=1))
    await wrote(stack, lead, night - timedelta(minutes=5))
    await wrote(stack, quiet, night - timedelta(hours=3))

    await dispatch(stack)
    await dispatch(stack)

    assert [(message.to, message.body) for message in stack.world.messages] == [(lead.phone, "Of course")]
    [sent] = [row for row in await touches(stack, lead.id) if row["kind"] == "REPLY"]
    assert ": the person wrote at " in sent["decision"]


async def wrote(stack: Stack, lead: Lead, at: datetime) -> None:
    """The lead texted us."""
    inbound = MessageLog(
        tenant_id=lead.tenant_id,
        location_id=lead.location_id,
        lead_id=lead.id,
        attempt=0,
        direction="INBOUND",
        channel=Channel.SMS,
        address=lead.phone or "",
        sender="+13105550100",
        body="What does it cost?",
        status="RECEIVED",
        at=at,
    )
    async with stack.services.tenancy.write(stack.scope) as session:
        session.add(inbound)


async def opt_out(leads: Leads, session: WriteSession, lead: Lead) -> None:
    await leads.opt_out(session, lead, None, "Asked us to stop")


async def book(leads: Leads, session: WriteSession, lead: Lead) -> None:
    await leads.move(session, lead, LeadStatus.BOOKED, "Booked")


async def pause(leads: Leads, session: WriteSession, lead: Lead) -> None:
    await leads.pause(session, lead, "A person took over")


@pytest.mark.parametrize("ending", [opt_out, book, pause])
async def test_what_ends_the_touches_first_keeps_a_claim_out(stack: Stack, ending: Ending) -> None:
    lead = await make_lead(stack)

    async with stack.services.tenancy.write(stack.scope) as session:
        held = await locked(session, lead.id)
        assert await dispatch(stack) == {}  # from here on, and it does not wait for the lead either
        await ending(stack.services.leads, session, held)
        await session.flush()
        assert await dispatch(stack) == {}
    await dispatch(stack)

    assert stack.world.messages == []
    assert [row["status"] for row in await touches(stack, lead.id)] == ["CANCELLED"]


@pytest.mark.parametrize("ending", [opt_out, book, pause])
async def test_what_ends_the_touches_during_a_call_leaves_no_next_touch(stack: Stack, ending: Ending) -> None:
    lead = await make_lead(stack)
    async with holding(stack.world, "twilio") as hold:
        sending = asyncio.create_task(dispatch(stack))
        await hold.reached()
        await change(stack, lead.id, lambda session, held: ending(stack.services.leads, session, held))
    await sending
    await stack.wind(timedelta(days=2))
    await dispatch(stack)

    assert len(stack.world.messages) == 1
    rows = await touches(stack, lead.id)
    assert [row["status"] for row in rows] in (["SENT"], ["SENT", "CANCELLED"])
    row = await lead_row(stack, lead.id)
    assert row["status"] in {"OPTED_OUT", "BOOKED"} or row["touches_paused"]


async def test_an_opt_out_counts_even_where_the_lead_does_not_know_of_it(stack: Stack) -> None:
    """Another lead with this number is made while the opt-out commits: neither sees the other."""
    lead = await make_lead(stack, email=None)
    await change(stack, lead.id, lambda session, held: opt_out(stack.services.leads, session, held))
    other = await make_lead(stack, phone=lead.phone, email=None, location_id=list(stack.locations.values())[1])
    await set_tenant(stack, "UPDATE leads SET opted_out = '{}', status = 'NEW' WHERE tenant_id = :tenant")
    await made_message(stack, other, "Hello")

    await dispatch(stack)
    await dispatch(stack)

    assert stack.world.messages == []
    assert all("SMS: the person opted out" in row["decision"] for row in await touches(stack, other.id))


async def test_a_number_that_the_carrier_blocks_is_opted_out_and_the_next_touch_is_mailed(stack: Stack) -> None:
    lead = await make_lead(stack)
    await stack.http.post(f"{stack.sandbox.url}/phones/{lead.phone}/optout", json={})

    assert await dispatch(stack) == {"FAILED": 1}
    await stack.wind(timedelta(days=1, minutes=1))
    await dispatch(stack)

    assert stack.texts() == []
    assert len(stack.mails(lead.email)) == 1
    first, second, _ = await touches(stack, lead.id)
    assert (first["status"], first["error_code"], second["channel"]) == ("FAILED", "21610", "EMAIL")
    row = await lead_row(stack, lead.id)
    assert (row["opted_out"], row["status"]) == (["SMS", "WHATSAPP"], "CONTACTED")


async def test_the_leads_of_one_blocked_number_are_opted_out_by_the_first_call(stack: Stack) -> None:
    phone, places = phone_number(), list(stack.locations.values())
    leads = [await make_lead(stack, phone=phone, email=None, location_id=place) for place in places]
    await stack.http.post(f"{stack.sandbox.url}/phones/{phone}/optout", json={})

    with capture_logs() as logs:
        assert await dispatch(stack) == {"FAILED": 1}  # one message at a time to one person

    assert [line for line in logs if line["event"] == "record_failed"] == []
    assert {(await lead_row(stack, lead.id))["status"] for lead in leads} == {"OPTED_OUT"}


async def test_refused_credentials_are_flagged_and_the_touch_is_tried_again_later(stack: Stack) -> None:
    lead = await make_lead(stack, email=None)
    await stack.fault("twilio", "bad_credentials", count=1)

    assert await dispatch(stack) == {"SCHEDULED": 1}

    [first] = await touches(stack, lead.id)
    assert first["due_at"] - await product_now(stack) > timedelta(minutes=59)
    assert await flags(stack) == ("20003: Twilio does not accept the account SID and auth token", None)

    await stack.wind(timedelta(hours=1, minutes=16))
    assert await dispatch(stack) == {"SENT": 1}
    assert await flags(stack) == (None, None)


async def test_while_credentials_are_refused_a_touch_takes_the_other_channel(stack: Stack) -> None:
    await make_lead(stack, email=None)
    await stack.fault("twilio", "bad_credentials", count=1)
    assert await dispatch(stack) == {"SCHEDULED": 1}
    lead = await make_lead(stack)

    assert await dispatch(stack) == {"SENT": 1}

    [mail] = [message for message in stack.world.messages if message.to == lead.email]
    assert mail.channel == "EMAIL"
    decision = (await touches(stack, lead.id))[0]["decision"]
    assert decision.endswith("instead of SMS: its provider refuses the franchise's account")


async def flags(stack: Stack) -> tuple[str | None, str | None]:
    [row] = await stack.rows("SELECT sms_refused, email_refused FROM tenant_messaging_configs")
    return row["sms_refused"], row["email_refused"]


@pytest.mark.parametrize(
    ("service", "fields", "code"),
    [("twilio", {}, "20429"), ("sendgrid", {"phone": None}, "http_429")],
)
async def test_a_busy_provider_is_left_the_time_it_asks_for(
    stack: Stack, service: str, fields: dict[str, Any], code: str
) -> None:
    lead = await make_lead(stack, **fields)
    await stack.fault(service, "error_429", seconds=60, count=1)

    assert await dispatch(stack) == {"SCHEDULED": 1}
    assert await dispatch(stack) == {}

    [first] = await touches(stack, lead.id)
    wait = first["due_at"] - await product_now(stack)
    assert timedelta(seconds=55) < wait < timedelta(seconds=76)
    assert first["decision"] == f"Waiting: the provider did not take it ({code}), attempt 1"
    await stack.wind(timedelta(seconds=80))
    assert await dispatch(stack) == {"SENT": 1}
    assert len(stack.world.messages) == 1


@pytest.mark.parametrize(
    ("service", "kind", "fields"), [("twilio", "error_429", {}), ("sendgrid", "error_500", {"phone": None})]
)
async def test_a_provider_that_stays_busy_fails_the_touch_for_all_to_see_and_the_next_one_is_planned(
    stack: Stack, service: str, kind: str, fields: dict[str, Any]
) -> None:
    lead = await make_lead(stack, **fields)
    await stack.fault(service, kind)

    outcomes = []
    for _ in range(6):
        outcomes += list(await dispatch(stack))
        await stack.wind(timedelta(minutes=4))

    assert outcomes == ["SCHEDULED"] * 5 + ["FAILED"]
    first, second = await touches(stack, lead.id)
    assert (first["status"], first["attempt"], second["status"]) == ("FAILED", 6, "SCHEDULED")
    assert first["decision"].startswith("Failed: the provider was busy 6 times")
    [events] = await stack.rows("SELECT count(*) FROM lead_events WHERE kind = 'message.failed'")
    assert events["count"] == 1


async def test_a_refused_mail_fails_and_the_next_touch_is_planned(stack: Stack) -> None:
    lead = await make_lead(stack, phone=None, email="no spaces@example.com")

    assert await dispatch(stack) == {"FAILED": 1}

    first, second = await touches(stack, lead.id)
    assert (first["error_code"], second["status"]) == ("http_400", "SCHEDULED")


async def test_a_refused_mail_key_is_flagged(stack: Stack) -> None:
    await make_lead(stack, phone=None)
    await stack.fault("sendgrid", "bad_credentials", count=1)

    assert await dispatch(stack) == {"SCHEDULED": 1}

    assert await flags(stack) == (None, "http_401: SendGrid does not accept the API key")


async def test_a_call_that_would_start_too_late_is_not_made(fresh_database: TestDatabase, cluster: Cluster) -> None:
    async with open_stack(fresh_database, cluster.redis_url, send_lease_seconds=3) as stack:
        lead = await make_lead(stack)
        owner = create_async_engine(database_url(stack.database.urls.owner))

        async with owner.begin() as connection:
            await connection.execute(text("LOCK TABLE message_logs IN SHARE MODE"))
            sending = asyncio.create_task(dispatch(stack))
            await until_elapsed(1.2)  # a call starts within a third of the lease
        await owner.dispose()

        assert await sending == {"SCHEDULED": 1}
        assert stack.texts() == []
        [first] = await touches(stack, lead.id)
        assert (first["lease_until"], first["decision"]) == (None, "Waiting: its turn did not come in time")

        async def sent() -> bool:
            return await dispatch(stack) == {"SENT": 1}

        await until(sent)


async def test_a_result_is_written_again_when_the_database_was_away(stack: Stack) -> None:
    await make_lead(stack, phone=None)
    admin = create_async_engine(database_url(stack.database.admin_url))
    async with holding(stack.world, "sendgrid", when="after") as hold, admin.connect() as connection:
        sending = asyncio.create_task(dispatch(stack))
        await hold.reached()
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'lead_app' AND datname = :name"
            ),
            {"name": stack.database.name},
        )
    await admin.dispose()

    assert await sending == {"SENT": 1}


async def test_a_lead_gets_one_message_at_a_time(stack: Stack) -> None:
    lead = await make_lead(stack)
    await made_message(stack, lead, "And another thing")

    async with holding(stack.world, "twilio") as hold:
        sending = asyncio.create_task(dispatch(stack))
        await hold.reached()
        assert (await stack.services.dispatcher.dispatch(stack.tenant_id)).outcomes == {}
    await sending
    assert len(stack.texts(lead.phone)) == 1
    await dispatch(stack)

    assert len(stack.texts(lead.phone)) == 2


async def test_a_batch_that_only_waits_for_others_does_not_ask_for_the_next_turn(stack: Stack) -> None:
    leads = [await make_lead(stack) for _ in range(BATCH)]
    for lead in leads:
        await made_message(stack, lead, "And another thing", due_at=leads[-1].created_at)
    async with holding(stack.world, "twilio") as hold:
        sending = asyncio.create_task(dispatch(stack))
        await hold.reached(BATCH)

        waiting = await stack.services.dispatcher.dispatch(stack.tenant_id)

    assert (waiting.claimed, waiting.full) == (BATCH, False)
    await sending


async def test_any_number_of_dispatchers_send_each_message_once(stack: Stack) -> None:
    leads = [await make_lead(stack) for _ in range(40)]

    await asyncio.gather(*(dispatch(stack) for _ in range(12)))
    while await dispatch(stack):  # on a busy machine a call may come too late to start, and is left to the next turn
        pass

    assert sorted(message.to for message in stack.world.messages) == sorted(str(lead.phone) for lead in leads)


async def test_the_next_batch_is_rung_for_while_the_calls_of_this_one_are_under_way(stack: Stack) -> None:
    for _ in range(BATCH + 5):
        await make_lead(stack)
    rung = asyncio.Event()

    async def more() -> None:
        rung.set()

    async with holding(stack.world, "twilio", count=BATCH) as hold:
        first = asyncio.create_task(stack.services.dispatcher.dispatch(stack.tenant_id, more=more))
        await asyncio.wait_for(rung.wait(), 60)
        await hold.reached(BATCH)
        second = await stack.services.dispatcher.dispatch(stack.tenant_id, more=more)
        assert not first.done()

    assert (dict(second.outcomes), second.full) == ({"SENT": 5}, False)
    assert (await first).outcomes == {"SENT": BATCH}


async def test_a_fresh_quote_is_answered_at_once_beside_a_backlog(stack: Stack) -> None:
    for _ in range(SHARE + 10):
        await make_lead(stack)
    async with holding(stack.world, "twilio", count=SHARE) as hold:
        backlog = [asyncio.create_task(dispatch(stack)) for _ in range(SHARE // BATCH + 1)]
        await hold.reached(SHARE)
        fresh = await make_lead(stack)

        sent = await stack.services.dispatcher.dispatch(stack.tenant_id, fresh.id)

        assert sent.outcomes == {"SENT": 1}
        assert len(stack.texts()) == 1
    await asyncio.gather(*backlog)
    assert len(stack.texts()) == SHARE + 11


async def test_resuming_goes_on_where_the_touches_were_paused(stack: Stack) -> None:
    lead = await make_lead(stack)
    await dispatch(stack)
    await change(stack, lead.id, lambda session, held: pause(stack.services.leads, session, held))
    await stack.wind(timedelta(days=5))
    await dispatch(stack)
    assert len(stack.texts()) == 1

    await change(stack, lead.id, stack.services.leads.resume)
    await dispatch(stack)

    assert [row["status"] for row in await touches(stack, lead.id)] == ["SENT", "SENT", "SCHEDULED"]


async def test_a_touch_that_comes_back_while_its_lead_is_paused_is_there_to_resume(stack: Stack) -> None:
    lead = await make_lead(stack)
    await stack.fault("twilio", "error_429", seconds=1, count=1)
    async with holding(stack.world, "twilio") as hold:
        sending = asyncio.create_task(dispatch(stack))
        await hold.reached()
        await change(stack, lead.id, lambda session, held: pause(stack.services.leads, session, held))
    await sending
    await stack.wind(timedelta(minutes=1))
    assert await dispatch(stack) == {"CANCELLED": 1}

    await change(stack, lead.id, stack.services.leads.resume)
    await dispatch(stack)

    assert [row["status"] for row in await touches(stack, lead.id)] == ["SENT", "SCHEDULED"]


async def test_a_late_message_of_an_earlier_enrolment_does_not_advance_the_new_one(stack: Stack) -> None:
    lead = await make_lead(stack)
    leads = stack.services.leads
    async with holding(stack.world, "twilio") as hold:
        sending = asyncio.create_task(dispatch(stack))
        await hold.reached()
        await change(stack, lead.id, lambda session, held: leads.set_status(session, held, LeadStatus.LOST))
        again = await make_lead(stack, phone=lead.phone, email=lead.email)
        assert again.id == lead.id
        assert await dispatch(stack) == {}  # the first message is still under way

    await sending
    row = await lead_row(stack, lead.id)
    assert (row["enrolment"], row["status"], row["touches_sent"]) == (2, "NEW", 0)
    found = [(row["enrolment"], row["touch_number"], row["status"]) for row in await touches(stack, lead.id)]
    assert found == [(1, 1, "SENT"), (2, 1, "SCHEDULED")]

    await dispatch(stack)
    assert [row["status"] for row in await touches(stack, lead.id)] == ["SENT", "SENT", "SCHEDULED"]


async def add_template(
    stack: Stack, body: str, *, channel: str = "SMS", location: object = None, number: int = 1
) -> None:
    statement = """INSERT INTO touch_templates (tenant_id, location_id, number, day, channel, subject, body)
        VALUES (:tenant, :location, :number, :number, :channel, 'Hello {first_name}', :body)"""
    values = {"tenant": stack.tenant_id, "location": location, "number": number, "channel": channel, "body": body}
    async with stack.services.tenancy.write(stack.scope) as session:
        await session.execute(text(statement), values)


async def test_a_template_that_cannot_be_used_skips_its_touch_and_says_why(stack: Stack) -> None:
    await add_template(stack, "Hi {nickname}")
    await add_template(stack, "Hi {first_name}", number=2)  # a stored schedule is the whole one
    lead = await make_lead(stack)

    assert await dispatch(stack) == {"SUPPRESSED": 1}

    first, second = await touches(stack, lead.id)
    assert (first["status"], second["status"], second["touch_number"]) == ("SUPPRESSED", "SCHEDULED", 2)
    assert "its template cannot be used (unknown variable 'nickname'" in first["decision"]
    assert stack.world.messages == []


async def test_a_locations_own_touch_stands_before_the_franchises_and_that_before_the_default(stack: Stack) -> None:
    here, there, elsewhere = stack.locations.values()
    await add_template(stack, "From the franchise, {first_name}")
    await add_template(stack, "From this shop, {first_name}", location=here)
    await add_template(stack, "By mail, {first_name}", location=elsewhere, channel="EMAIL")
    leads = [await make_lead(stack, location_id=place) for place in (here, there, elsewhere)]

    await dispatch(stack)

    assert stack.texts(leads[0].phone) == ["From this shop, Ada"]
    assert stack.texts(leads[1].phone) == ["From the franchise, Ada"]
    assert stack.mails(leads[2].email) == ["Hello Ada"]


async def test_the_channel_of_the_schedule_is_taken_for_a_lead_with_both(stack: Stack) -> None:
    lead = await make_lead(stack)
    for _ in range(3):
        await dispatch(stack)
        await stack.wind(timedelta(days=2, minutes=1))

    assert [row["channel"] for row in await touches(stack, lead.id)][:3] == ["SMS", "SMS", "EMAIL"]
    assert stack.mails(lead.email) == ["Your window tint quote from Sun Shade Tint Los Angeles"]


async def test_a_tenant_without_settings_waits_without_spinning(stack: Stack) -> None:
    for _ in range(BATCH):
        await make_lead(stack)
    await set_tenant(stack, "DELETE FROM tenant_messaging_configs WHERE tenant_id = :tenant")

    sent = await stack.services.dispatcher.dispatch(stack.tenant_id)

    assert (sent.claimed, sent.full, sent.outcomes) == (BATCH, False, {})


async def test_replies_keep_to_their_channel(stack: Stack) -> None:
    lead = await make_lead(stack)
    await dispatch(stack)
    await made_message(stack, lead, "By mail", channel=Channel.EMAIL, subject="Your question")

    await dispatch(stack)

    assert stack.mails(lead.email) == ["Your question"]
