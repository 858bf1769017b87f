"""What providers tell of our messages: forwards only, and enough to settle those of which nobody knew."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from lead_orchestrator.leads.models import Lead
from lead_orchestrator.sandbox.seed import SUN_SHADE
from tests.factories import phone_number
from tests.messaging.inbound.line import NUMBER, Line
from tests.messaging.leads import lead_row, make_lead, touches, until


async def sent(line: Line, **fields: Any) -> tuple[Lead, dict[str, Any]]:
    """A lead whose first touch the provider has accepted."""
    lead = await make_lead(line.stack, **fields)
    await line.stack.services.dispatcher.dispatch(line.tenant_id, lead.id)
    return lead, (await touches(line.stack, lead.id))[0]


async def told(line: Line, message: dict[str, Any], status: str, *, attempt: int = 1, **more: str) -> None:
    """Twilio's callback about an attempt, at the address that was given with it."""
    path = f"/webhooks/twilio/status?tenant={line.tenant_id}&message={message['id']}/{attempt}"
    sid = message["provider_message_id"] or f"SM{message['id'].hex}"
    fields = {
        "MessageSid": sid,
        "SmsSid": sid,
        "MessageStatus": status,
        "SmsStatus": status,
        "AccountSid": SUN_SHADE.twilio_account_sid,
        "From": NUMBER,
        "To": "+12135550142",
        "ApiVersion": "2010-04-01",
        **more,
    }
    answer = await line.form(path, fields)
    assert answer.status_code == 200, answer.text


async def becomes(line: Line, lead: Lead, status: str) -> None:
    """Until the lead's first touch has this status, by what the providers tell."""

    async def there() -> bool:
        await line.process()
        return bool((await touches(line.stack, lead.id))[0]["status"] == status)

    await until(there)


async def state(line: Line, lead: Lead) -> dict[str, Any]:
    row = await lead_row(line.stack, lead.id)
    first = (await touches(line.stack, lead.id))[0]
    [log] = await line.stack.rows("SELECT * FROM message_logs WHERE message_id = :id", id=first["id"])
    return {
        "lead": (row["status"], row["touches_sent"], row["first_contacted_at"] is not None, row["opted_out"]),
        "message": (first["status"], first["error_code"], first["delivered_at"] is not None),
        "attempt": (log["status"], log["error_code"], log["provider_message_id"] is not None),
    }


async def test_twilios_own_callbacks_say_that_a_text_was_delivered(line: Line) -> None:
    lead, message = await sent(line, email=None)

    await becomes(line, lead, "DELIVERED")

    assert message["status"] == "SENT"
    assert (await state(line, lead))["message"] == ("DELIVERED", None, True)
    kinds = [row["kind"] for row in await line.stack.rows("SELECT kind FROM lead_events ORDER BY position")]
    assert kinds[-1] == "message.delivered"


async def test_a_lead_whose_only_text_did_not_arrive_was_not_contacted(line: Line) -> None:
    phone = phone_number()
    answer = await line.stack.http.post(
        f"{line.stack.sandbox.url}/phones/{phone}/undeliverable", json={"errorCode": 30003}
    )
    answer.raise_for_status()
    lead, _ = await sent(line, phone=phone, email=None)
    contacted = (await lead_row(line.stack, lead.id))["status"]

    await becomes(line, lead, "UNDELIVERED")

    assert contacted == "CONTACTED"
    assert await state(line, lead) == {
        "lead": ("NEW", 0, False, []),
        "message": ("UNDELIVERED", "30003", False),
        "attempt": ("UNDELIVERED", "30003", True),
    }
    assert "SCHEDULED" in {
        touch["status"] for touch in await touches(line.stack, lead.id)
    }  # the next touch stays planned


async def test_the_same_news_in_any_order_and_any_number_ends_the_same(line: Line) -> None:
    """Every order of four contradictory statuses, each told several times."""
    chance = random.Random(11)  # noqa: S311 - the same story in every run
    await line.mute()
    ends = []
    for order in itertools.permutations(["sent", "delivered", "undelivered", "failed"]):
        lead, message = await sent(line, email=None)
        for name in order:
            for _ in range(chance.randint(1, 4)):
                await told(line, message, name, ErrorCode="30003" if name in {"undelivered", "failed"} else "")
            if chance.random() < 0.5:
                await line.process()
        await line.process()
        ends.append(await state(line, lead))

    assert ends == [ends[0]] * 24
    assert ends[0] == {
        "lead": ("CONTACTED", 1, True, []),
        "message": ("DELIVERED", None, True),
        "attempt": ("DELIVERED", None, True),
    }


async def test_a_callback_that_comes_before_our_own_note_settles_the_message(line: Line) -> None:
    """The worker died between handing the text over and noting the answer."""
    await line.mute()
    lead = await make_lead(line.stack, email=None)
    message = await _intended(line, lead, "SENDING")

    await told(line, message, "sent")
    await line.process()

    first, following = await touches(line.stack, lead.id)
    assert (first["status"], first["provider_message_id"]) == ("SENT", f"SM{message['id'].hex}")
    assert (following["touch_number"], following["status"]) == (2, "SCHEDULED")
    assert (await lead_row(line.stack, lead.id))["status"] == "CONTACTED"


async def test_a_lost_reply_of_twilio_is_settled_by_its_callback_and_nothing_is_sent_again(line: Line) -> None:
    await line.stack.fault("twilio", "accept_then_drop", count=1)
    lead, message = await sent(line, email=None)
    assert message["status"] == "UNKNOWN"

    await becomes(line, lead, "DELIVERED")
    await line.stack.services.resolver.resolve(line.tenant_id)
    await line.stack.services.dispatcher.dispatch(line.tenant_id)

    assert len(line.stack.texts(lead.phone)) == 1
    assert [touch["status"] for touch in await touches(line.stack, lead.id)] == ["DELIVERED", "SCHEDULED"]


