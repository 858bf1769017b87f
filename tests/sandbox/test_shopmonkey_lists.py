from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from lead_orchestrator.sandbox.quotes import place_quote, read_quote
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.sandbox.world import Quirks, World
from tests.sandbox.wire import ShopMonkey, quote


def place(server: SandboxServer, count: int) -> list[str]:
    return [place_quote(server.sandbox, read_quote(quote(firstName=f"Ann{n}"))).order_id for n in range(count)]


async def orders(shopmonkey: ShopMonkey, **params: Any) -> list[str]:
    return [row["id"] for row in (await shopmonkey.get("/order", **params)).json()["data"]]


async def test_a_list_row_carries_customer_and_vehicle(server: SandboxServer, shopmonkey: ShopMonkey) -> None:
    place(server, 1)

    row = (await shopmonkey.get("/order")).json()["data"][0]

    assert (row["customer"]["firstName"], row["vehicle"]["make"]) == ("Ann0", "Tesla")


async def test_pages_are_clamped_to_100_and_say_whether_there_is_more(
    server: SandboxServer, shopmonkey: ShopMonkey
) -> None:
    ids = place(server, 130)
    order = json.dumps({"number": "asc"})

    first = (await shopmonkey.get("/order", limit=500, orderby=order)).json()
    second = (await shopmonkey.get("/order", limit=500, orderby=order, skip=100, page=9, offset=9)).json()

    assert [row["id"] for row in first["data"] + second["data"]] == ids
    assert (first["meta"], second["meta"]) == ({"total": 130, "hasMore": True}, {"total": 130, "hasMore": False})


async def test_order_by_in_camel_case_is_ignored(server: SandboxServer, shopmonkey: ShopMonkey) -> None:
    ids = place(server, 40)
    by_number = json.dumps({"number": "desc"})

    honoured = await orders(shopmonkey, orderby=by_number)
    ignored = [await orders(shopmonkey, orderBy=by_number) for _ in range(2)]

    assert honoured == ids[::-1]
    assert ignored[0] != ignored[1]
    assert sorted(ignored[0]) == sorted(ids)


async def test_where_honours_five_operators_and_ignores_the_rest(server: SandboxServer, shopmonkey: ShopMonkey) -> None:
    ids = place(server, 10)
    rows = {row["id"]: row for row in (await shopmonkey.get("/order")).json()["data"]}
    fifth = rows[ids[4]]

    async def count(**where: Any) -> int:
        return len(await orders(shopmonkey, where=json.dumps(where)))

    assert await count(createdDate={"gte": "2026-01-01T00:00:00Z"}) == 10
    assert await count(createdDate={"lt": "2026-01-01T00:00:00Z"}) == 0
    assert await count(number={"lte": fifth["number"]}) == 5
    assert await count(number={"gt": fifth["number"], "lt": rows[ids[9]]["number"]}) == 4
    assert await count(generatedCustomerName={"contains": "ann3"}) == 1
    assert await count(number={"eq": fifth["number"]}) == 10
    assert await count(number=fifth["number"]) == 10
    assert await count(noSuchField={"gte": 1}) == 10
    assert len(await orders(shopmonkey, startDate="2030-01-01", endDate="2031-01-01")) == 10


@pytest.mark.parametrize(
    "params",
    [
        {"where": "{"},
        {"where": "[1]"},
        {"where": "[" * 20_000},
        {"orderby": "createdDate"},
        {"limit": "many"},
    ],
)
async def test_a_parameter_that_cannot_be_read_is_refused(shopmonkey: ShopMonkey, params: dict[str, str]) -> None:
    answer = await shopmonkey.get("/order", **params)

    assert (answer.status_code, answer.json()["success"]) == (400, False)


async def test_odd_values_in_where_and_order_find_nothing_or_everything_but_never_fail(
    server: SandboxServer, shopmonkey: ShopMonkey
) -> None:
    place(server, 2)

    wheres = ('{"number":{"gt":' + "9" * 400 + "}}", '{"number":{"gt":null}}', '{"name":{"gte":[1]}}')
    answers = [await shopmonkey.get("/order", where=where) for where in wheres]
    answers += [await shopmonkey.get("/order", orderby=json.dumps({"meta": "asc", "dueDate": 3}))]

    assert [answer.status_code for answer in answers] == [200] * 4


async def test_unstable_lists_leave_out_about_41_percent_at_random(
    server: SandboxServer, shopmonkey: ShopMonkey, world: World
) -> None:
    world.quirks = Quirks()
    ids = set(place(server, 100))

    calls = [set(await orders(shopmonkey, orderby='{"createdDate":"asc"}')) for _ in range(30)]

    missed = 1 - sum(len(found) for found in calls) / (30 * len(ids))
    assert missed == pytest.approx(0.41, abs=0.05)
    assert set().union(*calls) == ids  # the union of repeated calls converges


async def test_unstable_pages_overlap_by_about_a_tenth_and_ignore_the_order(
    server: SandboxServer, shopmonkey: ShopMonkey, world: World
) -> None:
    world.quirks = Quirks()
    ids = place(server, 300)

    pages = [await orders(shopmonkey, orderby='{"number":"asc"}') for _ in range(30)]

    overlaps = [len(set(a) & set(b)) / len(set(a) | set(b)) for a, b in pairwise(pages)]
    assert sum(overlaps) / len(overlaps) == pytest.approx(0.1, abs=0.04)
    assert pages[0] != sorted(pages[0], key=ids.index)
