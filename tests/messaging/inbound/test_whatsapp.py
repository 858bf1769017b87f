"""WhatsApp, from Meta's webhook to the lead, and back out."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.factories import phone_number
from tests.messaging.inbound.line import VERIFY_TOKEN, WHATSAPP_NUMBER, Line
from tests.messaging.leads import lead_row

PATHS = ["/webhooks/whatsapp", "/webhook/whatsapp"]


def batch(*values: dict[str, Any]) -> dict[str, Any]:
    """One delivery; each value is an entry of its own."""
    entries = [{"id": "waba", "changes": [{"field": "messages", "value": value}]} for value in values]
    return {"object": "whatsapp_business_account", "entry": entries}


def value(number: str = WHATSAPP_NUMBER, **more: Any) -> dict[str, Any]:
    metadata = {"display_phone_number": "13105550100", "phone_number_id": number}
    return {"messaging_product": "whatsapp", "metadata": metadata, **more}


def said(phone: str | None, body: str, **more: Any) -> dict[str, Any]:
    sender = {"from": phone.lstrip("+")} if phone else {}
    row = {"id": f"wamid.{uuid4().hex}", "timestamp": "1790000000", "type": "text", "text": {"body": body}}
    return {**row, **sender, **more}


def news(message: str, status: str, **more: Any) -> dict[str, Any]:
    return {"id": message, "status": status, "timestamp": "1790000001", "recipient_id": "12135550142", **more}


@pytest.mark.parametrize("path", PATHS)
async def test_the_handshake_answers_who_knows_our_token(line: Line, path: str) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": VERIFY_TOKEN, "hub.challenge": "1158201444"}

    right = await line.http.get(path, params=query)
    wrong = await line.http.get(path, params={**query, "hub.verify_token": "guessed"})
    bare = await line.http.get(path)

    assert (right.status_code, right.text) == (200, "1158201444")
    assert right.headers["content-type"].startswith("text/plain")
    assert (wrong.status_code, bare.status_code) == (403, 403)


@pytest.mark.parametrize("path", PATHS)
async def test_a_batch_is_taken_apart(line: Line, path: str) -> None:
    """Two entries with messages of three people, of whom one is of nobody's number, and a reaction that is no answer."""
    ada, bea = await line.lead(), await line.lead()
    payload = batch(
        value(messages=[said(ada.phone, "Hola 🚗"), said(bea.phone, "How much?")]),
        value("999", messages=[said(phone_number(), "Wrong shop")]),
        value(messages=[said(ada.phone, "", type="reaction", reaction={"emoji": "👍"})]),
    )

    answers = [await line.meta(payload, path=path) for _ in range(3)]
    await line.process()

    assert [answer.status_code for answer in answers] == [200] * 3
    assert [answer.json()["new"] for answer in answers] == [2, 0, 0]
    assert [(await lead_row(line.stack, lead.id))["status"] for lead in (ada, bea)] == ["ENGAGED", "HOT"]
    chats = await line.stack.rows("SELECT channel, version FROM chat_sessions")
    assert [(chat["channel"], chat["version"]) for chat in chats] == [("WHATSAPP", 1)] * 2


async def test_a_person_without_a_number_is_known_by_the_user_id(line: Line) -> None:
    contact = {"profile": {"name": "Ada"}, "user_id": "US.13491208655302741918"}
    first = said(None, "Do you tint trucks?", from_user_id=contact["user_id"])
    later = said(None, "STOP", from_user_id=contact["user_id"])

    await line.meta(batch(value(contacts=[contact], messages=[first])))
    await line.process()
    [lead] = await line.stack.rows("SELECT * FROM leads")
    await line.meta(batch(value(contacts=[contact], messages=[later])))
    await line.process()

    assert (lead["phone"], lead["whatsapp_user_id"], lead["first_name"]) == (None, contact["user_id"], "Ada")
    assert lead["status"] == "ENGAGED"
    [stopped] = await line.stack.rows("SELECT * FROM leads")
    assert (stopped["status"], stopped["opted_out"]) == ("OPTED_OUT", ["WHATSAPP"])


