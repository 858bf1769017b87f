from __future__ import annotations

from typing import Any

import httpx
import pytest
from sendgrid.helpers.eventwebhook import EventWebhook

from lead_orchestrator.sandbox.world import World
from tests.sandbox.receiver import Received, Receiver
from tests.sandbox.wire import SendGrid

SETTINGS = "/user/webhooks/event/settings"
PREFIX = "x-twilio-email-event-webhook"
ANN = "ann@example.com"


class Events:
    """The events that the product was posted, batch by batch."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver

    async def until(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """Those of `kind`, once there are so many."""
        posts = 0
        while True:
            found = [event for one in self.receiver.received for event in one.json() if event["event"] == kind]
            if len(found) >= count:
                return found
            posts = len(await self.receiver.until(posts + 1))

    def kinds(self) -> list[str]:
        return [event["event"] for one in self.receiver.received for event in one.json()]


@pytest.fixture
async def events(sendgrid: SendGrid, receiver: Receiver) -> Events:
    await sendgrid.call("PATCH", SETTINGS, {"enabled": True, "url": f"{receiver.url}/events"})
    return Events(receiver)


def verified(received: Received, key: str) -> bool:
    headers = received.headers
    signature, timestamp = headers[f"{PREFIX}-signature"], headers[f"{PREFIX}-timestamp"]
    return bool(EventWebhook(key).verify_signature(received.body.decode(), signature, timestamp))


async def test_events_are_signed_and_carry_the_custom_arguments(sendgrid: SendGrid, events: Events) -> None:
    key = (await sendgrid.call("GET", f"{SETTINGS}/signed")).json()["public_key"]

    message_id = (await sendgrid.send()).headers["X-Message-Id"]

    found = await events.until("processed") + await events.until("delivered")
    assert {event["message_id"] for event in found} == {"m1"}
    assert {event["sg_message_id"].partition(".")[0] for event in found} == {message_id}
    assert len({event["sg_event_id"] for event in found}) == 2
    assert all(verified(one, key) for one in events.receiver.received)


async def test_events_of_many_mails_come_in_few_batches_in_order(
    sendgrid: SendGrid, events: Events, world: World
) -> None:
    world.timing.batch = 0.2

    for _ in range(10):
        await sendgrid.send()

    await events.until("delivered", 10)
    assert events.kinds().count("processed") == 10
    assert len(events.receiver.received) <= 4
    assert events.kinds()[0] == "processed"


async def test_a_batch_that_is_refused_comes_again_with_the_same_events(sendgrid: SendGrid, events: Events) -> None:
    events.receiver.statuses = [500, 503]

    await sendgrid.send()

    first, second, third = (await events.receiver.until(3))[:3]
    assert first.body == second.body == third.body


async def test_a_dead_address_bounces_and_is_written_to_no_more(
    sendgrid: SendGrid, events: Events, client: httpx.AsyncClient
) -> None:
    await client.post(f"/phones/{ANN}/undeliverable", json={"errorCode": 550})
    await sendgrid.send()
    (bounce,) = await events.until("bounce")

    await sendgrid.send()

    (dropped,) = await events.until("dropped")
    assert (bounce["type"], bounce["status"], bounce["email"]) == ("bounce", "5.1.1", ANN)
    assert dropped["reason"] == "Bounced Address"
    assert "delivered" not in events.kinds()


async def test_an_address_that_is_blocked_may_work_later(
    sendgrid: SendGrid, events: Events, client: httpx.AsyncClient
) -> None:
    await client.post(f"/phones/{ANN}/undeliverable", json={"errorCode": 421})
    await sendgrid.send()
    (blocked,) = await events.until("bounce")
    await client.post(f"/phones/{ANN}/undeliverable", json={"errorCode": None})

    await sendgrid.send()

    await events.until("delivered")
    assert blocked["type"] == "blocked"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ("open", None),
        ("click", None),
        ("spamreport", "Spam Reporting Address"),
        ("unsubscribe", "Unsubscribed Address"),
    ],
)
async def test_what_a_reader_does_is_told_and_may_end_the_mails(
    sendgrid: SendGrid, events: Events, client: httpx.AsyncClient, event: str, reason: str | None
) -> None:
    mail_id = (await sendgrid.send()).headers["X-Message-Id"]
    await events.until("delivered")

    answer = await client.post(f"/mails/{mail_id}/events", json={"event": event, "url": "https://shop.example.com/q"})
    (told,) = await events.until(event)
    await sendgrid.send()

    assert answer.status_code == 200
    assert (told["message_id"], told.get("url")) == ("m1", "https://shop.example.com/q" if event == "click" else None)
    if reason:
        assert [one["reason"] for one in await events.until("dropped")] == [reason]
    else:
        await events.until("delivered", 2)


async def test_only_a_mail_that_arrived_can_be_read(
    sendgrid: SendGrid, world: World, client: httpx.AsyncClient
) -> None:
    world.timing.mail_delivered = 2
    mail_id = (await sendgrid.send()).headers["X-Message-Id"]

    answers = [
        await client.post(f"/mails/{mail_id}/events", json={"event": "open"}),
        await client.post(f"/mails/{mail_id}/events", json={"event": "eaten"}),
        await client.post("/mails/nothing/events", json={"event": "open"}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 404]
