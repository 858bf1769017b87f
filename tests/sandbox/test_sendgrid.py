from __future__ import annotations

from typing import Any

import httpx
import pytest

from lead_orchestrator.sandbox.seed import SUN_SHADE
from lead_orchestrator.sandbox.world import World
from tests.sandbox.receiver import Receiver
from tests.sandbox.wire import SendGrid


async def test_an_accepted_mail_is_recorded_whole(sendgrid: SendGrid, client: httpx.AsyncClient) -> None:
    unsubscribe = {"List-Unsubscribe": "<https://example.com/u>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}

    answer = await sendgrid.send(headers=unsubscribe, reply_to={"email": "r-1@sunshade.example.com"})

    assert (answer.status_code, answer.content) == (202, b"")
    (found,) = (await client.get("/messages", params={"channel": "email"})).json()["messages"]
    expected = {
        "providerId": answer.headers["X-Message-Id"],
        "to": "ann@example.com",
        "from": SUN_SHADE.from_email,
        "fromName": "Sun Shade Tint",
        "replyTo": "r-1@sunshade.example.com",
        "subject": "Your quote",
        "text": "Hello",
        "html": "<p>Hello</p>",
        "headers": unsubscribe,
        "customArgs": {"message_id": "m1"},
        "company": SUN_SHADE.name,
    }
    assert {name: found[name] for name in expected} == expected


async def test_a_wrong_key_is_refused(client: httpx.AsyncClient) -> None:
    answer = await SendGrid(client, "SG.wrong").send()

    assert answer.status_code == 401
    assert answer.json()["errors"][0]["field"] is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"personalizations": None}, "personalizations"),
        ({"personalizations": [{"to": []}]}, "personalizations.0.to"),
        ({"personalizations": [{"to": [{"email": "nobody"}]}]}, "personalizations.0.to.0.email"),
        ({"personalizations": [{"to": [{"email": "a@example.com"}], "cc": 3}]}, "personalizations.0.cc"),
        (
            {"personalizations": [{"to": [{"email": "a@example.com"}], "custom_args": {"n": 1}}]},
            "personalizations.0.custom_args",
        ),
        ({"from": None}, "from.email"),
        ({"subject": None}, "subject"),
        ({"subject": 5}, "subject"),
        ({"content": None}, "content"),
        ({"attachments": {"a": 1}}, "attachments"),
        (
            {"attachments": [{"filename": "a.ics", "type": "text/calendar; method=REQUEST", "content": "YQ=="}]},
            "attachments.0.type",
        ),
        ({"attachments": [{"filename": "a.ics", "content": "not base64!"}]}, "attachments.0.content"),
        ({"attachments": [{"content": "YQ=="}]}, "attachments.0.filename"),
        ({"content": [{"type": "text/plain", "value": ""}]}, "content.0.value"),
        ({"content": [{"type": "text/html", "value": "a"}, {"type": "text/plain", "value": "a"}]}, "content"),
        ({"headers": ["List-Unsubscribe"]}, "headers"),
        ({"mail_settings": "none"}, "mail_settings"),
        ({"reply_to": "r@example.com"}, "reply_to.email"),
    ],
)
async def test_a_mail_that_cannot_be_sent_is_refused_by_field(
    sendgrid: SendGrid, world: World, changes: dict[str, Any], field: str
) -> None:
    answer = await sendgrid.send(**changes)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field
    assert world.messages == []


async def test_an_unverified_sender_is_refused(sendgrid: SendGrid) -> None:
    answer = await sendgrid.send(**{"from": {"email": "quotes@other.example.com"}})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (403, "from")


async def test_a_body_that_is_no_json_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"Authorization": f"Bearer {SUN_SHADE.sendgrid_api_key}"}

    answers = [
        await client.post("/sendgrid/v3/mail/send", headers=headers, content=body)
        for body in (b"{", b"[]", b'{"subject": "\\ud800"}', b"\xff")
    ]

    assert [answer.status_code for answer in answers] == [400] * 4


async def test_sandbox_mode_checks_and_sends_nothing(sendgrid: SendGrid, world: World) -> None:
    answer = await sendgrid.send(mail_settings={"sandbox_mode": {"enable": True}})

    assert answer.status_code == 200
    assert world.messages == []


async def test_each_recipient_gets_the_mail(sendgrid: SendGrid, client: httpx.AsyncClient) -> None:
    people = [{"to": [{"email": "a@example.com"}]}, {"to": [{"email": "b@example.com"}], "subject": "For B"}]

    await sendgrid.send(personalizations=people)

    messages = (await client.get("/messages")).json()["messages"]
    assert [(one["to"], one["subject"]) for one in messages] == [
        ("a@example.com", "Your quote"),
        ("b@example.com", "For B"),
    ]


async def test_the_reader_unsubscribes_with_one_click(
    sendgrid: SendGrid, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    headers = {"List-Unsubscribe": f"<mailto:u@example.com>, <{receiver.url}/u?t=1>"}
    one_click = {**headers, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    ids = [(await sendgrid.send(headers=these)).headers["X-Message-Id"] for these in (headers, one_click)]

    without, with_one_click = [await client.post(f"/mails/{mail_id}/unsubscribe") for mail_id in ids]

    (received,) = await receiver.until(1)
    assert (without.status_code, with_one_click.status_code) == (404, 200)
    assert (received.path, received.body) == ("/u?t=1", b"List-Unsubscribe=One-Click")
