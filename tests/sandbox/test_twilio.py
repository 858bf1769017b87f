from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import pytest
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # twilio ships no py.typed

from lead_orchestrator.sandbox.seed import SUN_SHADE
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.sandbox.world import Timing, World
from tests.sandbox.receiver import Receiver
from tests.sandbox.wire import CUSTOMER, Twilio


async def test_an_accepted_text_is_queued_and_recorded(twilio: Twilio, client: httpx.AsyncClient) -> None:
    before = datetime.now(UTC).timestamp() * 1000 - 1

    answer = await twilio.send(Body="Hello Ann")

    sent = answer.json()
    assert (answer.status_code, sent["status"], sent["direction"]) == (201, "queued", "outbound-api")
    assert sent["sid"].startswith("SM")
    assert (sent["to"], sent["from"], sent["body"]) == (CUSTOMER, twilio.number, "Hello Ann")
    assert (sent["num_segments"], sent["error_code"], sent["account_sid"]) == ("1", None, twilio.sid)
    assert parsedate_to_datetime(sent["date_created"]).tzinfo is not None
    (message,) = (await client.get("/messages", params={"to": CUSTOMER, "channel": "SMS"})).json()["messages"]
    assert (message["providerId"], message["company"]) == (sent["sid"], SUN_SHADE.name)
    assert message["acceptedAt"] >= before


async def test_a_wrong_token_is_refused(twilio: Twilio) -> None:
    twilio.token = "wrong"

    answer = await twilio.send()

    assert answer.status_code == 401
    assert answer.json()["code"] == 20003
    assert answer.json()["status"] == 401


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "3105550123"}, 21211),
        ({"To": "+1310555"}, 21211),
        ({"From": ""}, 21603),
        ({"From": "+13105550199"}, 21606),
        ({"From": "+13125550100"}, 21606),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1601}, 21617),
        ({"StatusCallback": "nowhere"}, 21609),
    ],
)
async def test_a_text_that_cannot_be_sent_is_refused_with_twilios_code(
    twilio: Twilio, world: World, fields: dict[str, str], code: int
) -> None:
    answer = await twilio.send(**fields)

    assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (400, code, 400)
    assert world.messages == []


async def test_a_recipient_who_opted_out_is_refused_until_start(twilio: Twilio, client: httpx.AsyncClient) -> None:
    await client.post(f"/phones/{CUSTOMER}/optout")

    refused = await twilio.send()
    await client.post(f"/phones/{CUSTOMER}/texts", json={"to": twilio.number, "body": " start "})

    assert (refused.status_code, refused.json()["code"]) == (400, 21610)
    assert (await twilio.send()).status_code == 201


async def test_the_text_stop_blocks_this_number_only(twilio: Twilio, client: httpx.AsyncClient) -> None:
    await client.post(f"/phones/{CUSTOMER}/texts", json={"to": twilio.number, "body": "Stop"})

    same, other = await twilio.send(), await twilio.send(From=SUN_SHADE.twilio_numbers[1])

    assert (same.json().get("code"), other.status_code) == (21610, 201)


async def test_long_texts_count_their_segments(twilio: Twilio) -> None:
    bodies = ("x" * 160, "x" * 161, "é" * 160, "漢" * 70, "漢" * 71)

    segments = [(await twilio.send(Body=body)).json()["num_segments"] for body in bodies]

    assert segments == ["1", "2", "1", "1", "2"]


async def test_statuses_are_called_back_signed_and_in_order(twilio: Twilio, receiver: Receiver) -> None:
    url = f"{receiver.url}/status?message=1"

    sid = (await twilio.send(StatusCallback=url)).json()["sid"]

    received = await receiver.until(2)
    assert [(one.form()["MessageSid"], one.form()["MessageStatus"]) for one in received] == [
        (sid, "sent"),
        (sid, "delivered"),
    ]
    assert received[0].form().keys() >= {"SmsSid", "SmsStatus", "AccountSid", "From", "To", "ApiVersion"}
    validator = RequestValidator(twilio.token)
    assert all(validator.validate(url, one.form(), one.headers["x-twilio-signature"]) for one in received)


