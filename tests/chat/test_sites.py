"""The chat on a shop's own site: browsers are told what its origins may do, and a visitor's token is good on them alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text

from tests.chat.site import SLUG, START, Site, Visitor, open_site, widget
from tests.database import Cluster, TestDatabase
from tests.graphql.subscriptions.client import opened

SHOP, OTHER_SHOP, EVIL = "https://shop.example.com", "https://other-shop.example.com", "https://evil.example.com"
PATIENCE = 30.0


@pytest_asyncio.fixture(scope="module")
async def site(database_of_module: TestDatabase, cluster: Cluster) -> AsyncIterator[Site]:
    async with open_site(database_of_module, cluster.redis_url, public_reads_per_minute=10_000) as site:
        other = next(slug for slug in site.stack.locations if slug != SLUG)
        async with site.stack.services.tenancy.write(site.stack.scope) as session:
            for slug, origin in ((SLUG, SHOP), (other, OTHER_SHOP)):
                statement = text("UPDATE locations SET allowed_origins = ARRAY[:origin] WHERE slug = :slug")
                await session.execute(statement, {"origin": origin, "slug": slug})
        yield site


@pytest_asyncio.fixture
async def visitor(site: Site) -> Visitor:
    return site.entered(await site.start(origin=SHOP, locationSlug=SLUG))


async def post(
    site: Site, origin: str | None, query: str, token: str | None = None, **variables: Any
) -> httpx.Response:
    headers = {
        **({"Origin": origin} if origin is not None else {}),
        **({"Authorization": f"Bearer {token}"} if token else {}),
    }
    return await site.http.post("/graphql", json={"query": query, "variables": variables}, headers=headers)


def cors(answer: httpx.Response) -> dict[str, str]:
    assert "access-control-allow-credentials" not in answer.headers
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


async def ask_before(site: Site, origin: str) -> httpx.Response:
    """As a browser does before it posts JSON with a token."""
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return await site.http.options("/graphql", headers=asked)


async def test_a_preflight_is_answered_for_listed_sites_alone(site: Site) -> None:
    listed, other, evil = [await ask_before(site, origin) for origin in (SHOP, OTHER_SHOP, EVIL)]

    assert (listed.status_code, evil.status_code, listed.content) == (204, 204, b"")
    assert listed.headers["access-control-allow-origin"] == SHOP
    assert other.headers["access-control-allow-origin"] == OTHER_SHOP
    assert {"authorization", "content-type"} <= set(listed.headers["access-control-allow-headers"].split(", "))
    assert "POST" in listed.headers["access-control-allow-methods"]
    assert cors(listed)
    assert cors(evil) == {}
    assert all("Origin" in answer.headers["vary"] for answer in (listed, evil))


async def test_the_whole_way_of_a_chat_may_be_read_on_the_shops_site(site: Site, visitor: Visitor) -> None:
    said = {"sessionId": visitor.session_id, "text": "Hello", "clientId": "c1"}
    answers = [
        await post(site, SHOP, START, i={"locationSlug": SLUG}),
        await post(site, SHOP, START, i={"chatToken": visitor.secret}),
        await post(site, SHOP, widget("WidgetSendChatMessage"), visitor.token, input=said),
        await post(site, SHOP, widget("WidgetChatSession"), visitor.token, id=visitor.session_id, last=5),
        await post(site, SHOP, widget("WidgetChatSession"), "a token that has expired", id=visitor.session_id),
        await site.http.post("/graphql", content=b"{", headers={"Origin": SHOP, "Content-Type": "application/json"}),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 200, 400]
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {SHOP}
    assert {answer.headers["vary"] for answer in answers} == {"Origin"}
    assert all(cors(answer) for answer in answers)
    assert await visitor.talk.said() == [("USER", "Hello")]


async def test_an_unknown_site_is_told_nothing(site: Site) -> None:
    for origin in (EVIL, "null", "", f"{SHOP}.evil.example.com", f"{SHOP}/", SHOP.upper(), "http://shop.example.com"):
        answer = await post(site, origin, START, i={"locationSlug": SLUG})

        assert cors(answer) == {}
        assert answer.headers["vary"] == "Origin"
        assert [error["code"] for error in answer.json()["data"]["startChat"]["errors"]] == ["ORIGIN_NOT_ALLOWED"]


@pytest.mark.parametrize("origin", [EVIL, OTHER_SHOP, "null"])
async def test_a_visitors_token_does_nothing_on_another_site(site: Site, visitor: Visitor, origin: str) -> None:
    said = {"sessionId": visitor.session_id, "text": "Hello", "clientId": "c1"}

    sent = await post(site, origin, widget("WidgetSendChatMessage"), visitor.token, input=said)
    renewed = await site.start(origin=origin, chatToken=visitor.secret)

    assert (sent.status_code, cors(sent), sent.headers["vary"]) == (403, {}, "Origin")
    assert [error["extensions"] for error in sent.json()["errors"]] == [
        {"code": "FORBIDDEN", "reason": "ORIGIN_NOT_ALLOWED"}
    ]
    assert [error["code"] for error in renewed["errors"]] == ["ORIGIN_NOT_ALLOWED"]
    assert renewed["visitorToken"] is None
    assert await visitor.talk.said() == []


async def test_our_own_pages_and_programs_need_no_list(site: Site, visitor: Visitor) -> None:
    query = {"id": visitor.session_id, "last": 5}
    own = await post(site, site.url, widget("WidgetChatSession"), visitor.token, **query)
    program = await post(site, None, widget("WidgetChatSession"), visitor.token, **query)

    assert own.json()["data"] == program.json()["data"]
    assert "vary" not in program.headers


async def test_staffs_answers_are_for_no_other_site(site: Site) -> None:
    answer = await post(site, SHOP, "{ viewer { role } }", site.staff())

    assert answer.json() == answer.json() | {"data": {"viewer": {"role": "OWNER"}}}
    assert cors(answer) == {}


@pytest.mark.parametrize(("origin", "heard"), [(SHOP, True), (None, True), (EVIL, False), (OTHER_SHOP, False)])
async def test_a_visitors_socket_is_opened_on_its_shops_sites(
    site: Site, visitor: Visitor, origin: str | None, heard: bool
) -> None:
    async with opened(site.url, origin=origin) as peer:
        await peer.say(type="connection_init", payload={"Authorization": f"Bearer {visitor.token}"})
        if heard:
            assert (await peer.hear(PATIENCE))["type"] == "connection_ack"
        else:
            code, reason = await peer.closed(PATIENCE)
            assert (code, "may not call" in reason) == (4401, True)
