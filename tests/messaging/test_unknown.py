from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest_asyncio
from sqlalchemy import text

from lead_orchestrator.integrations.providers import Accepted, ProviderUnknown
from lead_orchestrator.leads.models import Lead
from lead_orchestrator.messaging.ledger import DispatchPolicy, Ledger
from tests.database import Cluster, TestDatabase
from tests.holding import holding
from tests.messaging.leads import change, lead_row, made_message, make_lead, touches, until
from tests.stack import Stack, open_stack
from tests.waiting import until_elapsed


@pytest_asyncio.fixture
async def stack(fresh_database: TestDatabase, cluster: Cluster) -> AsyncIterator[Stack]:
    async with open_stack(fresh_database, cluster.redis_url, send_lease_seconds=6) as stack:
        yield stack


async def dispatch(stack: Stack) -> dict[str, int]:
    return dict((await stack.services.dispatcher.dispatch(stack.tenant_id)).outcomes)


async def first(stack: Stack, lead: Lead) -> dict[str, Any]:
    return (await touches(stack, lead.id))[0]


async def work(stack: Stack) -> None:
    """What the worker's ticks do."""
    await stack.services.resolver.resolve(stack.tenant_id)
    await dispatch(stack)


async def until_status(stack: Stack, lead: Lead, status: str, *, sending: bool = True) -> dict[str, Any]:
    async def reached() -> bool:
        await (work(stack) if sending else stack.services.resolver.resolve(stack.tenant_id))
        return bool((await first(stack, lead))["status"] == status)

    await until(reached)
    return await first(stack, lead)


async def test_dropped_replies_are_asked_about_and_nobody_is_texted_twice(stack: Stack) -> None:
    leads = [await make_lead(stack) for _ in range(30)]
    await stack.fault("twilio", "accept_then_drop", count=20)

    async def settled() -> bool:
        await work(stack)
        rows = await stack.rows("SELECT status FROM scheduled_messages WHERE touch_number = 1")
        return {row["status"] for row in rows} == {"SENT"}

    await until(settled)

    assert Counter(message.to for message in stack.world.messages) == Counter(str(lead.phone) for lead in leads)
    logs = await stack.rows("SELECT provider_message_id AS sid, attempt FROM message_logs")
    assert {row["sid"] for row in logs} == {message.id for message in stack.world.messages}
    assert {row["attempt"] for row in logs} == {1}


async def test_an_unknown_message_that_was_sent_counts_as_sent(stack: Stack) -> None:
    lead = await make_lead(stack)
    await stack.fault("twilio", "accept_then_drop", count=1)
    assert await dispatch(stack) == {"UNKNOWN": 1}
    assert "the provider is being asked" in (await first(stack, lead))["decision"]

    await until_status(stack, lead, "SENT")

    row = await lead_row(stack, lead.id)
    assert (row["status"], row["touches_sent"]) == ("CONTACTED", 1)
    assert [row["status"] for row in await touches(stack, lead.id)] == ["SENT", "SCHEDULED"]


async def test_more_unknown_messages_than_are_asked_about_at_once_do_not_wait_for_the_next_tick(stack: Stack) -> None:
    for _ in range(25):
        await make_lead(stack)
    await stack.fault("twilio", "accept_then_drop", count=25)
    for _ in range(3):
        await dispatch(stack)

    async def all_due() -> bool:
        due = await stack.rows(
            "SELECT id FROM scheduled_messages WHERE status = 'UNKNOWN' AND lease_until <= now() AND kind = 'TOUCH'"
        )
        return len(due) == 25

    await until(all_due)

    assert await stack.services.resolver.resolve(stack.tenant_id) == 25


async def test_a_request_that_never_arrived_is_sent_again_once_after_the_settle_time(stack: Stack) -> None:
    lead = await make_lead(stack)
    await stack.fault("twilio", "drop", count=1, match="POST")
    assert await dispatch(stack) == {"UNKNOWN": 1}

    sent = await until_status(stack, lead, "SENT")

    assert len(stack.texts(lead.phone)) == 1
    assert (sent["attempt"], sent["resends"]) == (2, 1)
    lost, again = await stack.rows("SELECT status, started_at, finished_at FROM message_logs ORDER BY attempt")
    assert (lost["status"], again["status"]) == ("NOT_SENT", "SENT")
    assert again["started_at"] - lost["started_at"] >= timedelta(seconds=1)  # the settle time


async def test_twilios_word_of_before_the_settle_time_is_not_believed(
    fresh_database: TestDatabase, cluster: Cluster
) -> None:
    """It is asked, takes the text, the settle time ends, and only then its answer comes: what was absent is there now."""
    settle, lease = 3, 3
    async with open_stack(
        fresh_database, cluster.redis_url, send_lease_seconds=lease, unknown_settle_seconds=settle
    ) as stack:
        lead = await make_lead(stack)
        async with holding(stack.world, "twilio", match="GET", when="after") as answer:
            async with holding(stack.world, "twilio", match="POST"):
                assert await dispatch(stack) == {"UNKNOWN": 1}  # the call gave up after a third of the lease
                await check_now(stack)
                asking = asyncio.create_task(stack.services.resolver.resolve(stack.tenant_id))
                await answer.reached()

            await until(lambda: taken(stack, 1))
            await until_elapsed(settle)
        await asking
        await until_status(stack, lead, "SENT")

    assert len(stack.texts(lead.phone)) == 1


