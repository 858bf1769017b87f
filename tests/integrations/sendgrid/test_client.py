from __future__ import annotations

import json
from collections.abc import Sequence

import httpx
import pytest

from lead_orchestrator.integrations.providers import Accepted, ProviderBusy, ProviderRefused, ProviderUnknown
from lead_orchestrator.integrations.sendgrid.client import Attached, SendGridClient
from tests.integrations.wire import Answer, Hangup, Silence, Wire

ERRORS = {"errors": [{"message": "customer@example.com is not valid", "field": "to", "help": None}]}


async def send(
    client: SendGridClient,
    timeout: float = 5,  # noqa: ASYNC109  # passed on
    html: str | None = "<p>Hello</p>",
    attachments: Sequence[Attached] = (),
) -> Accepted:
    return await client.send(
        "SG.key-of-the-shop",
        to="customer@example.com",
        from_email="shop@example.com",
        from_name="Tint Shop",
        subject="Your quote",
        text="Hello",
        html=html,
        headers={
            "List-Unsubscribe": "<https://api.example.com/u/1>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
        custom_args={"tenant": "t1", "attempt": "2"},
        attachments=attachments,
        timeout=timeout,
    )


@pytest.fixture
def client(http: httpx.AsyncClient, wire: Wire) -> SendGridClient:
    return SendGridClient(http, wire.url)


async def test_a_mail_is_handed_over_in_sendgrids_form(client: SendGridClient, wire: Wire) -> None:
    wire.answers(Answer(202, "", {"X-Message-Id": "abc123"}))

    assert await send(client) == Accepted("abc123", "accepted", None)

    request = wire.requests[0]
    assert (request.method, request.path) == ("POST", "/v3/mail/send")
    assert request.headers["authorization"] == "Bearer SG.key-of-the-shop"
    assert json.loads(request.body) == {
        "personalizations": [{"to": [{"email": "customer@example.com"}]}],
        "from": {"email": "shop@example.com", "name": "Tint Shop"},
        "subject": "Your quote",
        "content": [{"type": "text/plain", "value": "Hello"}, {"type": "text/html", "value": "<p>Hello</p>"}],
        "headers": {
            "List-Unsubscribe": "<https://api.example.com/u/1>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
        "custom_args": {"tenant": "t1", "attempt": "2"},
    }


async def test_a_file_goes_with_its_mail(client: SendGridClient, wire: Wire) -> None:
    wire.answers(Answer(202, ""))

    await send(client, attachments=[Attached("invite.ics", "text/calendar", b"BEGIN:VCALENDAR")])

    assert json.loads(wire.requests[0].body)["attachments"] == [
        {
            "content": "QkVHSU46VkNBTEVOREFS",
            "filename": "invite.ics",
            "type": "text/calendar",
            "disposition": "attachment",
        }
    ]


async def test_a_mail_may_be_text_alone(client: SendGridClient, wire: Wire) -> None:
    wire.answers(Answer(202, ""))
    assert (await send(client, html=None)).provider_message_id == ""
    assert json.loads(wire.requests[0].body)["content"] == [{"type": "text/plain", "value": "Hello"}]


@pytest.mark.parametrize(("status", "credentials"), [(400, False), (401, True), (403, True), (413, False)])
async def test_a_4xx_is_final(client: SendGridClient, wire: Wire, status: int, credentials: bool) -> None:
    wire.answers(Answer(status, ERRORS))
    with pytest.raises(ProviderRefused) as caught:
        await send(client)
    assert (caught.value.code, caught.value.credentials) == (f"http_{status}", credentials)
    assert "customer@example.com" not in str(caught.value)


@pytest.mark.parametrize(
    "answer", [Answer(429, ERRORS), Answer(503, ERRORS), Answer(500, ERRORS), Answer(403, "<html>")]
)
async def test_what_sendgrid_did_not_take_may_be_tried_again(
    client: SendGridClient, wire: Wire, answer: Answer
) -> None:
    wire.answers(Answer(answer.status, answer.body, {"Retry-After": "9"}))
    with pytest.raises(ProviderBusy) as caught:
        await send(client)
    assert caught.value.retry_after == 9


@pytest.mark.parametrize("reaction", [Answer(502, "<html>"), Answer(504, ""), Hangup(), Silence()])
async def test_what_may_have_been_accepted_is_unknown(
    client: SendGridClient, wire: Wire, reaction: Answer | Hangup | Silence
) -> None:
    wire.answers(reaction)
    with pytest.raises(ProviderUnknown):
        await send(client, timeout=0.3 if isinstance(reaction, Silence) else 5)