async def test_an_unreachable_phone_reports_its_error(
    twilio: Twilio, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    await client.post(f"/phones/{CUSTOMER}/undeliverable", json={"errorCode": 30003})

    await twilio.send(StatusCallback=f"{receiver.url}/status")

    last = (await receiver.until(2))[1].form()
    assert (last["MessageStatus"], last["ErrorCode"]) == ("undelivered", "30003")


async def test_a_message_is_fetched_by_its_account_only(twilio: Twilio) -> None:
    sid = (await twilio.send()).json()["sid"]

    found, unknown = await twilio.get(f"/Messages/{sid}.json"), await twilio.get("/Messages/SM0.json")
    twilio.sid, twilio.token = "AC00000000000000000000000000000002", "demo-twilio-token-2"
    foreign = await twilio.get(f"/Messages/{sid}.json")

    assert (found.json()["sid"], found.json()["body"]) == (sid, "Hello")
    assert [(one.status_code, one.json()["code"]) for one in (unknown, foreign)] == [(404, 20404)] * 2


async def test_a_queued_message_has_no_date_sent(twilio: Twilio, world: World) -> None:
    world.timing = Timing(text_sent=60, text_delivered=120)

    sent = (await twilio.send()).json()

    shown = (await twilio.get(f"/Messages/{sent['sid']}.json")).json()
    assert (shown["status"], shown["date_sent"]) == ("queued", None)
    assert len((await twilio.get("/Messages.json", To=CUSTOMER)).json()["messages"]) == 1


async def test_lists_are_newest_first_and_filtered(twilio: Twilio, client: httpx.AsyncClient) -> None:
    sids = [(await twilio.send(Body=f"{n}")).json()["sid"] for n in range(3)]
    await twilio.send(To="+13105550124")
    await client.post(f"/phones/{CUSTOMER}/texts", json={"to": twilio.number, "body": "Hi"})

    async def found(**params: str) -> list[str]:
        return [one["sid"] for one in (await twilio.get("/Messages.json", **params)).json()["messages"]]

    to_customer = {"To": CUSTOMER, "From": twilio.number}
    sent = [(await twilio.get(f"/Messages/{sid}.json")).json()["date_sent"] for sid in sids]
    days = sorted({parsedate_to_datetime(moment).date().isoformat() for moment in sent}, reverse=True)
    assert await found(**to_customer) == sids[::-1]
    assert await found(**to_customer, **{"DateSent>": "2026-01-01T00:00:00Z"}) == sids[::-1]
    assert await found(**to_customer, **{"DateSent>": "2999-01-01"}) == []
    assert await found(**to_customer, **{"DateSent<": "2026-01-01"}) == []
    assert [sid for day in days for sid in await found(**to_customer, DateSent=day)] == sids[::-1]
    assert await found(To="+13105550199") == []
    assert len(await found(From=twilio.number)) == 4
    assert len(await found(To=twilio.number, From=CUSTOMER)) == 1


async def test_a_date_that_is_none_is_refused(twilio: Twilio) -> None:
    answer = await twilio.get("/Messages.json", **{"DateSent>": "yesterday"})

    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


async def test_pages_follow_one_another_while_messages_arrive(twilio: Twilio, client: httpx.AsyncClient) -> None:
    sids = [(await twilio.send()).json()["sid"] for _ in range(5)]
    first = (await twilio.get("/Messages.json", To=CUSTOMER, PageSize="2")).json()
    await twilio.send()

    second = (await client.get(f"/twilio{first['next_page_uri']}", auth=(twilio.sid, twilio.token))).json()
    third = (await client.get(f"/twilio{second['next_page_uri']}", auth=(twilio.sid, twilio.token))).json()

    pages = [[one["sid"] for one in page["messages"]] for page in (first, second, third)]
    assert pages == [[sids[4], sids[3]], [sids[2], sids[1]], [sids[0]]]
    assert third["next_page_uri"] is None


async def test_a_customers_text_is_posted_signed_to_the_numbers_url(
    twilio: Twilio, client: httpx.AsyncClient, receiver: Receiver, server: SandboxServer
) -> None:
    url = f"{receiver.url}/sms"
    number = (await twilio.get("/IncomingPhoneNumbers.json", PhoneNumber=twilio.number)).json()
    await twilio.post(f"/IncomingPhoneNumbers/{number['incoming_phone_numbers'][0]['sid']}.json", SmsUrl=url)

    answer = await client.post(f"/phones/{CUSTOMER}/texts", json={"to": twilio.number, "body": "How much? 🚗"})

    (received,) = await receiver.until(1)
    form = received.form()
    assert answer.status_code == 202
    assert (form["From"], form["To"], form["Body"]) == (CUSTOMER, twilio.number, "How much? 🚗")
    assert (form["MessageSid"], form["NumMedia"]) == (answer.json()["id"], "0")
    assert RequestValidator(twilio.token).validate(url, form, received.headers["x-twilio-signature"])
    server.world.twilio_accounts[twilio.sid].numbers[twilio.number].sms_url = None
