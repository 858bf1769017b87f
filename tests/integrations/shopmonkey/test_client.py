from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from lead_orchestrator.integrations.shopmonkey.client import ShopMonkeyBusy, ShopMonkeyClient, ShopMonkeyRefused
from tests.integrations.wire import Answer, Hangup, Received, Silence, Wire

KEY, SHOP = "key-of-the-shop", "loc-1"
SINCE = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def order(order_id: str, **changes: Any) -> dict[str, Any]:
    return {"id": order_id, "locationId": SHOP, "updatedDate": "2026-11-22T10:00:00.000Z", **changes}


def page(orders: list[Any], **meta: Any) -> Answer:
    return Answer(200, {"success": True, "data": orders, "meta": meta})


@pytest.fixture
def client(http: httpx.AsyncClient, wire: Wire) -> ShopMonkeyClient:
    return ShopMonkeyClient(http, wire.url, timeout=5)


async def changed(client: ShopMonkeyClient, most_pages: int = 50) -> list[str]:
    return [order.id async for order in client.iter_changed_orders(KEY, SHOP, SINCE, most_pages=most_pages)]


async def test_a_row_is_read_with_the_tenants_key(client: ShopMonkeyClient, wire: Wire) -> None:
    wire.answers(Answer(200, {"success": True, "data": order("61f9/x", name="New Quote", status="Estimate")}))
    found = await client.get_order(KEY, "61f9/x")
    assert found is not None
    assert (found.id, found.name, found.status) == ("61f9/x", "New Quote", "Estimate")
    assert wire.requests[0].target == "/v3/order/61f9%2Fx"
    assert wire.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_customer_vehicle_and_location_are_read_alike(client: ShopMonkeyClient, wire: Wire) -> None:
    wire.behaviour = lambda request: Answer(200, {"success": True, "data": {"id": request.path.rsplit("/", 1)[1]}})
    rows = [
        await client.get_customer(KEY, "c"),
        await client.get_vehicle(KEY, "v"),
        await client.get_location(KEY, "l"),
    ]
    assert [row and row.id for row in rows] == ["c", "v", "l"]
    assert [request.path for request in wire.requests] == ["/v3/customer/c", "/v3/vehicle/v", "/v3/location/l"]


async def test_a_row_that_does_not_exist_is_none(client: ShopMonkeyClient, wire: Wire) -> None:
    wire.answers(Answer(404, {"success": False, "message": "not found"}))
    assert await client.get_order(KEY, "gone") is None


@pytest.mark.parametrize("row_id", ["", ".", "..", " ", "a\nb"])
async def test_an_id_that_names_no_row_is_not_asked_for(client: ShopMonkeyClient, wire: Wire, row_id: str) -> None:
    assert await client.get_order(KEY, row_id) is None
    assert wire.requests == []


async def test_another_row_than_asked_for_is_not_taken(client: ShopMonkeyClient, wire: Wire) -> None:
    wire.answers(Answer(200, {"success": True, "data": order("2")}))
    with pytest.raises(ShopMonkeyBusy):
        await client.get_order(KEY, "1")


@pytest.mark.parametrize(("status", "credentials"), [(400, False), (401, True), (403, True), (422, False)])
async def test_shopmonkeys_own_refusal_is_final(
    client: ShopMonkeyClient, wire: Wire, status: int, credentials: bool
) -> None:
    wire.answers(Answer(status, {"success": False, "message": f"bad key {KEY}"}))
    with pytest.raises(ShopMonkeyRefused) as caught:
        await client.get_order(KEY, "1")
    assert caught.value.credentials is credentials
    assert KEY not in str(caught.value)


async def test_a_key_that_cannot_be_sent_is_refused(client: ShopMonkeyClient, wire: Wire) -> None:
    with pytest.raises(ShopMonkeyRefused) as caught:
        await client.get_order("schlüssel", "1")
    assert caught.value.credentials
    assert wire.requests == []


