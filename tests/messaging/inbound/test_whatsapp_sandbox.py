"""WhatsApp from one end to the other: the customer's phone and Meta's side are the sandbox's, signed and delivered by it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from lead_orchestrator.leads.models import Channel
from lead_orchestrator.sandbox.seed import SUN_SHADE
from lead_orchestrator.sandbox.world import Message, WhatsAppApp, WhatsAppTemplate
from lead_orchestrator.touches.planning import ScheduleChange, set_schedule
from lead_orchestrator.touches.schedule import Touch
from tests.database import Cluster, TestDatabase
from tests.factories import phone_number
from tests.messaging.inbound.line import VERIFY_TOKEN, Line, open_line
from tests.messaging.leads import lead_row, make_lead, touches, until
from tests.serving import bearer

SEND = """
mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id status decision } errors { code message } } }
"""
TEMPLATE = WhatsAppTemplate("quote_waiting", "en_US", "{{1}}, your quote from {{2}} is waiting. Shall we talk, {{1}}?")


@pytest_asyncio.fixture
async def line(fresh_database: TestDatabase, cluster: Cluster) -> AsyncIterator[Line]:
    """The franchise's own account at the sandbox's WhatsApp, whose webhooks passed the api's handshake."""
    account = {"whatsappPhoneNumberId": SUN_SHADE.whatsapp_number_id, "whatsappAccessToken": SUN_SHADE.whatsapp_token}
    secret = SecretStr(WhatsAppApp().secret)
    async with open_line(fresh_database, cluster.redis_url, messaging=account, whatsapp_app_secret=secret) as line:
        hooks = {"whatsappUrl": f"{line.url}/webhooks/whatsapp", "whatsappVerifyToken": VERIFY_TOKEN}
        (await line.stack.http.post(f"{line.stack.sandbox.url}/callbacks", json=hooks)).raise_for_status()
        yield line


async def phone(line: Line, number: str, what: str, **data: Any) -> httpx.Response:
    answer = await line.stack.http.post(f"{line.stack.sandbox.url}/phones/{number}/{what}", json=data)
    assert answer.is_success, answer.text
    return answer


async def writes(line: Line, number: str, body: str) -> None:
    """The customer writes on the phone, Meta posts it, and it is applied."""
    before = len(await line.events())
    await phone(line, number, "texts", body=body, channel="WHATSAPP", to=SUN_SHADE.whatsapp_number)

    async def posted() -> bool:
        return len(await line.events()) > before

    await until(posted)
    await line.process()


async def replies(line: Line, lead_id: Any, body: str) -> dict[str, Any]:
    """Staff answers; what is due goes out."""
    given = {"leadId": f"lead_{lead_id}", "channel": "WHATSAPP", "body": body, "idempotencyKey": body}
    asked = {"query": SEND, "variables": {"input": given}}
    answer = (await line.http.post("/graphql", json=asked, headers=bearer(line.stack))).json()
    message: dict[str, Any] = answer["data"]["sendMessage"]["message"]
    await line.stack.services.dispatcher.dispatch(line.tenant_id)
    return message


def shown(line: Line, number: str) -> list[Message]:
    """What the customer's phone got by WhatsApp."""
    every = line.stack.world.messages_by_customer.get(number, [])
    return [one for one in every if one.channel == "WHATSAPP" and one.direction == "outbound"]


async def becomes(line: Line, status: str) -> None:
    async def there() -> bool:
        await line.process()
        rows = await line.stack.rows("SELECT status FROM scheduled_messages WHERE channel = 'WHATSAPP'")
        return [row["status"] for row in rows] == [status]

    await until(there)


async def test_a_customer_and_staff_talk_over_whatsapp(line: Line) -> None:
    lead = await line.lead()

    await writes(line, lead.phone or "", "Do you tint trucks?")
    engaged = await lead_row(line.stack, lead.id)
    [chat] = await line.stack.rows("SELECT channel, lead_id, unread FROM chat_sessions")
    await replies(line, lead.id, "We do, any of them.")
    await becomes(line, "DELIVERED")
    await phone(line, lead.phone or "", "read")

    assert engaged["status"] == "ENGAGED"
    assert (chat["channel"], chat["lead_id"], chat["unread"]) == ("WHATSAPP", lead.id, 1)
    [answer] = shown(line, lead.phone or "")
    assert (answer.body, answer.sender) == ("We do, any of them.", SUN_SHADE.whatsapp_number)

    async def read() -> bool:
        return any(":read" in event["change_key"] for event in await line.events())

    await until(read)
    await becomes(line, "DELIVERED")
    said = await line.stack.rows("SELECT role, text FROM chat_messages ORDER BY version")
    assert [row["text"] for row in said] == ["Do you tint trucks?", "We do, any of them."]


