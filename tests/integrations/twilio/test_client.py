from __future__ import annotations

import base64
from datetime import UTC, datetime

import httpx
import pytest
from pydantic import SecretStr

from lead_orchestrator.integrations.providers import Accepted, ProviderBusy, ProviderRefused, ProviderUnknown
from lead_orchestrator.integrations.twilio.client import TwilioClient, TwilioCredentials, TwilioMessage
from tests.integrations.wire import Answer, Hangup, Received, Silence, Wire

SHOP = TwilioCredentials("AC00000000000000000000000000000001", SecretStr("token-of-the-shop"))
CUSTOMER, SENDER = "+12135550101", "+12135550100"
SINCE = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def row(sid: str = "SM1", **changes: object) -> dict[str, object]:
    message = {
        "sid": sid, "status": "queued", "to": CUSTOMER, "from": SENDER, "body": "Hello", "num_segments": "1",
        "error_code": None, "error_message": None, "date_created": "Sun, 22 Nov 2026 10:00:05 +0000",
        "date_sent": None, "date_updated": None, "uri": f"/2010-04-01/Messages/{sid}.json",
    }  # fmt: skip
    return {**message, **changes}


def refusal(status: int, code: int) -> Answer:
    return Answer(status, {"code": code, "message": f"The 'To' number {CUSTOMER} is bad", "status": status})


async def send(client: TwilioClient, timeout: float = 5, **changes: object) -> Accepted:  # noqa: ASYNC109  # passed on
    options: dict[str, object] = {"to": CUSTOMER, "body": "Hello", "from_number": SENDER, **changes}
    return await client.send(SHOP, timeout=timeout, **options)  # type: ignore[arg-type]  # changes are the test's own


@pytest.fixture
def client(http: httpx.AsyncClient, wire: Wire) -> TwilioClient:
    return TwilioClient(http, wire.url + "/")


async def test_a_text_is_handed_over_in_twilios_form(client: TwilioClient, wire: Wire) -> None:
    wire.answers(Answer(201, row()))

    accepted = await send(client, status_callback="https://api.example.com/status?m=1", validity_period=3600)

    assert accepted == Accepted("SM1", "queued", 1)
    request = wire.requests[0]
    assert (request.method, request.path) == ("POST", f"/2010-04-01/Accounts/{SHOP.account_sid}/Messages.json")
    assert request.form == {
        "To": CUSTOMER, "From": SENDER, "Body": "Hello", "ValidityPeriod": "3600",
        "StatusCallback": "https://api.example.com/status?m=1",
    }  # fmt: skip
    basic = base64.b64encode(f"{SHOP.account_sid}:token-of-the-shop".encode()).decode()
    assert request.headers["authorization"] == f"Basic {basic}"


async def test_a_messaging_service_picks_the_sender_and_knows_no_segments_yet(client: TwilioClient, wire: Wire) -> None:
    wire.answers(Answer(201, row(status="accepted", num_segments="0")))
    accepted = await send(client, from_number=None, messaging_service_sid="MG1")
    assert accepted == Accepted("SM1", "accepted", None)
    assert wire.requests[0].form["MessagingServiceSid"] == "MG1"
    assert "From" not in wire.requests[0].form


async def test_without_a_sender_nothing_is_asked(client: TwilioClient, wire: Wire) -> None:
    with pytest.raises(ProviderRefused) as caught:
        await send(client, from_number=None)
    assert caught.value.code == "no_sender"
    assert wire.requests == []


@pytest.mark.parametrize(
    ("status", "code", "opted_out", "credentials"),
    [
        (400, 21211, False, False),
        (400, 21610, True, False),
        (401, 20003, False, True),
        (403, 20005, False, True),
        (400, 21606, False, True),
        (404, 20404, False, False),
        (400, 99999, False, False),
    ],
)
async def test_a_4xx_is_final_and_says_who_is_at_fault(
    client: TwilioClient, wire: Wire, status: int, code: int, opted_out: bool, credentials: bool
) -> None:
    wire.answers(refusal(status, code))
    with pytest.raises(ProviderRefused) as caught:
        await send(client)
    assert caught.value.code == str(code)
    assert (caught.value.opted_out, caught.value.credentials) == (opted_out, credentials)
    assert len(wire.requests) == 1


async def test_an_error_never_carries_the_customers_number(client: TwilioClient, wire: Wire) -> None:
    wire.answers(refusal(400, 21211))
    with pytest.raises(ProviderRefused) as caught:
        await send(client)
    assert CUSTOMER not in str(caught.value) + repr(caught.value) + caught.value.message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "answer",
    [refusal(429, 20429), refusal(429, 21611), refusal(503, 20503), Answer(429, "slow down"), Answer(403, "<html>WAF")],
    ids=["rate", "queue", "unavailable", "gateway-rate", "firewall"],
)
async def test_what_twilio_certainly_did_not_take_may_be_tried_again(
    client: TwilioClient, wire: Wire, answer: Answer
) -> None:
    wire.answers(Answer(answer.status, answer.body, {"Retry-After": "3"}))
    with pytest.raises(ProviderBusy) as caught:
        await send(client)
    assert caught.value.retry_after == 3


