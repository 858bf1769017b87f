from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from lead_orchestrator.sandbox.seed import demo_world
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.sandbox.world import World
from tests.http import open_http
from tests.sandbox.wire import CUSTOMER, SendGrid, ShopMonkey, Twilio, quote

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class WoundClock:
    """A clock that stands where it was wound to."""

    def __init__(self) -> None:
        self.offset = timedelta()

    async def now(self) -> datetime:
        return NOON + self.offset

    async def wind(self, seconds: float) -> datetime:
        self.offset += timedelta(seconds=seconds)
        return await self.now()

    async def reset(self) -> datetime:
        self.offset = timedelta()
        return await self.now()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"locationId": "nowhere"}, "locationId 'nowhere' is unknown"),
        ({"locationId": None}, "locationId is None"),
        ({"firstName": " "}, "firstName is ' '"),
        ({"phone": "12"}, "phone is '12'"),
        ({"email": "ann"}, "email is 'ann'"),
        ({"vehicle": {"year": "new"}}, "vehicle.year is 'new'"),
        ({"vehicle": {"year": 20210}}, "vehicle.year is 20210"),
        ({"vehicle": "Tesla"}, "must be objects"),
        ({"services": ["Car wash"]}, "service 'Car wash' is unknown"),
        ({"optIn": "yes"}, "optIn is 'yes'"),
        ({"order": {"colour": 1}}, "no column 'colour'"),
    ],
)
async def test_a_quote_that_cannot_be_placed_leaves_nothing_behind(
    client: httpx.AsyncClient, world: World, changes: dict[str, Any], said: str
) -> None:
    answer = await client.post("/quotes", json=quote(**changes))

    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]
    assert list(world.customers()) == []


async def test_a_quote_takes_order_overrides_and_american_numbers(
    client: httpx.AsyncClient, shopmonkey: ShopMonkey
) -> None:
    overrides = {"workflowStatusId": "elsewhere", "messageCount": 2}
    body = quote(phone="(310) 555-0144", name="Tune-up", order=overrides)

    placed = await client.post("/quotes", json=body)

    order = (await shopmonkey.get(f"/order/{placed.json()['orderId']}")).json()["data"]
    customer = (await shopmonkey.get(f"/customer/{placed.json()['customerId']}")).json()["data"]
    assert placed.status_code == 201
    assert (order["name"], order["workflowStatusId"], order["messageCount"]) == ("Tune-up", "elsewhere", 2)
    assert customer["phoneNumbers"][0]["number"] == "+13105550144"


async def test_a_quote_needs_neither_vehicle_nor_contact(client: httpx.AsyncClient) -> None:
    placed = await client.post("/quotes", json=quote(vehicle=None, phone=None, email=None))

    assert (placed.status_code, placed.json()["vehicleId"]) == (201, None)


