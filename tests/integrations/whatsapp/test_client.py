from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from lead_orchestrator.integrations.providers import Accepted, ProviderBusy, ProviderRefused, ProviderUnknown
from lead_orchestrator.integrations.whatsapp.client import Template, WhatsAppClient, WhatsAppCredentials
from tests.integrations.wire import Answer, Hangup, Silence, Wire

SHOP = WhatsAppCredentials("106540352242922", SecretStr("token-of-the-shop"))
CUSTOMER, USER_ID = "+12135550101", "US.13491208655302741918"


def taken(**changes: object) -> Answer:
    message = {"id": "wamid.HBgL", **changes}
    body = {"messaging_product": "whatsapp", "contacts": [{"input": CUSTOMER, "wa_id": "12135550101"}]}
    return Answer(200, {**body, "messages": [message]})


def refusal(status: int, code: object, **more: object) -> Answer:
    error = {"message": f"({code}) {CUSTOMER} is bad", "type": "OAuthException", "code": code, **more}
    return Answer(status, {"error": {**error, "fbtrace_id": "A1"}})


async def send(client: WhatsAppClient, timeout: float = 5, **changes: Any) -> Accepted:  # noqa: ASYNC109  # passed on
    options: dict[str, Any] = {"to": CUSTOMER, "text": "Hello", **changes}
    return await client.send(SHOP, timeout=timeout, **options)


@pytest.fixture
def client(http: httpx.AsyncClient, wire: Wire) -> WhatsAppClient:
    return WhatsAppClient(http, wire.url + "/")


async def test_a_text_is_handed_over_in_metas_form(client: WhatsAppClient, wire: Wire) -> None:
    wire.answers(taken())

    accepted = await send(client, reference="m1.2")

    assert accepted == Accepted("wamid.HBgL", "accepted", None)
    request = wire.requests[0]
    assert (request.method, request.path) == ("POST", "/v25.0/106540352242922/messages")
    assert request.headers["authorization"] == "Bearer token-of-the-shop"
    assert json.loads(request.body) == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": CUSTOMER,
        "type": "text",
        "text": {"preview_url": False, "body": "Hello"},
        "biz_opaque_callback_data": "m1.2",
    }


async def test_a_template_carries_its_values_in_order(client: WhatsAppClient, wire: Wire) -> None:
    wire.answers(taken(message_status="held_for_quality_assessment"))

    accepted = await send(client, text=None, template=Template("quote_ready", "en_US", ("Ann", "$300")))

    assert accepted.status == "held_for_quality_assessment"
    sent = json.loads(wire.requests[0].body)
    assert (sent["type"], "text" in sent, "biz_opaque_callback_data" in sent) == ("template", False, False)
    assert sent["template"] == {
        "name": "quote_ready",
        "language": {"code": "en_US"},
        "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "Ann"}, {"type": "text", "text": "$300"}]}
        ],
    }


async def test_a_template_without_values_has_no_components(client: WhatsAppClient, wire: Wire) -> None:
    wire.answers(taken())
    await send(client, text=None, template=Template("hello", "es"))
    assert json.loads(wire.requests[0].body)["template"] == {"name": "hello", "language": {"code": "es"}}


async def test_a_person_without_a_number_is_addressed_by_user_id(client: WhatsAppClient, wire: Wire) -> None:
    wire.answers(taken())
    await send(client, to=USER_ID)
    sent = json.loads(wire.requests[0].body)
    assert (sent["recipient"], sent["recipient_type"], "to" in sent) == (USER_ID, "individual", False)


@pytest.mark.parametrize("both", [{"text": None}, {"template": Template("hello", "es")}])
async def test_a_message_is_a_text_or_a_template(client: WhatsAppClient, wire: Wire, both: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="one of them"):
        await send(client, **both)
    assert wire.requests == []