@pytest.mark.parametrize(
    "reaction",
    [
        refusal(500, 20500),
        Answer(502, "<html>Bad gateway"),
        Answer(504, ""),
        Answer(201, "{"),
        Answer(201, {"status": "queued"}),
        Answer(201, [1]),
        Hangup(),
        Silence(),
    ],
    ids=["20500", "502", "504", "broken-json", "no-sid", "array", "hangup", "silence"],
)
async def test_what_may_have_been_accepted_is_unknown(
    client: TwilioClient, wire: Wire, reaction: Answer | Hangup | Silence
) -> None:
    wire.answers(reaction)
    with pytest.raises(ProviderUnknown):
        await send(client, timeout=0.3 if isinstance(reaction, Silence) else 5)


async def test_a_refused_connection_may_be_tried_again(http: httpx.AsyncClient, closed_port: str) -> None:
    with pytest.raises(ProviderBusy):
        await send(TwilioClient(http, closed_port))


async def test_find_reads_every_page_and_compares_the_creation_date(client: TwilioClient, wire: Wire) -> None:
    path = f"/2010-04-01/Accounts/{SHOP.account_sid}/Messages.json"

    def pages(request: Received) -> Answer:
        if "Page" in request.query:
            early = row("SM3", date_created="Sun, 22 Nov 2026 09:59:59 +0000")
            return Answer(200, {"messages": [early, row("SM4", error_code=30003, status="failed")]})
        later = f"{path}?To=%2B12135550101&Page=1&PageToken=PASM2"
        return Answer(200, {"messages": [row("SM1"), row("SM2", date_created=None)], "next_page_uri": later})

    wire.behaviour = pages
    found = await client.find(SHOP, to=CUSTOMER, from_number=SENDER, since=SINCE)

    assert [message.sid for message in found] == ["SM1", "SM2", "SM4"]
    assert found[0] == TwilioMessage("SM1", "Hello", "queued", datetime(2026, 11, 22, 10, 0, 5, tzinfo=UTC), None)
    assert (found[2].status, found[2].error_code) == ("failed", 30003)
    assert (wire.requests[0].query["To"], wire.requests[0].query["From"]) == (CUSTOMER, SENDER)
    assert len(wire.requests) == 2


async def test_find_without_a_sender_asks_by_recipient_alone(client: TwilioClient, wire: Wire) -> None:
    wire.answers(Answer(200, {"messages": []}))
    assert await client.find(SHOP, to=CUSTOMER, from_number=None, since=SINCE) == []
    assert "From" not in wire.requests[0].query


async def test_find_does_not_call_an_endless_list_an_absence(client: TwilioClient, wire: Wire) -> None:
    page = [row(f"SM{number}", date_created="Sun, 22 Nov 2020 10:00:00 +0000") for number in range(100)]
    wire.answers(Answer(200, {"messages": page, "next_page_uri": "/2010-04-01/more.json?Page=1"}))
    with pytest.raises(ProviderBusy) as caught:
        await client.find(SHOP, to=CUSTOMER, from_number=SENDER, since=SINCE)
    assert caught.value.code == "too_many_messages"
    assert len(wire.requests) <= 12


@pytest.mark.parametrize(
    "reaction", [Answer(500, "<html>"), refusal(500, 20500), Answer(200, {"a": 1, "b": 2}), Answer(200, "{"), Hangup()]
)
async def test_a_look_up_that_fails_is_never_an_absence(
    client: TwilioClient, wire: Wire, reaction: Answer | Hangup
) -> None:
    wire.answers(reaction)
    with pytest.raises(ProviderBusy):
        await client.find(SHOP, to=CUSTOMER, from_number=SENDER, since=SINCE)


async def test_one_message_is_fetched_by_its_sid(client: TwilioClient, wire: Wire) -> None:
    wire.answers(Answer(200, row(status="delivered")))
    message = await client.fetch(SHOP, "SM1")
    assert message is not None
    assert (message.sid, message.status) == ("SM1", "delivered")
    assert wire.requests[0].path.endswith("/Messages/SM1.json")


async def test_an_unknown_sid_is_none(client: TwilioClient, wire: Wire) -> None:
    wire.answers(refusal(404, 20404))
    assert await client.fetch(SHOP, "SM404") is None


def test_credentials_and_texts_show_in_no_repr() -> None:
    message = TwilioMessage("SM1", "a private text", "sent", None, None)
    assert "token-of-the-shop" not in repr(SHOP)
    assert "private" not in repr(message)