async def test_a_person_who_shows_no_number_is_answered_all_the_same(line: Line) -> None:
    number = phone_number()
    await phone(line, number, "username", username="ada.tints")

    await writes(line, number, "Hola")
    [lead] = await line.stack.rows("SELECT * FROM leads")
    await replies(line, lead["id"], "Hola, dígame.")

    assert (lead["phone"], lead["status"]) == (None, "ENGAGED")
    assert lead["whatsapp_user_id"]
    [answer] = shown(line, number)
    assert (answer.body, answer.by_user_id) == ("Hola, dígame.", True)


async def test_who_stops_on_whatsapp_is_told_so_once_and_written_to_no_more(line: Line) -> None:
    lead = await line.lead()

    for said in ("Hola", "Ya no me escriban", "alto"):
        await writes(line, lead.phone or "", said)
    await replies(line, lead.id, "Are you sure?")

    [confirmation] = shown(line, lead.phone or "")
    assert confirmation.body.startswith("Hemos cancelado")
    assert (await lead_row(line.stack, lead.id))["opted_out"] == ["EMAIL", "SMS", "WHATSAPP"]


@pytest.mark.parametrize("template", [TEMPLATE.name, None])
async def test_a_touch_outside_the_24_hours_takes_the_template_or_the_next_channel(
    line: Line, template: str | None
) -> None:
    for number in line.stack.world.whatsapp_numbers.values():
        number.templates.append(TEMPLATE)
    words = "{first_name|There}, your quote from {shop_name} is waiting. Shall we talk, {first_name}?"
    first = Touch(1, 0, Channel.WHATSAPP, None, words, template)
    async with line.stack.services.tenancy.write(line.stack.scope) as session:
        await set_schedule(session, ScheduleChange(None, [first]))
    lead = await make_lead(line.stack)

    await line.stack.services.dispatcher.dispatch(line.tenant_id)

    [touch] = await touches(line.stack, lead.id)
    on_whatsapp = [message.body for message in shown(line, lead.phone or "")]
    if template:
        read = "Ada, your quote from Sun Shade Tint Los Angeles is waiting. Shall we talk, Ada?"
        assert (touch["channel"], touch["body"], on_whatsapp) == ("WHATSAPP", read, [read])
    else:
        assert (touch["channel"], on_whatsapp) == ("SMS", [])
        assert len(line.stack.texts(lead.phone)) == 1
        assert "it takes a template, and there is none" in touch["decision"]


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        ("Hi {first_name}", "FAILED", "the number of values does not fit the WhatsApp template"),
        ("{vehicle}, {shop_name}", "SUPPRESSED", "{vehicle} has no value for WhatsApp's template"),
    ],
)
async def test_a_template_that_gets_other_values_than_it_wants_is_not_sent_and_says_why(
    line: Line, words: str, status: str, why: str
) -> None:
    for number in line.stack.world.whatsapp_numbers.values():
        number.templates.append(TEMPLATE)
    first = Touch(1, 0, Channel.WHATSAPP, None, words, TEMPLATE.name)
    async with line.stack.services.tenancy.write(line.stack.scope) as session:
        await set_schedule(session, ScheduleChange(None, [first]))
    lead = await make_lead(line.stack)

    await line.stack.services.dispatcher.dispatch(line.tenant_id)

    [touch] = await touches(line.stack, lead.id)
    assert touch["status"] == status
    assert why in touch["decision"]
    assert shown(line, lead.phone or "") == []


async def test_what_whatsapp_refuses_for_its_24_hours_is_not_tried_again(line: Line) -> None:
    """Meta's clock runs ahead of ours: to it the window has closed."""
    lead = await line.lead()
    await writes(line, lead.phone or "", "Do you tint trucks?")
    for who in line.stack.world.whatsapp_written:
        line.stack.world.whatsapp_written[who] -= timedelta(hours=25)

    await replies(line, lead.id, "We do.")
    for _ in range(3):
        await line.stack.wind(timedelta(minutes=30))
        await line.stack.services.dispatcher.dispatch(line.tenant_id)

    rows = await line.stack.rows(
        "SELECT status, error_code, attempt FROM scheduled_messages WHERE channel = 'WHATSAPP'"
    )
    assert [(row["status"], row["error_code"], row["attempt"]) for row in rows] == [("FAILED", "131047", 1)]
    assert shown(line, lead.phone or "") == []