@pytest.mark.parametrize("number_id", ["", "1/../2", "12?x=1", "abc"])
async def test_a_number_id_that_is_none_reaches_nobody(http: httpx.AsyncClient, wire: Wire, number_id: str) -> None:
    client = WhatsAppClient(http, wire.url)
    with pytest.raises(ProviderRefused) as caught:
        await client.send(WhatsAppCredentials(number_id, SecretStr("t")), to=CUSTOMER, text="Hi", timeout=5)
    assert (caught.value.code, caught.value.credentials, wire.requests) == ("no_sender", True, [])


@pytest.mark.parametrize(
    ("status", "code", "more", "opted_out", "credentials"),
    [
        (401, 190, {}, False, True),
        (401, 0, {}, False, True),
        (400, 10, {}, False, True),
        (403, 200, {}, False, True),
        (400, 299, {}, False, True),
        (400, 368, {}, False, True),
        (400, 100, {"error_subcode": 33}, False, True),
        (400, 100, {}, False, False),
        (400, 131047, {}, False, False),
        (400, 131026, {}, False, False),
        (400, 131049, {}, False, False),
        (400, 131050, {}, True, False),
        (404, 132001, {}, False, False),
        (400, 999999, {}, False, False),
    ],
)
async def test_a_4xx_is_final_and_says_who_is_at_fault(
    client: WhatsAppClient,
    wire: Wire,
    status: int,
    code: int,
    more: dict[str, object],
    opted_out: bool,
    credentials: bool,
) -> None:
    wire.answers(refusal(status, code, **more))
    with pytest.raises(ProviderRefused) as caught:
        await send(client)
    refused = caught.value
    assert (refused.code, refused.opted_out, refused.credentials) == (str(code), opted_out, credentials)
    assert CUSTOMER not in refused.message
    assert "WhatsApp" in refused.message or "recipient" in refused.message


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 4), (400, 80007), (429, 130429), (400, 130429), (400, 131056), (400, 131048), (500, 131000), (503, 2)],
)
async def test_a_limit_is_a_later_try(client: WhatsAppClient, wire: Wire, status: int, code: int) -> None:
    wire.answers(refusal(status, code))
    with pytest.raises(ProviderBusy) as caught:
        await send(client)
    assert caught.value.code == str(code)


async def test_a_wish_to_wait_is_passed_on(client: WhatsAppClient, wire: Wire) -> None:
    wire.answers(Answer(429, {"error": {"code": 130429}}, {"Retry-After": "7"}))
    with pytest.raises(ProviderBusy) as caught:
        await send(client)
    assert caught.value.retry_after == 7


@pytest.mark.parametrize(
    "answer",
    [
        Answer(502, "<html>Bad gateway</html>"),
        refusal(500, 1),
        Answer(200, {"messages": []}),
        Answer(200, {"messages": [{"id": 7}]}),
        Answer(200, "<html></html>"),
        Hangup(),
    ],
)
async def test_what_may_have_been_taken_is_unknown(client: WhatsAppClient, wire: Wire, answer: Answer | Hangup) -> None:
    wire.answers(answer)
    with pytest.raises(ProviderUnknown):
        await send(client)


async def test_silence_is_unknown_after_the_time_out(client: WhatsAppClient, wire: Wire) -> None:
    wire.answers(Silence())
    with pytest.raises(ProviderUnknown):
        await send(client, timeout=0.2)


async def test_a_refusal_by_the_network_never_left(http: httpx.AsyncClient, closed_port: str) -> None:
    with pytest.raises(ProviderBusy):
        await send(WhatsAppClient(http, closed_port))


async def test_a_firewalls_403_is_not_metas_word(client: WhatsAppClient, wire: Wire) -> None:
    wire.answers(Answer(403, "<html>Forbidden</html>"))
    with pytest.raises(ProviderBusy):
        await send(client)


async def test_codes_that_are_no_numbers_are_told_by_status(client: WhatsAppClient, wire: Wire) -> None:
    wire.answers(refusal(400, "190"))
    with pytest.raises(ProviderRefused) as caught:
        await send(client)
    assert (caught.value.code, caught.value.credentials) == ("http_400", False)


def test_the_token_shows_in_no_repr() -> None:
    assert "token-of-the-shop" not in repr(SHOP)
