"""What staff sends goes through the gate like everything, and its decisions and the dispatcher's exclude each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import time, timedelta
from typing import Any
from uuid import UUID

import pytest

from lead_orchestrator.chat.conversations import Conversations
from lead_orchestrator.clock import app_now
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.leads.models import Channel, Lead, LeadStatus, ScheduledMessage
from lead_orchestrator.messaging import repository
from lead_orchestrator.messaging.service import Draft
from lead_orchestrator.tenancy.sessions import WriteSession
from tests.holding import holding
from tests.messaging.leads import change, lead_row, make_lead, touches
from tests.messaging.test_unknown import dispatch, until_status, work
from tests.stack import Stack

Act = Callable[[WriteSession], Awaitable[ScheduledMessage]]


async def act(stack: Stack, work: Act) -> ScheduledMessage:
    async with stack.services.tenancy.write(stack.scope) as session:
        return await work(session)


async def send(stack: Stack, lead: Lead, body: str = "Hello {there}", **fields: Any) -> UUID:
    key = fields.pop("key", body)
    draft = Draft(lead.id, **{"channel": Channel.SMS, "body": body, **fields})
    return (await act(stack, lambda session: stack.services.messages.send(session, draft, key))).id


async def cancel(stack: Stack, message_id: UUID) -> None:
    await act(stack, lambda session: stack.services.messages.cancel(session, message_id))


async def retry(stack: Stack, message_id: UUID) -> None:
    await act(stack, lambda session: stack.services.messages.retry(session, message_id))


async def resolve(stack: Stack, message_id: UUID, *, sent: bool) -> None:
    await act(stack, lambda session: stack.services.messages.resolve_unknown(session, message_id, sent=sent))


async def message(stack: Stack, message_id: UUID) -> dict[str, Any]:
    [row] = await stack.rows("SELECT * FROM scheduled_messages WHERE id = :id", id=message_id)
    return row


async def quiet_lead(stack: Stack, **fields: Any) -> Lead:
    """A lead whose first touch went out already."""
    lead = await make_lead(stack, **fields)
    await dispatch(stack)
    return lead


async def test_a_message_goes_out_as_it_was_written(stack: Stack) -> None:
    lead = await quiet_lead(stack)

    sent = await send(stack, lead)
    await dispatch(stack)

    row = await message(stack, sent)
    assert (row["status"], row["kind"], row["segments"]) == ("SENT", "AD_HOC", 1)
    assert stack.texts(lead.phone)[-1] == "Hello {there}"
    assert row["decision"].startswith("Sent by SMS")


async def test_a_mail_without_a_subject_names_the_shop(stack: Stack) -> None:
    lead = await quiet_lead(stack)

    await send(stack, lead, channel=Channel.EMAIL)
    await dispatch(stack)

    assert stack.mails(lead.email) == ["A message from Sun Shade Tint Los Angeles"]


async def test_what_staff_writes_is_said_in_the_open_conversation_of_its_channel(stack: Stack) -> None:
    lead = await quiet_lead(stack)
    await change(stack, lead.id, lambda session, held: Conversations().hear(session, held, Channel.SMS, "When?", "SM1"))

    reply = await send(stack, lead, "At ten")
    await send(stack, lead, "By mail", channel=Channel.EMAIL)
    async with stack.services.tenancy.read(stack.scope) as session:
        later = await app_now(session) + timedelta(hours=1)
    await send(stack, lead, "Later", due_at=later)
    await send(stack, lead, "At ten")  # the key of the first

    said = await stack.rows("SELECT role, text, client_id FROM chat_messages ORDER BY version")
    assert [(row["role"], row["text"]) for row in said] == [("USER", "When?"), ("STAFF", "At ten")]
    assert said[1]["client_id"] == f"msg_{reply}"
    rows = await stack.rows("SELECT kind, body FROM scheduled_messages WHERE kind <> 'TOUCH' ORDER BY id")
    assert [(row["kind"], row["body"]) for row in rows] == [
        ("REPLY", "At ten"),
        ("AD_HOC", "By mail"),
        ("AD_HOC", "Later"),
    ]


async def test_one_key_is_one_message(stack: Stack) -> None:
    lead = await quiet_lead(stack)

    first = await send(stack, lead, key="k")
    await dispatch(stack)
    again = await send(stack, lead, key="k")
    await dispatch(stack)

    assert first == again
    assert stack.texts(lead.phone).count("Hello {there}") == 1


async def test_at_night_a_message_waits_as_the_gate_says(stack: Stack) -> None:
    lead = await quiet_lead(stack)
    await stack.local_time(time(23))

    sent = await send(stack, lead)
    await dispatch(stack)

    row = await message(stack, sent)
    assert row["status"] == "SCHEDULED"
    assert "outside the contact hours" in row["decision"]


async def test_an_opt_out_before_it_is_due_suppresses_it(stack: Stack) -> None:
    lead = await quiet_lead(stack)
    async with stack.services.tenancy.read(stack.scope) as session:
        later = await app_now(session) + timedelta(hours=1)
    sent = await send(stack, lead, due_at=later)
    await dispatch(stack)
    assert (await message(stack, sent))["status"] == "SCHEDULED"

    leads = stack.services.leads
    await change(stack, lead.id, lambda session, held: leads.opt_out(session, held, None, "Asked us to stop"))
    await stack.wind(timedelta(hours=1))
    await dispatch(stack)

    row = await message(stack, sent)
    assert (row["status"], row["decision"]) == ("SUPPRESSED", "Not sent. SMS: the person opted out")


async def test_a_cancelled_message_is_not_sent(stack: Stack) -> None:
    lead = await quiet_lead(stack)
    sent = await send(stack, lead)

    await cancel(stack, sent)
    await dispatch(stack)

    assert (await message(stack, sent))["status"] == "CANCELLED"
    assert "Hello {there}" not in stack.texts()
    with pytest.raises(BadInputError, match="is CANCELLED") as refused:
        await cancel(stack, sent)
    assert refused.value.code == "NOT_SCHEDULED"


async def test_the_next_touch_follows_one_that_is_cancelled(stack: Stack) -> None:
    lead = await make_lead(stack)
    [first] = await touches(stack, lead.id)

    await cancel(stack, first["id"])

    rows = await touches(stack, lead.id)
    assert [(row["touch_number"], row["status"]) for row in rows] == [(1, "CANCELLED"), (2, "SCHEDULED")]


async def test_a_claim_keeps_a_cancellation_out(stack: Stack) -> None:
    lead = await quiet_lead(stack)
    sent = await send(stack, lead)

    async with stack.services.tenancy.write(stack.scope) as claim:
        [due] = await repository.claim_due(claim, 10, lead.id)
        cancelling = asyncio.create_task(cancel(stack, sent))
        done, _ = await asyncio.wait([cancelling], timeout=0.2)
        due.message.status = "SENDING"

    assert not done, "the cancellation did not wait for the claim"
    with pytest.raises(BadInputError, match="is SENDING"):
        await cancelling


async def test_a_cancellation_keeps_a_claim_out(stack: Stack) -> None:
    lead = await quiet_lead(stack)
    sent = await send(stack, lead)

    async with stack.services.tenancy.write(stack.scope) as session:
        await stack.services.messages.cancel(session, sent)
        await session.flush()
        assert await dispatch(stack) == {}
    await dispatch(stack)

    assert "Hello {there}" not in stack.texts()


async def test_a_failed_touch_is_tried_again_and_changes_nothing_of_what_follows(stack: Stack) -> None:
    lead = await make_lead(stack, phone=None, email="no spaces@example.com")
    assert await dispatch(stack) == {"FAILED": 1}
    first, planned = await touches(stack, lead.id)
    await change(stack, lead.id, lambda session, held: _correct(stack, session, held))

    await retry(stack, first["id"])
    assert await dispatch(stack) == {"SENT": 1}

    again, next_touch = await touches(stack, lead.id)
    assert (again["status"], again["attempt"], again["retries"]) == ("SENT", 2, 1)
    assert next_touch == planned
    row = await lead_row(stack, lead.id)
    assert (row["touches_sent"], row["status"]) == (1, LeadStatus.CONTACTED)


async def _correct(stack: Stack, session: WriteSession, lead: Lead) -> None:
    await stack.services.leads.correct(session, lead, {"email": "ada@example.com"})


async def test_a_touch_that_fails_again_still_changes_nothing_of_what_follows(stack: Stack) -> None:
    lead = await make_lead(stack, phone=None, email="no spaces@example.com")
    await dispatch(stack)
    first, planned = await touches(stack, lead.id)

    await retry(stack, first["id"])
    assert await dispatch(stack) == {"FAILED": 1}

    assert (await touches(stack, lead.id))[1] == planned


async def test_a_touch_that_did_not_arrive_counts_once(stack: Stack) -> None:
    lead = await quiet_lead(stack)
    first, planned = await touches(stack, lead.id)
    async with stack.services.tenancy.write(stack.scope) as session:
        undelivered = await repository.relock_message(session, first["id"])
        undelivered.status = "UNDELIVERED"

    await retry(stack, first["id"])
    await dispatch(stack)

    assert len(stack.texts(lead.phone)) == 2
    assert (await lead_row(stack, lead.id))["touches_sent"] == 1
    assert (await touches(stack, lead.id))[1] == planned


@pytest.mark.parametrize("status", ["SENT", "SCHEDULED"])
async def test_what_did_not_fail_is_not_tried_again(stack: Stack, status: str) -> None:
    lead = await quiet_lead(stack)
    row = next(row for row in await touches(stack, lead.id) if row["status"] == status)

    with pytest.raises(BadInputError, match=f"is {status}") as refused:
        await retry(stack, row["id"])

    assert refused.value.code == "NOT_FAILED"
    assert (await touches(stack, lead.id))[row["touch_number"] - 1] == row


async def unknown_mail(stack: Stack) -> tuple[Lead, UUID]:
    lead = await make_lead(stack, phone=None)
    await stack.fault("sendgrid", "accept_then_drop", count=1)
    assert await dispatch(stack) == {"UNKNOWN": 1}
    return lead, (await touches(stack, lead.id))[0]["id"]


async def test_staff_says_that_an_unknown_message_was_sent(stack: Stack) -> None:
    lead, unknown = await unknown_mail(stack)

    await resolve(stack, unknown, sent=True)
    await work(stack)

    rows = await touches(stack, lead.id)
    assert [(row["status"], row["attempt"]) for row in rows] == [("SENT", 1), ("SCHEDULED", 0)]
    assert rows[0]["decision"] == "Sent, as staff found out"
    assert (await lead_row(stack, lead.id))["touches_sent"] == 1
    assert len(stack.mails(lead.email)) == 1


async def test_staff_says_that_an_unknown_message_was_not_sent(stack: Stack) -> None:
    lead, unknown = await unknown_mail(stack)

    await resolve(stack, unknown, sent=False)
    await until_status(stack, lead, "SENT")

    first, second = await touches(stack, lead.id)
    assert (first["attempt"], second["status"]) == (2, "SCHEDULED")
    assert len(stack.mails(lead.email)) == 2


async def test_only_what_is_unknown_is_resolved(stack: Stack) -> None:
    lead = await quiet_lead(stack)
    [first, _] = await touches(stack, lead.id)

    with pytest.raises(BadInputError, match="is SENT") as refused:
        await resolve(stack, first["id"], sent=False)

    assert refused.value.code == "NOT_UNKNOWN"


async def test_a_message_that_is_being_sent_is_not_resolved(stack: Stack) -> None:
    lead = await make_lead(stack)
    async with holding(stack.world, "twilio") as hold:
        sending = asyncio.create_task(dispatch(stack))
        await hold.reached()
        [first] = await touches(stack, lead.id)

        with pytest.raises(BadInputError, match="is SENDING"):
            await resolve(stack, first["id"], sent=False)
    await sending

    assert len(stack.texts(lead.phone)) == 1


async def test_who_decided_what_is_in_the_audit_trail(stack: Stack) -> None:
    lead, unknown = await unknown_mail(stack)
    sent = await send(stack, lead, channel=Channel.EMAIL)
    await cancel(stack, sent)
    await resolve(stack, unknown, sent=True)

    lines = await stack.rows(
        "SELECT action, actor, target, detail FROM audit_log WHERE action LIKE 'message.%' ORDER BY number"
    )

    shown = {"leadId": f"lead_{lead.id}", "channel": "EMAIL"}
    assert [(line["action"], line["actor"], line["target"], line["detail"]) for line in lines] == [
        ("message.written", "tests", f"msg_{sent}", shown),
        ("message.cancelled", "tests", f"msg_{sent}", shown),
        ("message.resolved", "tests", f"msg_{unknown}", {**shown, "sent": True}),
    ]
