from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lead_orchestrator.sandbox.faults import DroppedReply, FaultReplies, guarded
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.sandbox.world import World
from tests.sandbox.receiver import Receiver
from tests.sandbox.wire import CUSTOMER, SendGrid, ShopMonkey, Twilio, quote


async def switch_on(client: httpx.AsyncClient, service: str, kind: str, **changes: Any) -> dict[str, Any]:
    answer = await client.post("/faults", json={"service": service, "kind": kind, **changes})
    assert answer.status_code == 201, answer.text
    fault: dict[str, Any] = answer.json()
    return fault


async def test_a_lost_reply_of_twilio_is_a_dropped_connection_and_the_text_is_recorded(
    client: httpx.AsyncClient, twilio: Twilio
) -> None:
    await switch_on(client, "twilio", "accept_then_drop", count=1)

    with pytest.raises(httpx.RemoteProtocolError, match="disconnected without sending a response"):
        await twilio.send(Body="lost")
    after = await twilio.send(Body="heard")

    assert after.status_code == 201
    listed = (await twilio.get("/Messages.json", To=CUSTOMER)).json()["messages"]
    assert [one["body"] for one in listed] == ["heard", "lost"]
    assert (await client.get("/messages")).json()["count"] == 2


async def test_a_lost_reply_of_sendgrid_is_a_dropped_connection_and_the_mail_is_recorded(
    client: httpx.AsyncClient, sendgrid: SendGrid
) -> None:
    await switch_on(client, "sendgrid", "accept_then_drop", count=1)

    with pytest.raises(httpx.RemoteProtocolError):
        await sendgrid.send()

    assert (await client.get("/messages")).json()["count"] == 1


async def test_a_lost_reply_waits_for_a_send_that_is_accepted(client: httpx.AsyncClient, twilio: Twilio) -> None:
    await switch_on(client, "twilio", "accept_then_drop", count=1)

    refused = await twilio.send(To="nobody")
    listed = await twilio.get("/Messages.json")

    assert (refused.status_code, listed.status_code) == (400, 200)
    with pytest.raises(httpx.RemoteProtocolError):
        await twilio.send()


async def test_a_drop_before_acceptance_records_nothing(
    client: httpx.AsyncClient, twilio: Twilio, world: World
) -> None:
    await switch_on(client, "twilio", "drop", count=1)

    with pytest.raises(httpx.RemoteProtocolError):
        await twilio.send()

    assert world.messages == []


async def test_a_server_that_cannot_drop_says_so() -> None:
    async def drop(_: Request) -> Response:
        return DroppedReply()

    transport = httpx.ASGITransport(Starlette(routes=[Route("/", drop)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://plain") as client:
        with pytest.raises(RuntimeError, match="SandboxServer"):
            await client.get("/")


@pytest.mark.parametrize(("kind", "status"), [("error_500", 500), ("error_429", 429), ("bad_credentials", 401)])
async def test_services_refuse_in_their_own_shape(
    client: httpx.AsyncClient,
    twilio: Twilio,
    sendgrid: SendGrid,
    shopmonkey: ShopMonkey,
    world: World,
    kind: str,
    status: int,
) -> None:
    for service in ("twilio", "sendgrid", "shopmonkey"):
        await switch_on(client, service, kind, count=1, seconds=7)

    answers = [await twilio.send(), await sendgrid.send(), await shopmonkey.get("/order")]

    assert [answer.status_code for answer in answers] == [status] * 3
    assert {answer.headers.get("Retry-After") for answer in answers} == {"7" if status == 429 else None}
    assert answers[0].json()["status"] == status
    assert answers[1].json()["errors"]
    assert answers[2].json()["success"] is False
    assert world.messages == []
    assert (await twilio.send()).status_code == 201  # each struck once


async def test_shopmonkeys_firewall_answers_html(client: httpx.AsyncClient, shopmonkey: ShopMonkey) -> None:
    await switch_on(client, "shopmonkey", "waf_403", count=1)

    answer = await shopmonkey.get("/order")

    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_delay_takes_its_time(client: httpx.AsyncClient, twilio: Twilio, when: str) -> None:
    await switch_on(client, "twilio", "delay", count=1, seconds=0.3, when=when)

    started = time.monotonic()
    assert (await twilio.send()).status_code == 201
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize(("when", "recorded"), [("before", 0), ("after", 1)])
async def test_what_is_held_waits_until_the_fault_is_removed(
    client: httpx.AsyncClient, twilio: Twilio, world: World, when: str, recorded: int
) -> None:
    hold = await switch_on(client, "twilio", "hold", count=2, when=when)
    sending = [asyncio.create_task(twilio.send()) for _ in range(2)]
    while (await client.get("/faults.json")).json()["faults"][0]["waiting"] < 2:
        assert not any(sent.done() for sent in sending)

    assert len(world.messages) == 2 * recorded
    assert (await twilio.send()).status_code == 201  # two were to be held
    assert not any(sent.done() for sent in sending)
    assert (await client.delete(f"/faults/{hold['id']}")).status_code == 200

    assert [(await sent).status_code for sent in sending] == [201, 201]
    assert len(world.messages) == 3


async def test_a_caller_who_gives_up_waiting_has_sent_all_the_same(
    client: httpx.AsyncClient, twilio: Twilio, world: World, receiver: Receiver
) -> None:
    await switch_on(client, "twilio", "delay", count=1, seconds=0.1)
    client.timeout = httpx.Timeout(0.05)

    with pytest.raises(httpx.ReadTimeout):
        await twilio.send(StatusCallback=f"{receiver.url}/status")

    await receiver.until(2)
    assert [message.to for message in world.messages] == [CUSTOMER]


async def test_a_fault_strikes_by_probability_and_where_it_matches(client: httpx.AsyncClient, twilio: Twilio) -> None:
    await switch_on(client, "twilio", "error_500", probability=0.3, match="POST")

    sends = Counter([(await twilio.send()).status_code for _ in range(100)])
    lists = Counter([(await twilio.get("/Messages.json")).status_code for _ in range(20)])

    assert 15 <= sends[500] <= 45
    assert sends[201] == 100 - sends[500]
    assert lists == {200: 20}


async def test_faults_are_listed_and_removed(client: httpx.AsyncClient, twilio: Twilio) -> None:
    first = await switch_on(client, "twilio", "error_500")
    await switch_on(client, "sendgrid", "drop", count=3)

    listed = (await client.get("/faults.json")).json()["faults"]
    removed = await client.delete(f"/faults/{first['id']}")
    again = await client.delete(f"/faults/{first['id']}")

    assert [(one["service"], one["kind"], one["count"]) for one in listed] == [
        ("twilio", "error_500", None),
        ("sendgrid", "drop", 3),
    ]
    assert (removed.status_code, again.status_code) == (200, 404)
    assert (await twilio.send()).status_code == 201
    assert (await client.delete("/faults")).json() == {"removed": 1}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "drop"}, "service is None"),
        ({"service": "fax", "kind": "drop"}, "service 'fax' is unknown"),
        ({"service": "twilio", "kind": "lose"}, "kind 'lose' is unknown for twilio"),
        ({"service": "twilio", "kind": "drop", "probability": 2}, "probability is 2"),
        ({"service": "twilio", "kind": "drop", "count": 0}, "count is 0"),
        ({"service": "twilio", "kind": "drop", "count": "many"}, "count is 'many'"),
        ({"service": "twilio", "kind": "delay", "seconds": -1}, "seconds is -1"),
        ({"service": "twilio", "kind": "delay", "when": "never"}, "when is 'never'"),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, fault: dict[str, Any], said: str
) -> None:
    answer = await client.post("/faults", json=fault)

    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