async def test_an_unknown_order_or_column_is_refused(client: httpx.AsyncClient) -> None:
    order_id = (await client.post("/quotes", json=quote())).json()["orderId"]

    answers = [
        await client.patch("/orders/none", json={"paid": True}),
        await client.delete("/orders/none"),
        await client.patch(f"/orders/{order_id}", json={"colour": 1}),
        await client.patch(f"/orders/{order_id}", content=b"{"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 400, 400]


async def test_a_hard_removal_is_a_404_afterwards(client: httpx.AsyncClient, shopmonkey: ShopMonkey) -> None:
    soft, hard = [(await client.post("/quotes", json=quote())).json()["orderId"] for _ in range(2)]

    await client.delete(f"/orders/{soft}")
    await client.delete(f"/orders/{hard}", params={"hard": "true"})

    assert (await shopmonkey.get(f"/order/{soft}")).json()["data"]["deleted"] is True
    assert (await shopmonkey.get(f"/order/{hard}")).status_code == 404


async def test_messages_are_filtered_and_phones_counted(
    client: httpx.AsyncClient, twilio: Twilio, sendgrid: SendGrid
) -> None:
    await client.post("/quotes", json=quote())
    await twilio.send()
    await sendgrid.send()
    await client.post(f"/phones/{CUSTOMER}/texts", json={"to": twilio.number, "body": "STOP"})

    async def count(**params: str) -> int:
        return int((await client.get("/messages", params=params)).json()["count"])

    assert [await count(), await count(channel="SMS"), await count(channel="email")] == [2, 1, 1]
    assert [await count(direction="inbound"), await count(direction="all")] == [1, 3]
    assert [await count(to="ann@example.com"), await count(to="nobody"), await count(since="9" * 15)] == [1, 0, 0]
    assert (await client.get("/messages", params={"channel": "fax"})).status_code == 400
    assert (await client.get("/phones")).json()["phones"] == [
        {"address": CUSTOMER, "channel": "SMS", "received": 2, "sent": 1, "optedOut": True, "username": None},
        {
            "address": "ann@example.com",
            "channel": "EMAIL",
            "received": 1,
            "sent": 0,
            "optedOut": False,
            "username": None,
        },
    ]


@pytest.mark.parametrize(
    "body", [{"to": "+13105550199", "body": "Hi"}, {"to": "+13105550100", "body": " "}, {"body": "Hi"}, {}]
)
async def test_a_text_from_a_customer_must_go_to_a_known_number(
    client: httpx.AsyncClient, body: dict[str, str]
) -> None:
    assert (await client.post(f"/phones/{CUSTOMER}/texts", json=body)).status_code == 400


async def test_the_log_is_read_from_where_one_stopped(client: httpx.AsyncClient) -> None:
    await client.post("/quotes", json=quote())
    first = (await client.get("/log")).json()
    await client.post("/faults", json={"service": "twilio", "kind": "drop"})

    second = (await client.get("/log", params={"after": first["next"]})).json()

    assert [entry["kind"] for entry in first["entries"]] == ["quote_placed"]
    assert [entry["kind"] for entry in second["entries"]] == ["fault_on"]
    assert (await client.get("/log", params={"after": "now"})).status_code == 400


async def test_quirks_and_timing_are_changed_by_name(client: httpx.AsyncClient) -> None:
    quirks = await client.patch("/quirks", json={"unstableLists": True, "missRate": 0.2})
    timing = await client.patch("/timing", json={"textSent": 1, "retryPauses": [1, 2]})

    assert (quirks.json()["unstableLists"], quirks.json()["missRate"]) == (True, 0.2)
    assert (timing.json()["textSent"], timing.json()["retryPauses"]) == (1, [1, 2])
    wrong = [{"missRates": 1}, {"missRate": "much"}, {"unstableLists": 1}, {"missRate": -1}]
    assert [(await client.patch("/quirks", json=one)).status_code for one in wrong] == [400] * 4


async def test_reset_forgets_what_happened_and_keeps_the_companies(
    client: httpx.AsyncClient, twilio: Twilio, shopmonkey: ShopMonkey
) -> None:
    await client.post("/quotes", json=quote())
    await client.post(f"/phones/{CUSTOMER}/optout")

    await client.post("/reset")

    assert (await shopmonkey.get("/order")).json()["meta"]["total"] == 0
    assert (await client.get("/log")).json()["entries"] == []
    assert (await twilio.send()).status_code == 201


async def test_without_a_clock_time_cannot_be_moved(client: httpx.AsyncClient) -> None:
    answers = [await client.get("/clock.json"), await client.post("/clock", json={"seconds": 60})]

    assert [answer.status_code for answer in answers] == [409, 409]
    assert "without the application's clock" in answers[0].json()["error"]["message"]


async def test_the_clock_is_wound_reset_and_stamps_messages() -> None:
    async with (
        SandboxServer(demo_world(), clock=WoundClock()) as server,
        open_http(server.url) as client,
    ):
        wound = (await client.post("/clock", json={"seconds": 3600})).json()
        await Twilio(client).send()
        shown = (await client.get("/clock.json")).json()
        wrong = [{"seconds": 0}, {"seconds": "1"}, {"seconds": True}, {"seconds": 1e12}, {}]
        refused = [(await client.post("/clock", json=body)).status_code for body in wrong]
        reset = (await client.post("/clock", json={"reset": True})).json()
        message = (await client.get("/messages")).json()["messages"][0]

    assert wound["app"] == shown["app"] == "2026-11-22T13:00:00+00:00"
    assert reset["app"] == "2026-11-22T12:00:00+00:00"
    assert message["appTime"] == "2026-11-22T13:00:00+00:00"
    assert refused == [400] * 5