async def test_a_lost_reply_of_sendgrid_is_settled_by_its_events(line: Line) -> None:
    await line.stack.fault("sendgrid", "accept_then_drop", count=1)
    lead, message = await sent(line, phone=None)
    assert message["status"] == "UNKNOWN"

    await becomes(line, lead, "DELIVERED")

    assert len(line.stack.mails(lead.email)) == 1
    assert [touch["status"] for touch in await touches(line.stack, lead.id)] == ["DELIVERED", "SCHEDULED"]


async def test_a_mail_of_which_no_event_tells_is_shown_to_staff_after_a_while(line: Line) -> None:
    await line.stack.fault("sendgrid", "accept_then_drop", count=1)
    await line.mute()
    lead, _ = await sent(line, phone=None)
    resolver = line.stack.services.resolver

    await _check_now(line)
    await resolver.resolve(line.tenant_id)
    [early] = await touches(line.stack, lead.id)
    await _check_now(line, hours_ago=1)
    await resolver.resolve(line.tenant_id)
    [late] = await touches(line.stack, lead.id)

    assert (early["status"], early["decision"]) == (
        "UNKNOWN",
        "Unknown whether it went out: the provider's events will tell",
    )
    assert early["lease_until"] is not None
    assert (late["status"], late["decision"]) == (
        "UNKNOWN",
        "Unknown whether it went out: no event told, staff decides",
    )
    assert late["lease_until"] is None


async def test_an_opt_out_that_the_carrier_tells_later_counts(line: Line) -> None:
    await line.mute()
    lead, message = await sent(line, email=None)

    await told(line, message, "undelivered", ErrorCode="21610")
    await line.process()

    assert (await state(line, lead))["lead"] == ("OPTED_OUT", 0, False, ["SMS", "WHATSAPP"])
    assert [touch["status"] for touch in await touches(line.stack, lead.id)] == ["UNDELIVERED", "CANCELLED"]


@pytest.mark.parametrize("kind", ["spamreport", "unsubscribe", "group_unsubscribe"])
async def test_who_unsubscribes_at_sendgrid_gets_no_more_mails(line: Line, kind: str) -> None:
    await line.mute()
    lead, message = await sent(line, phone=None)

    await line.mail_events(_event(message, kind))
    await line.process()

    row = await lead_row(line.stack, lead.id)
    assert (row["status"], row["opted_out"]) == ("OPTED_OUT", ["EMAIL"])


async def test_news_of_an_earlier_attempt_does_not_touch_the_later_one(line: Line) -> None:
    await line.mute()
    lead, message = await sent(line, email=None)
    async with line.stack.services.tenancy.write(line.stack.scope) as session:
        await session.execute(text("UPDATE scheduled_messages SET attempt = 2 WHERE touch_number = 1"))

    await told(line, message, "undelivered", attempt=1, ErrorCode="30003")
    await line.process()

    [log] = await line.stack.rows("SELECT * FROM message_logs WHERE message_id = :id", id=message["id"])
    assert log["status"] == "UNDELIVERED"
    assert (await touches(line.stack, lead.id))[0]["status"] == "SENT"


async def test_news_of_a_message_that_is_not_ours_changes_nothing(line: Line) -> None:
    await line.mute()
    lead, message = await sent(line, email=None)
    before = await state(line, lead)

    await told(line, {"id": uuid4(), "provider_message_id": "SM" + "1" * 32}, "failed")
    await line.mail_events(_event(message, "bounce"), _event({"id": uuid4()}, "bounce"))
    await line.process()

    assert await state(line, lead) == before
    assert {event["outcome"] for event in await line.events()} == {"about no message of ours"}


def _event(message: dict[str, Any], kind: str, **more: object) -> dict[str, object]:
    return {
        "email": "ada@example.com",
        "timestamp": 1_790_000_000,
        "event": kind,
        "sg_event_id": uuid4().hex,
        "sg_message_id": "mail-1.recvd-1",
        "message": f"{message['id']}/1",
        **more,
    }


async def _intended(line: Line, lead: Lead, status: str) -> dict[str, Any]:
    """The lead's first touch as a sender leaves it that dies after its call."""
    async with line.stack.services.tenancy.write(line.stack.scope) as session:
        values = {"lead": lead.id, "status": status}
        await session.execute(
            text(
                "UPDATE scheduled_messages SET status = :status, attempt = 1, lease_until = now() + interval '1 hour'"
                " WHERE lead_id = :lead"
            ),
            values,
        )
        await session.execute(
            text(
                "INSERT INTO message_logs (tenant_id, location_id, lead_id, message_id, attempt, direction, channel,"
                " address, sender, body, status, at) SELECT tenant_id, location_id, lead_id, id, 1, 'OUTBOUND', 'SMS',"
                " '+12135550142', '+13105550100', 'Hi', 'SENDING', now() FROM scheduled_messages WHERE lead_id = :lead"
            ),
            {"lead": lead.id},
        )
    return (await touches(line.stack, lead.id))[0]


async def _check_now(line: Line, *, hours_ago: float = 0) -> None:
    """The check of every unknown message is due; its attempt ended so long ago."""
    back = timedelta(hours=hours_ago)
    async with line.stack.services.tenancy.write(line.stack.scope) as session:
        await session.execute(text("UPDATE scheduled_messages SET lease_until = now() WHERE status = 'UNKNOWN'"))
        await session.execute(
            text(
                "UPDATE message_logs SET started_at = started_at - cast(:back AS interval),"
                " finished_at = finished_at - cast(:back AS interval)"
            ),
            {"back": back},
        )