async def placed_with(client: httpx.AsyncClient, shopmonkey: ShopMonkey, receiver: Receiver, count: int) -> list[str]:
    body = {"name": "Orders", "url": f"{receiver.url}/hook", "triggers": ["OrderInsert"]}
    await shopmonkey.post("/webhook", body)
    return [(await client.post("/quotes", json=quote())).json()["orderId"] for _ in range(count)]


async def test_a_lost_webhook_never_arrives(
    client: httpx.AsyncClient, shopmonkey: ShopMonkey, receiver: Receiver, server: SandboxServer
) -> None:
    await switch_on(client, "webhook", "lose", count=1)

    ids = await placed_with(client, shopmonkey, receiver, 2)
    await server.sandbox.courier.idle()

    assert [one.json()["data"]["id"] for one in receiver.received] == ids[1:]


async def test_a_duplicated_webhook_arrives_that_often(
    client: httpx.AsyncClient, shopmonkey: ShopMonkey, receiver: Receiver
) -> None:
    await switch_on(client, "webhook", "duplicate", count=1, copies=3)

    (order_id,) = await placed_with(client, shopmonkey, receiver, 1)

    received = await receiver.until(3)
    assert {one.json()["data"]["id"] for one in received} == {order_id}


async def test_shuffled_webhooks_all_arrive_in_another_order(
    client: httpx.AsyncClient, shopmonkey: ShopMonkey, receiver: Receiver
) -> None:
    await switch_on(client, "webhook", "shuffle", seconds=0.3)

    ids = await placed_with(client, shopmonkey, receiver, 8)

    arrived = [one.json()["data"]["id"] for one in await receiver.until(8)]
    assert sorted(arrived) == sorted(ids)
    assert arrived != ids


async def test_a_late_webhook_is_overtaken(
    client: httpx.AsyncClient, shopmonkey: ShopMonkey, receiver: Receiver
) -> None:
    await switch_on(client, "webhook", "late", count=1, seconds=0.2)

    ids = await placed_with(client, shopmonkey, receiver, 2)

    assert [one.json()["data"]["id"] for one in await receiver.until(2)] == ids[::-1]


async def test_status_callbacks_have_faults_of_their_own(
    client: httpx.AsyncClient, twilio: Twilio, receiver: Receiver, server: SandboxServer
) -> None:
    await switch_on(client, "twilio_callback", "lose", count=1)

    await twilio.send(StatusCallback=f"{receiver.url}/status")
    await receiver.until(1)
    await server.sandbox.courier.idle()

    assert [one.form()["MessageStatus"] for one in receiver.received] == ["delivered"]


async def test_a_caller_who_goes_away_in_mid_sentence_is_no_error_of_the_services(world: World) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def endpoint(request: Request) -> Response:
        return Response(await request.body())

    request = Request({"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []}, receive)
    answer = await guarded(world.faults, FaultReplies("openai", {}), endpoint)(request)

    assert answer.status_code == 499
