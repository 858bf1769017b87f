from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import httpx
import pytest

from lead_orchestrator.sandbox.seed import LOS_ANGELES_LOCATION_ID
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.sandbox.world import Company
from tests.sandbox.receiver import Received, Receiver
from tests.sandbox.wire import ShopMonkey, quote

SECRET = "super-secret"


async def register(shopmonkey: ShopMonkey, receiver: Receiver, **changes: Any) -> dict[str, Any]:
    body = {"name": "Orders", "url": f"{receiver.url}/hook", "triggers": ["Order"], "secret": SECRET, **changes}
    webhook: dict[str, Any] = (await shopmonkey.post("/webhook", body)).json()["data"]
    return webhook


def signature_of(received: Received, key: bytes) -> str:
    signed = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode() + received.body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


async def test_a_quote_is_told_at_once_with_signed_headers(
    client: httpx.AsyncClient, shopmonkey: ShopMonkey, receiver: Receiver
) -> None:
    await register(shopmonkey, receiver)

    placed = (await client.post("/quotes", json=quote(firstName="Zoë"))).json()

    (received,) = await receiver.until(1)
    body = received.json()
    assert (body["operation"], body["table"], body["data"]["id"]) == ("INSERT", "order", placed["orderId"])
    assert "diff" not in body
    assert "customer" not in body["data"]
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"] == "Shopmonkey (+https://shopmonkey.io)"
    assert (received.headers["x-attempt"], received.headers["webhook-version"]) == ("1", "3")
    assert received.headers["x-request-id"]
    assert received.headers["webhook-signature"] == signature_of(received, SECRET.encode())


async def test_a_whsec_secret_is_decoded_before_it_signs(
    client: httpx.AsyncClient, shopmonkey: ShopMonkey, receiver: Receiver
) -> None:
    await register(shopmonkey, receiver, secret="whsec_" + base64.b64encode(b"demo key").decode())

    await client.post("/quotes", json=quote())

    (received,) = await receiver.until(1)
    assert received.headers["webhook-signature"] == signature_of(received, b"demo key")


async def test_a_webhook_without_secret_is_unsigned(
    client: httpx.AsyncClient, shopmonkey: ShopMonkey, receiver: Receiver
) -> None:
    await register(shopmonkey, receiver, secret=None)

    await client.post("/quotes", json=quote())

    (received,) = await receiver.until(1)
    assert "webhook-signature" not in received.headers


async def test_a_change_names_what_changed_and_a_removal_shows_the_row(
    client: httpx.AsyncClient, shopmonkey: ShopMonkey, receiver: Receiver
) -> None:
    await register(shopmonkey, receiver)
    order_id = (await client.post("/quotes", json=quote())).json()["orderId"]
    await receiver.until(1)

    await client.patch(f"/orders/{order_id}", json={"authorized": True, "paid": False})
    update = (await receiver.until(2))[1].json()
    await client.delete(f"/orders/{order_id}")
    removal = (await receiver.until(3))[2].json()

    assert (update["operation"], update["diff"], update["data"]["authorized"]) == ("UPDATE", ["authorized"], True)
    assert (removal["operation"], removal["data"]["deleted"]) == ("DELETE", True)
    assert update["data"]["meta"]["version"] < removal["data"]["meta"]["version"]
    assert (await shopmonkey.get("/order")).json()["meta"]["total"] == 0


async def test_a_refused_delivery_is_tried_again_under_a_new_id(
    client: httpx.AsyncClient, shopmonkey: ShopMonkey, receiver: Receiver, server: SandboxServer
) -> None:
    webhook = await register(shopmonkey, receiver)
    receiver.statuses = [500, 503]

    await client.post("/quotes", json=quote())

    received = await receiver.until(3)
    await server.sandbox.courier.idle()
    assert [one.headers["x-attempt"] for one in received] == ["1", "2", "3"]
    assert len({one.headers["webhook-id"] for one in received}) == 3
    assert len({one.headers["x-request-id"] for one in received}) == 1
    assert (await shopmonkey.get(f"/webhook/{webhook['id']}")).json()["data"]["error"] is False


async def test_a_webhook_that_never_answers_is_in_error(
    client: httpx.AsyncClient, shopmonkey: ShopMonkey, receiver: Receiver, server: SandboxServer
) -> None:
    webhook = await register(shopmonkey, receiver)
    receiver.statuses = [404, 404, 404]

    await client.post("/quotes", json=quote())
    await receiver.until(3)
    await server.sandbox.courier.idle()

    shown = (await shopmonkey.get(f"/webhook/{webhook['id']}")).json()["data"]
    entries = [entry for entry in (await client.get("/log")).json()["entries"] if entry["kind"] == "delivery"]
    assert (shown["error"], shown["errorMessage"]) == (True, "delivery failed: 404")
    assert [(entry["attempt"], entry["delivered"], entry["outcome"]) for entry in entries] == [
        (1, False, "404"),
        (2, False, "404"),
        (3, False, "404"),
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"triggers": ["OrderInsert"]}, True),
        ({"triggers": ["OrderUpdate", "Customer"]}, False),
        ({"enabled": False}, False),
        ({"locationId": LOS_ANGELES_LOCATION_ID}, True),
        ({"locationId": "6198139a5391fa197fac13e8"}, False),
    ],
)
async def test_only_webhooks_that_asked_for_it_are_told(
    client: httpx.AsyncClient,
    shopmonkey: ShopMonkey,
    receiver: Receiver,
    server: SandboxServer,
    company: Company,
    changes: dict[str, Any],
    told: bool,
) -> None:
    await register(shopmonkey, receiver, **changes)
    assert len(company.webhooks) == 1

    await client.post("/quotes", json=quote())
    await server.sandbox.courier.idle()

    assert len(receiver.received) == told