async def test_a_read_message_was_delivered_even_if_nothing_said_so(line: Line) -> None:
    """Statuses in the wrong order and repeated, `delivered` left out; the wamid was never noted, only our reference."""
    lead = await line.lead()
    message = await _sent(line, lead.id)
    reference = {"biz_opaque_callback_data": f"{message}/1"}

    for status in ("read", "sent", "read", "sent"):
        await line.meta(batch(value(statuses=[news("wamid.out", status, **reference)])))
        await line.process()

    [row] = await line.stack.rows("SELECT * FROM scheduled_messages WHERE id = :id", id=message)
    assert (row["status"], row["provider_message_id"]) == ("DELIVERED", "wamid.out")


async def test_a_failure_is_told_with_its_code_and_sentence(line: Line) -> None:
    lead = await line.lead()
    message = await _sent(line, lead.id)
    failed = news("wamid.out", "failed", errors=[{"code": 131026}], biz_opaque_callback_data=f"{message}/1")

    await line.meta(batch(value(statuses=[failed])))
    await line.process()

    [row] = await line.stack.rows("SELECT * FROM scheduled_messages WHERE id = :id", id=message)
    assert (row["status"], row["error_code"]) == ("FAILED", "131026")
    assert "WhatsApp cannot reach the recipient" in row["decision"]


async def test_who_stops_a_business_on_whatsapp_is_not_written_to_there(line: Line) -> None:
    lead = await line.lead()
    message = await _sent(line, lead.id)
    failed = news("wamid.out", "failed", errors=[{"code": 131050}], biz_opaque_callback_data=f"{message}/1")

    await line.meta(batch(value(statuses=[failed])))
    await line.process()

    assert (await lead_row(line.stack, lead.id))["opted_out"] == ["WHATSAPP"]


async def test_the_signature_is_over_the_raw_bytes(line: Line) -> None:
    payload = batch(value(messages=[said(phone_number(), "Zoë 🚗")]))

    right = await line.meta(payload)
    before = await line.meta(batch(value(messages=[said(phone_number(), "Hi")])), secret="the-one-before")
    wrong = await line.meta(payload, secret="another")
    respelled = json.dumps(payload, ensure_ascii=False).encode()
    moved = await line.http.post(
        "/webhooks/whatsapp",
        content=respelled,
        headers={"X-Hub-Signature-256": str(right.request.headers["x-hub-signature-256"])},
    )

    assert [answer.status_code for answer in (right, before, wrong, moved)] == [200, 200, 401, 401]


async def _sent(line: Line, lead_id: Any) -> Any:
    """A WhatsApp message to the lead of which nobody knows whether it went out."""
    row = await lead_row(line.stack, lead_id)
    fields = {"tenant": row["tenant_id"], "location": row["location_id"], "lead": row["id"]}
    async with line.stack.services.tenancy.write(line.stack.scope) as session:
        made = await session.scalar(
            text(
                "INSERT INTO scheduled_messages (tenant_id, location_id, lead_id, kind, channel, body, due_at, status, attempt,"
                " created_at) VALUES (:tenant, :location, :lead, 'REPLY', 'WHATSAPP', 'Hi', now(), 'UNKNOWN', 1, now())"
                " RETURNING id"
            ),
            fields,
        )
        await session.execute(
            text(
                "INSERT INTO message_logs (tenant_id, location_id, lead_id, message_id, attempt, direction, channel, address,"
                " sender, body, status, at) VALUES (:tenant, :location, :lead, :message, 1, 'OUTBOUND', 'WHATSAPP',"
                " '+12135550142', '1', 'Hi', 'UNKNOWN', now())"
            ),
            {**fields, "message": made},
        )
    return made