@pytest.mark.parametrize(
    "reaction",
    [
        Answer(429, {"success": False}),
        Answer(429, ""),
        Answer(500, {"success": False}),
        Answer(502, "<html>"),
        Answer(403, "<html>Attention Required! | Cloudflare"),
        Answer(404, "<html>"),
        Answer(302, ""),
        Answer(200, "<html>"),
        Answer(200, {"success": False}),
        Answer(200, {"success": True}),
        Answer(200, {"success": True, "data": {"id": None}}),
        Hangup(),
        Silence(),
    ],
)
async def test_everything_else_is_busy(
    http: httpx.AsyncClient, wire: Wire, reaction: Answer | Hangup | Silence
) -> None:
    client = ShopMonkeyClient(http, wire.url, timeout=0.3 if isinstance(reaction, Silence) else 5)
    wire.answers(reaction)
    with pytest.raises(ShopMonkeyBusy):
        await client.get_order(KEY, "1")


async def test_the_rate_limits_wait_is_handed_on(client: ShopMonkeyClient, wire: Wire) -> None:
    wire.answers(Answer(429, {"success": False}, {"Retry-After": "42"}))
    with pytest.raises(ShopMonkeyBusy) as caught:
        await changed(client)
    assert caught.value.retry_after == 42


async def test_lists_are_asked_for_as_shopmonkey_understands(client: ShopMonkeyClient, wire: Wire) -> None:
    wire.answers(page([order("1")], hasMore=False))
    await client.list_orders(KEY, location_id=SHOP, updated_since=SINCE, skip=20, limit=500)
    query = wire.requests[0].query
    assert json.loads(query["where"]) == {"updatedDate": {"gte": "2026-11-22T10:00:00.000Z"}}
    assert json.loads(query["orderby"]) == {"updatedDate": "asc"}
    assert (query["locationId"], query["limit"], query["skip"]) == (SHOP, "100", "20")


async def test_rows_the_server_should_have_filtered_are_dropped(client: ShopMonkeyClient, wire: Wire) -> None:
    rows = [
        order("kept"),
        order("old", updatedDate="2026-11-22T09:59:59.000Z"),
        order("elsewhere", locationId="loc-2"),
        order("new row", updatedDate=None, createdDate="2026-11-22T11:00:00.000Z"),
        order("undated", updatedDate=None),
        {"locationId": SHOP},
        None,
    ]
    wire.answers(page(rows, hasMore=False))
    assert await changed(client) == ["kept", "new row", "undated"]


def pages_of(sizes: list[int], **meta: Any) -> Callable[[Received], Answer]:
    """Pages of the given sizes by skip, each beginning with the row the page before ended with."""
    starts = {str(sum(sizes[:index])): (index, size) for index, size in enumerate(sizes)}

    def answer(request: Received) -> Answer:
        index, size = starts.get(request.query["skip"], (0, 0))
        first = max(sum(sizes[:index]) - index, 0)
        return page([order(str(number)) for number in range(first, first + size)], **meta)

    return answer


async def test_every_page_is_read_and_each_order_comes_once(client: ShopMonkeyClient, wire: Wire) -> None:
    wire.behaviour = pages_of([100, 100, 30])
    found = await changed(client)
    assert found == [str(number) for number in range(228)]
    assert [request.query["skip"] for request in wire.requests] == ["0", "100", "200"]


async def test_a_clamped_page_goes_on_while_more_is_announced(client: ShopMonkeyClient, wire: Wire) -> None:
    def answer(request: Received) -> Answer:
        skip = int(request.query["skip"])
        return page([order(str(skip + number)) for number in range(10)], hasMore=skip < 20)

    wire.behaviour = answer
    assert len(await changed(client)) == 30


async def test_an_endless_list_ends(client: ShopMonkeyClient, wire: Wire) -> None:
    wire.answers(page([order("1")], hasMore=True))
    assert await changed(client, most_pages=3) == ["1"]
    assert len(wire.requests) == 3
    wire.answers(page([], hasMore=True))
    assert await changed(client) == []
    assert len(wire.requests) == 4