async def check_now(stack: Stack) -> None:
    async with stack.services.tenancy.write(stack.scope) as session:
        await session.execute(text("UPDATE scheduled_messages SET lease_until = now() WHERE status = 'UNKNOWN'"))


async def taken(stack: Stack, count: int) -> bool:
    return len(stack.texts()) == count


async def test_the_settle_time_begins_when_the_last_call_may_have_ended(
    fresh_database: TestDatabase, cluster: Cluster
) -> None:
    """A sender died right after its intent: its request may be on its way for two thirds of the lease."""
    async with open_stack(fresh_database, cluster.redis_url, send_lease_seconds=300) as stack:
        lead = await make_lead(stack)
        await died(stack, lead)
        await stack.services.resolver.resolve(stack.tenant_id)

        row = await first(stack, lead)
        after = "SELECT m.lease_until - l.started_at AS after FROM scheduled_messages m, message_logs l"
        [check] = await stack.rows(after)

    assert (row["status"], row["resends"]) == ("UNKNOWN", 0)
    assert timedelta(seconds=201) <= check["after"] < timedelta(seconds=260)  # 2/3 of 300 s, and 1 s to settle


async def died(stack: Stack, lead: Lead) -> None:
    """As if the sender had ended after its intent, and its lease just now."""
    await stack.fault("twilio", "error_429", count=1)
    await dispatch(stack)
    async with stack.services.tenancy.write(stack.scope) as session:
        await session.execute(
            text("UPDATE scheduled_messages SET status = 'SENDING', lease_until = now() WHERE lead_id = :id"),
            {"id": lead.id},
        )
        await session.execute(
            text(
                "UPDATE message_logs SET status = 'SENDING', finished_at = NULL, started_at = now() WHERE lead_id = :id"
            ),
            {"id": lead.id},
        )


async def test_what_is_absent_twice_is_left_to_staff(stack: Stack) -> None:
    lead = await make_lead(stack)
    await stack.fault("twilio", "drop", count=2, match="POST")

    async def left() -> bool:
        await work(stack)
        row = await first(stack, lead)
        return row["status"] == "UNKNOWN" and row["lease_until"] is None

    await until(left)
    for _ in range(3):
        await work(stack)

    row = await first(stack, lead)
    assert (row["decision"], row["attempt"]) == ("Unknown whether it went out, twice: staff decides", 2)
    assert stack.texts() == []
    assert await stack.services.lookups.open_messages() == []


async def test_senders_that_died_twice_do_not_need_staff(stack: Stack) -> None:
    lead = await make_lead(stack)
    await died(stack, lead)
    await until_status(stack, lead, "SCHEDULED", sending=False)
    await stack.wind(timedelta(minutes=1))
    await died(stack, lead)

    sent = await until_status(stack, lead, "SENT")

    assert (sent["attempt"], sent["resends"]) == (3, 2)
    assert len(stack.texts(lead.phone)) == 1


async def test_the_same_words_to_the_same_number_of_another_message_are_not_taken_for_this_one(stack: Stack) -> None:
    lead = await make_lead(stack)
    await dispatch(stack)
    await made_message(stack, lead, "On my way")
    await dispatch(stack)
    second = await made_message(stack, lead, "On my way")
    await stack.fault("twilio", "drop", count=1, match="POST")
    assert await dispatch(stack) == {"UNKNOWN": 1}

    async def settled() -> bool:
        await work(stack)
        return not await stack.rows(
            "SELECT id FROM scheduled_messages WHERE status = 'UNKNOWN' OR kind = 'REPLY' AND status = 'SCHEDULED'"
        )

    await until(settled)

    assert stack.texts(lead.phone).count("On my way") == 2
    [row] = await stack.rows("SELECT attempt, status FROM scheduled_messages WHERE id = :id", id=second)
    assert (row["attempt"], row["status"]) == (2, "SENT")


async def test_two_unknown_messages_with_the_same_words_share_what_twilio_has(stack: Stack) -> None:
    lead = await make_lead(stack)
    await dispatch(stack)
    for kind in ("accept_then_drop", "drop"):
        await made_message(stack, lead, "On my way")
        await stack.fault("twilio", kind, count=1, match="POST")
        assert await dispatch(stack) == {"UNKNOWN": 1}

    async def settled() -> bool:
        await work(stack)
        return not await stack.rows("SELECT id FROM scheduled_messages WHERE kind = 'REPLY' AND status <> 'SENT'")

    await until(settled)

    assert stack.texts(lead.phone).count("On my way") == 2


