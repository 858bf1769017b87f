from __future__ import annotations

from typing import Any

import httpx
import pytest

from lead_orchestrator.integrations.shopmonkey.client import ShopMonkeyBusy, ShopMonkeyClient
from tests.integrations.wire import Answer, Wire

KEY, SHOP = "key-of-the-shop", "loc-1"


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {"id": f"s{number}", "locationId": SHOP, "name": f"Service {number}", **changes}


def page(rows: list[Any], **meta: Any) -> Answer:
    return Answer(200, {"success": True, "data": rows, "meta": meta})


@pytest.fixture
def client(http: httpx.AsyncClient, wire: Wire) -> ShopMonkeyClient:
    return ShopMonkeyClient(http, wire.url, timeout=5)


async def listed(client: ShopMonkeyClient) -> list[str]:
    return [service.id for service in await client.list_canned_services(KEY, SHOP)]


async def test_pages_are_followed_to_the_last_one(client: ShopMonkeyClient, wire: Wire) -> None:
    wire.answers(page([row(1), row(2)], hasMore=True, total=3), page([row(3)], hasMore=False, total=3))

    assert await listed(client) == ["s1", "s2", "s3"]
    assert [request.query["skip"] for request in wire.requests] == ["0", "2"]
    assert {request.query["locationId"] for request in wire.requests} == {SHOP}


async def test_a_list_that_misses_rows_is_walked_again(client: ShopMonkeyClient, wire: Wire) -> None:
    wire.answers(page([row(1)], hasMore=False, total=2), page([row(2), row(1)], hasMore=False, total=2))

    assert sorted(await listed(client)) == ["s1", "s2"]


async def test_a_list_that_never_is_whole_is_taken_as_it_is(client: ShopMonkeyClient, wire: Wire) -> None:
    wire.behaviour = lambda _request: page([row(1)], hasMore=False, total=5)

    assert await listed(client) == ["s1"]
    assert len(wire.requests) == 3


async def test_rows_of_other_locations_and_unreadable_ones_are_left_out(client: ShopMonkeyClient, wire: Wire) -> None:
    rows = [row(1), row(2, locationId="loc-2"), row(3, locationId=None), {"name": "no id"}, "text", None]
    wire.answers(page(rows, hasMore=False))

    assert await listed(client) == ["s1", "s3"]


async def test_an_answer_that_is_no_list_is_no_catalog(client: ShopMonkeyClient, wire: Wire) -> None:
    wire.answers(Answer(200, {"success": True, "data": {"id": "s1"}}))

    with pytest.raises(ShopMonkeyBusy):
        await listed(client)


@pytest.mark.parametrize(
    ("columns", "price", "offered"),
    [
        ({"pricing": "FixedPrice", "fixedPriceCents": 100, "totalCents": 110, "bookable": True}, 100, True),
        (
            {"pricing": "LineItem", "fixedPriceCents": 1, "totalCents": 110, "bookable": True, "deleted": False},
            110,
            True,
        ),
        ({"pricing": None, "totalCents": "x", "bookable": "perhaps"}, None, False),
        ({"totalCents": 5, "bookable": True, "deleted": True}, 5, False),
    ],
)
async def test_price_and_offer_are_read_from_what_is_stated(
    client: ShopMonkeyClient, wire: Wire, columns: dict[str, Any], price: int | None, offered: bool
) -> None:
    wire.answers(Answer(200, {"success": True, "data": row(1, **columns)}))

    found = await client.get_canned_service(KEY, "s1")

    assert found is not None
    assert (found.price_cents, found.offered) == (price, offered)
