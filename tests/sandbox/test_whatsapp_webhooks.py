from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from lead_orchestrator.integrations.whatsapp.signature import SIGNATURE_HEADER, verify
from lead_orchestrator.integrations.whatsapp.webhook import InboundMessage, StatusUpdate, parse
from lead_orchestrator.sandbox.faults import Fault
from lead_orchestrator.sandbox.seed import CLEAR_VIEW, SUN_SHADE
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.sandbox.signatures import sign_meta_webhook
from lead_orchestrator.sandbox.world import World
from tests.sandbox.receiver import Receiver
from tests.sandbox.wire import CUSTOMER, WhatsApp, quote

TOKEN = "verify-me"


def echo(path: str) -> bytes:
    """A receiver that knows the token gives the challenge back."""
    query = parse_qs(urlsplit(path).query)
    return query["hub.challenge"][0].encode() if query.get("hub.verify_token") == [TOKEN] else b"no"


class Posted:
    """What Meta posted, read by the product's own reader."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver

    async def messages(self, count: int = 1) -> list[InboundMessage]:
        return await self._until(lambda batch: batch.messages, count)

    async def statuses(self, count: int = 1) -> list[StatusUpdate]:
        return await self._until(lambda batch: batch.statuses, count)

    async def _until(self, of: Any, count: int) -> list[Any]:
        posts = 0
        while True:
            received = [one for one in self.receiver.received if one.body]
            found = [item for one in received for item in of(parse(one.body))]
            if len(found) >= count:
                return found
            posts = len(await self.receiver.until(posts + 1))


@pytest.fixture
async def posted(receiver: Receiver, client: httpx.AsyncClient) -> Posted:
    receiver.body = echo
    answer = await client.post(
        "/callbacks", json={"whatsappUrl": f"{receiver.url}/whatsapp", "whatsappVerifyToken": TOKEN}
    )
    assert answer.json()["whatsapp"]["whatsappUrl"] == f"{receiver.url}/whatsapp"
    receiver.received.clear()
    return Posted(receiver)


def test_a_body_signs_as_the_known_vector() -> None:
    # RFC 4231's second vector for HMAC-SHA256
    expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert sign_meta_webhook("Jefe", b"what do ya want for nothing?") == expected


async def test_an_address_must_pass_the_handshake(receiver: Receiver, client: httpx.AsyncClient, world: World) -> None:
    receiver.body = echo
    app, url = world.whatsapp_app, f"{receiver.url}/whatsapp"
    form = {
        "object": "whatsapp_business_account",
        "callback_url": url,
        "verify_token": "other",
        "access_token": f"{app.id}|{app.secret}",
    }
    path = f"/whatsapp/v25.0/{app.id}/subscriptions"

    refused = await client.post(path, data=form)
    without = app.url
    taken = await client.post(path, data={**form, "verify_token": TOKEN})
    stranger = await client.post(path, data={**form, "access_token": "x"})

    assert (refused.status_code, refused.json()["error"]["code"], without) == (400, 2200, None)
    assert (taken.json(), app.url) == ({"success": True}, url)
    assert stranger.json()["error"]["code"] == 190
    asked = parse_qs(urlsplit(receiver.received[0].path).query)
    assert asked.keys() == {"hub.mode", "hub.challenge", "hub.verify_token"}


@pytest.mark.parametrize("status", [403, 500])
async def test_an_address_that_answers_no_is_not_used(
    receiver: Receiver, client: httpx.AsyncClient, world: World, status: int
) -> None:
    receiver.body, receiver.statuses = echo, [status]
    body = {"whatsappUrl": f"{receiver.url}/whatsapp", "whatsappVerifyToken": TOKEN}

    answer = await client.post("/callbacks", json=body)

    assert answer.status_code == 400
    assert str(status) in answer.json()["error"]["message"]
    assert world.whatsapp_app.url is None


async def test_a_customers_message_is_posted_signed(
    whatsapp: WhatsApp, posted: Posted, client: httpx.AsyncClient, world: World
) -> None:
    await client.post("/quotes", json=quote())

    answer = await whatsapp.write("How much? 🚗")

    (found,) = await posted.messages()
    assert (found.message_id, found.phone_number_id) == (answer.json()["id"], whatsapp.number_id)
    assert (found.phone, found.name, found.text, found.kind) == (CUSTOMER, "Ann Lee", "How much? 🚗", "text")
    (received,) = posted.receiver.received
    verify([world.whatsapp_app.secret], received.body, received.headers[SIGNATURE_HEADER])
    expected = hmac.new(world.whatsapp_app.secret.encode(), received.body, hashlib.sha256).hexdigest()
    assert received.headers[SIGNATURE_HEADER] == f"sha256={expected}"
    assert received.body.isascii()


async def test_a_person_with_a_username_has_no_number_and_can_be_answered(
    whatsapp: WhatsApp, posted: Posted, client: httpx.AsyncClient
) -> None:
    await client.post(f"/phones/{CUSTOMER}/username", json={"username": "ann.tints"})

    await whatsapp.write()
    (found,) = await posted.messages()
    await whatsapp.send(to=None, recipient=found.user_id)

    sent, delivered = await posted.statuses(2)
    assert found.phone is None
    assert found.user_id == sent.user_id == delivered.user_id
    assert (sent.phone, sent.status, delivered.status) == (None, "sent", "delivered")
    assert CUSTOMER[1:].encode() not in b"".join(one.body for one in posted.receiver.received)


async def test_a_user_id_is_another_one_for_each_business(whatsapp: WhatsApp, posted: Posted) -> None:
    await whatsapp.write()
    await whatsapp.write(to=CLEAR_VIEW.whatsapp_number)
    first, second = await posted.messages(2)
    assert first.user_id != second.user_id


async def test_statuses_carry_the_reference_up_to_read(whatsapp: WhatsApp, posted: Posted) -> None:
    await whatsapp.template("quote_ready", "Ann", "Shop", biz_opaque_callback_data="m1")
    await posted.statuses(2)

    await whatsapp.write("Sure")

    found = await posted.statuses(3)
    assert [(one.status, one.reference, one.phone) for one in found] == [
        ("sent", "m1", CUSTOMER), ("delivered", "m1", CUSTOMER), ("read", "m1", CUSTOMER)
    ]  # fmt: skip
    assert len({one.message_id for one in found}) == 1


async def test_a_message_is_read_once(whatsapp: WhatsApp, posted: Posted, client: httpx.AsyncClient) -> None:
    await whatsapp.template("quote_ready", "Ann", "Shop")
    await posted.statuses(2)
    counts = [(await client.post(f"/phones/{CUSTOMER}/read")).json()["read"] for _ in range(2)]
    assert counts == [1, 0]


async def test_a_button_names_the_message_it_belongs_to(whatsapp: WhatsApp, posted: Posted) -> None:
    sent = (await whatsapp.template("quote_ready", "Ann", "Shop")).json()["messages"][0]["id"]
    await whatsapp.write("Yes please", inReplyTo=sent, button=True)
    (found,) = await posted.messages()
    assert (found.kind, found.text, found.replied_to) == ("button", "Yes please", sent)


async def test_who_cannot_be_reached_is_told_later(
    whatsapp: WhatsApp, posted: Posted, client: httpx.AsyncClient
) -> None:
    await client.post(f"/phones/{CUSTOMER}/undeliverable")
    answer = await whatsapp.template("quote_ready", "Ann", "Shop")
    (failed,) = await posted.statuses()
    assert (answer.status_code, failed.status, failed.error_code) == (200, "failed", 131026)


async def test_a_closed_window_can_be_told_later(whatsapp: WhatsApp, posted: Posted, client: httpx.AsyncClient) -> None:
    await client.post("/faults", json={"service": "whatsapp", "kind": "refuse_later", "count": 1})
    answer = await whatsapp.send()
    (failed,) = await posted.statuses()
    assert (answer.status_code, failed.status, failed.error_code) == (200, "failed", 131047)


async def test_a_user_id_in_place_of_a_number_reaches_nobody(whatsapp: WhatsApp, posted: Posted, world: World) -> None:
    await whatsapp.write()
    answer = await whatsapp.template("quote_ready", "Ann", "Shop", to=world.user_id(SUN_SHADE.name, CUSTOMER))
    await whatsapp.write("still nothing")
    await posted.messages(2)
    assert answer.status_code == 200
    assert [one for received in posted.receiver.received for one in parse(received.body).statuses] == []


async def test_what_happens_together_comes_in_one_batch(whatsapp: WhatsApp, posted: Posted, world: World) -> None:
    world.timing.batch = 0.2

    for number in range(5):
        await whatsapp.write(f"text {number}")
    await whatsapp.write("other shop", to=CLEAR_VIEW.whatsapp_number)

    found = await posted.messages(6)
    assert [one.text for one in found] == [*(f"text {number}" for number in range(5)), "other shop"]
    assert {one.phone_number_id for one in found} == {SUN_SHADE.whatsapp_number_id, CLEAR_VIEW.whatsapp_number_id}
    assert len(posted.receiver.received) <= 2


async def test_a_batch_that_is_refused_comes_again(whatsapp: WhatsApp, posted: Posted) -> None:
    posted.receiver.statuses = [500]
    await whatsapp.write("Hi")
    first, second = await posted.receiver.until(2)
    assert first.body == second.body


@pytest.mark.parametrize(("kind", "texts"), [("duplicate", ["first", "first", "second"]), ("lose", ["second"])])
async def test_webhooks_have_faults_of_their_own(
    whatsapp: WhatsApp, posted: Posted, server: SandboxServer, kind: str, texts: list[str]
) -> None:
    server.world.faults.add(Fault("whatsapp_webhook", kind, count=1))
    await whatsapp.write("first")
    await server.sandbox.courier.idle()
    await whatsapp.write("second")
    await server.sandbox.courier.idle()
    assert [one.text for one in await posted.messages(len(texts))] == texts