async def test_while_twilio_cannot_be_asked_nothing_is_decided(stack: Stack) -> None:
    lead = await make_lead(stack)
    await stack.fault("twilio", "accept_then_drop", count=1)
    await stack.fault("twilio", "error_500", match="GET")
    await dispatch(stack)

    for _ in range(8):
        await work(stack)
        await until_elapsed(0.5)  # well past the settle time
    assert (await first(stack, lead))["status"] == "UNKNOWN"
    await stack.http.delete(f"{stack.sandbox.url}/faults")
    await until_status(stack, lead, "SENT")

    assert len(stack.texts(lead.phone)) == 1


async def test_a_sender_that_comes_back_after_its_lease_still_writes_its_result(stack: Stack) -> None:
    lead = await make_lead(stack)
    await died(stack, lead)
    await stack.services.resolver.resolve(stack.tenant_id)
    row = await first(stack, lead)
    assert row["status"] == "UNKNOWN"

    assert await record(stack, lead, row, Accepted("SMlate", "queued", 1)) == "SENT"

    assert await record(stack, lead, row, ProviderUnknown("late")) is None
    assert (await first(stack, lead))["provider_message_id"] == "SMlate"


async def test_a_late_acceptance_stops_the_resend(stack: Stack) -> None:
    lead = await make_lead(stack)
    await stack.fault("twilio", "drop", count=1, match="POST")
    await dispatch(stack)
    row = await first(stack, lead)

    await until_status(stack, lead, "SCHEDULED", sending=False)
    assert await record(stack, lead, row, Accepted("SMlate", "queued", 1)) == "SENT"
    assert await dispatch(stack) == {}

    assert stack.texts() == []


async def test_a_result_of_an_earlier_attempt_is_not_written_over_a_later_one(stack: Stack) -> None:
    lead = await make_lead(stack)
    await stack.fault("twilio", "drop", count=1, match="POST")
    await dispatch(stack)
    row = await first(stack, lead)
    await until_status(stack, lead, "SCHEDULED", sending=False)
    async with holding(stack.world, "twilio", match="POST") as hold:
        sending = asyncio.create_task(dispatch(stack))
        await hold.reached()
        before = await first(stack, lead)

        for outcome in (Accepted("SMlate", "queued", 1), ProviderUnknown("late"), None):
            assert await record(stack, lead, row, outcome) is None

        assert await first(stack, lead) == before
    assert await sending == {"SENT": 1}
    assert len(stack.texts(lead.phone)) == 1


async def record(stack: Stack, lead: Lead, row: dict[str, Any], outcome: Accepted | ProviderUnknown | None) -> Any:
    ledger = Ledger(stack.services.leads, DispatchPolicy())
    async with stack.services.tenancy.write(stack.scope) as session:
        return await ledger.record(session, lead.id, row["id"], row["attempt"], outcome)


async def test_a_mail_of_which_nobody_knows_is_never_sent_again(fresh_database: TestDatabase, cluster: Cluster) -> None:
    async with open_stack(fresh_database, cluster.redis_url, unknown_events_seconds=1) as stack:
        lead = await make_lead(stack, phone=None)
        await stack.fault("sendgrid", "accept_then_drop", count=1)
        assert await dispatch(stack) == {"UNKNOWN": 1}

        async def left() -> bool:
            await work(stack)
            return bool((await first(stack, lead))["lease_until"] is None)

        await until(left)
        await stack.wind(timedelta(days=10))
        await work(stack)

        [row] = await touches(stack, lead.id)
        assert row["status"] == "UNKNOWN"
        assert row["decision"] == "Unknown whether it went out: no event told, staff decides"
        assert len(stack.mails(lead.email)) == 1


async def test_a_provider_that_cannot_be_asked_has_a_while_to_tell_by_its_events(stack: Stack) -> None:
    lead = await make_lead(stack, phone=None)
    await stack.fault("sendgrid", "accept_then_drop", count=1)
    await dispatch(stack)
    await check_now(stack)

    await stack.services.resolver.resolve(stack.tenant_id)

    row = await first(stack, lead)
    assert row["decision"] == "Unknown whether it went out: the provider's events will tell"
    [left] = await stack.rows("SELECT lease_until - now() AS time FROM scheduled_messages WHERE id = :id", id=row["id"])
    assert timedelta(minutes=59) < left["time"] < timedelta(hours=1)


async def test_an_opt_out_meanwhile_keeps_a_lost_message_from_being_sent_again(stack: Stack) -> None:
    lead = await make_lead(stack, email=None)
    await stack.fault("twilio", "drop", count=1, match="POST")
    await dispatch(stack)
    await change(
        stack, lead.id, lambda session, held: stack.services.leads.opt_out(session, held, None, "Asked us to stop")
    )

    await until_status(stack, lead, "SUPPRESSED")

    assert stack.texts() == []
