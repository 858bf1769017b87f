"""Customers' mails, as SendGrid's Inbound Parse posts them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.messaging.inbound.line import ROUTE_KEY, Line
from tests.messaging.leads import lead_row

QUOTED = "\n\nOn Mon, 1 Jun 2026 at 10:00, Sun Shade <quotes@example.com> wrote:\n> Reply STOP to unsubscribe.\n> How much?\n"


async def post(line: Line, sender: str, text: str, *, key: str = ROUTE_KEY, **more: Any) -> httpx.Response:
    fields = {
        "from": f"Ada Example <{sender}>",
        "to": "quotes@example.com",
        "subject": "Re: Your quote",
        "text": text,
        "envelope": json.dumps({"to": ["quotes@example.com"], "from": sender}),
        "headers": "Message-ID: <1@mail.example.com>\nAuto-Submitted: no\n",
        "charsets": json.dumps({"text": "UTF-8"}),
        **more,
    }
    parts = {name: (None, value) for name, value in fields.items()}
    return await line.http.post(f"/webhooks/sendgrid/inbound/{key}", files=parts)


async def test_an_answer_by_mail_engages_the_lead_by_what_it_says_itself(line: Line) -> None:
    lead = await line.lead()

    answers = [await post(line, lead.email or "", "Thanks, I will think about it." + QUOTED) for _ in range(3)]
    await line.process()

    assert [answer.json()["new"] for answer in answers] == [1, 0, 0]
    row = await lead_row(line.stack, lead.id)
    assert (row["status"], row["opted_out"]) == ("ENGAGED", [])
    [message] = await line.stack.rows("SELECT * FROM message_logs WHERE direction = 'INBOUND'")
    assert (message["channel"], message["body"]) == ("EMAIL", "Thanks, I will think about it.")
    assert message["subject"] == "Re: Your quote"


async def test_a_mail_that_asks_us_to_stop_stops_everything(line: Line) -> None:
    lead = await line.lead()

    await post(line, lead.email or "", "Please stop e-mailing me." + QUOTED)
    await line.process()

    row = await lead_row(line.stack, lead.id)
    assert (row["status"], row["opted_out"]) == ("OPTED_OUT", ["EMAIL", "SMS", "WHATSAPP"])


@pytest.mark.parametrize(
    "mail",
    [
        {
            "text": "",
            "html": "<style>p {}</style><p>Please <b>stop</b><br>e-mailing me</p><blockquote>Hi!</blockquote>",
        },
        {"text": "", "html": "<p>Stop</p>" + "<!-- a picture in the mail itself -->" * 50_000},
        {"text": "Sent from my phone", "subject": "Unsubscribe"},
        {"text": "", "subject": "STOP"},
    ],
)
async def test_a_mail_may_ask_it_in_html_or_in_its_subject_alone(line: Line, mail: dict[str, str]) -> None:
    lead = await line.lead()

    assert (await post(line, lead.email or "", **mail)).status_code == 200
    await line.process()

    assert (await lead_row(line.stack, lead.id))["status"] == "OPTED_OUT"


@pytest.mark.parametrize("subject", ["Re: Unsubscribe any time", "RE : stop", "Fwd: stop"])
async def test_the_subject_that_an_answer_repeats_is_ours(line: Line, subject: str) -> None:
    lead = await line.lead()

    await post(line, lead.email or "", "See my car", subject=subject)
    await line.process()

    assert (await lead_row(line.stack, lead.id))["status"] == "ENGAGED"


@pytest.mark.parametrize(
    "headers",
    ["Auto-Submitted: auto-replied\n", "Precedence: bulk\n", "Return-Path: <>\n", "X-Autoreply: yes\n"],
)
async def test_what_no_person_wrote_is_no_answer(line: Line, headers: str) -> None:
    lead = await line.lead()

    answer = await post(line, lead.email or "", "I am out of the office.", headers=headers)
    await line.process()

    assert (answer.status_code, answer.json()["new"]) == (200, 0)
    assert (await lead_row(line.stack, lead.id))["status"] == "CONTACTED"


async def test_a_mail_of_a_stranger_makes_no_lead(line: Line) -> None:
    await post(line, "spam@example.com", "Buy our windows")
    await line.process()

    assert await line.stack.rows("SELECT id FROM leads") == []
    [event] = await line.events()
    assert (event["outcome"], event["payload"]) == ("from nobody we know", None)


async def test_attachments_are_read_past(line: Line) -> None:
    lead = await line.lead()
    envelope = json.dumps({"to": ["quotes@example.com"], "from": lead.email})
    parts: list[tuple[str, Any]] = [
        ("from", (None, lead.email)),
        ("envelope", (None, envelope)),
        ("text", (None, "See my car")),
        ("attachment1", ("car.jpg", b"\xff\xd8" * 700_000, "image/jpeg")),
    ]

    answer = await line.http.post(f"/webhooks/sendgrid/inbound/{ROUTE_KEY}", files=parts)
    await line.process()

    assert answer.status_code == 200
    assert (await lead_row(line.stack, lead.id))["status"] == "ENGAGED"


async def test_only_the_address_with_the_right_key_takes_mails(line: Line) -> None:
    for key in ("guessed", "x" * 500, ROUTE_KEY.upper()):
        assert (await post(line, "ada@example.com", "Hi", key=key)).status_code == 404
    assert await line.events() == []
