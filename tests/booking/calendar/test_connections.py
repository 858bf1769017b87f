"""The consent: who asked for it, what comes back, what is shown."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from lead_orchestrator.errors import BadInputError, NotFoundError, UnavailableError
from lead_orchestrator.tenancy.tokens import Role
from tests.booking.calendar.shop import Shop
from tests.database import Cluster, TestDatabase
from tests.sandbox.google import ACCOUNT, decide
from tests.serving import bearer, serving
from tests.stack import Stack, open_stack

CALENDAR = "query($l: ID!) { location(id: $l) { calendar { provider email status syncedAt error } } }"
CONNECT = "mutation($l: ID!) { connectGoogleCalendar(locationId: $l) { authorizationUrl errors { code } } }"
DISCONNECT = "mutation($l: ID!) { disconnectGoogleCalendar(locationId: $l) { location { id } errors { code } } }"


async def ask(api: httpx.AsyncClient, shop: Shop, query: str, role: Role = Role.OWNER) -> dict[str, Any]:
    body = {"query": query, "variables": {"l": f"loc_{shop.location_id}"}}
    answer = await api.post("/graphql", json=body, headers=bearer(shop.stack, role))
    return dict(answer.json())


async def test_a_manager_connects_looks_and_disconnects(shop: Shop, stack: Stack) -> None:
    async with serving(stack.settings) as api:
        assert (await ask(api, shop, CALENDAR))["data"]["location"]["calendar"] is None
        asked = (await ask(api, shop, CONNECT, Role.MANAGER))["data"]["connectGoogleCalendar"]
        assert asked["errors"] == []
        assert (await ask(api, shop, CALENDAR))["data"]["location"]["calendar"] is None

        target = await decide(stack.http, asked["authorizationUrl"])
        page = await api.get(target.removeprefix(stack.settings.public_url))
        assert (page.status_code, "kept in step with Sun Shade Tint Los Angeles" in page.text) == (200, True)
        await shop.sync()

        shown = (await ask(api, shop, CALENDAR))["data"]["location"]["calendar"]
        assert (shown["provider"], shown["email"], shown["status"], shown["error"]) == (
            "GOOGLE",
            ACCOUNT,
            "CONNECTED",
            None,
        )
        assert shown["syncedAt"] is not None

        assert (await ask(api, shop, DISCONNECT))["data"]["disconnectGoogleCalendar"]["errors"] == []
        assert (await ask(api, shop, CALENDAR))["data"]["location"]["calendar"] is None
        await shop.sync()
        assert await shop.connection() is None
        assert [grant.revoked for grant in stack.world.google.grants.values()] == [True]
        assert shop.account.channels == {}


async def test_a_consent_counts_in_the_browser_that_asked_for_it_alone(shop: Shop, stack: Stack) -> None:
    async with serving(stack.settings) as browser:
        asked = (await ask(browser, shop, CONNECT, Role.MANAGER))["data"]["connectGoogleCalendar"]
        path = (await decide(stack.http, asked["authorizationUrl"])).removeprefix(stack.settings.public_url)

        async with httpx.AsyncClient(base_url=browser.base_url) as elsewhere:
            elsewhere.cookies.set(*next((name, "AAAA") for name in browser.cookies), path="/google/callback")
            refused = await elsewhere.get(path)
        assert (refused.status_code, "not asked for in this browser" in refused.text) == (403, True)
        found = await shop.connection()
        assert found is not None
        assert found["status"] == "PENDING"

        assert (await browser.get(path)).status_code == 200
        [cookie] = browser.cookies.jar
        assert (cookie.path, cookie.has_nonstandard_attr("HttpOnly")) == ("/google/callback", True)


async def test_an_agent_connects_nothing(shop: Shop, stack: Stack) -> None:
    async with serving(stack.settings) as api:
        answer = await ask(api, shop, CONNECT, Role.AGENT)

    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert await shop.connection() is None


async def test_tokens_are_stored_sealed(shop: Shop, stack: Stack) -> None:
    await shop.connect()

    row = await shop.connection()
    assert row is not None
    kept = b"".join(bytes(row[name]) for name in ("refresh_token", "access_token"))
    tokens = [*stack.world.google.grants, *stack.world.google.access]
    assert [token for token in tokens if token.encode() in kept] == []
    assert (row["consent_hash"], row["consent_verifier"]) == (None, None)


async def test_a_state_works_once(shop: Shop, stack: Stack) -> None:
    given = await shop.consent()
    connections = stack.services.calendars.connections
    await connections.complete(given["state"], given["code"])

    with pytest.raises(NotFoundError):
        await connections.complete(given["state"], given["code"])


async def test_a_newer_request_ends_the_older_one(shop: Shop, stack: Stack) -> None:
    older, newer = await shop.consent(), await shop.consent()
    connections = stack.services.calendars.connections

    with pytest.raises(NotFoundError):
        await connections.complete(older["state"], older["code"])
    await connections.complete(newer["state"], newer["code"])


@pytest.mark.parametrize("forge", [lambda state: state[:-4] + "AAAA", lambda _: "", lambda state: state + state])
async def test_a_forged_state_is_not_taken(shop: Shop, stack: Stack, forge: Any) -> None:
    given = await shop.consent()

    with pytest.raises(NotFoundError):
        await stack.services.calendars.connections.complete(forge(given["state"]), given["code"])

    row = await shop.connection()
    assert row is not None
    assert row["status"] == "PENDING"


async def test_a_refused_consent_leaves_the_connection_as_it_was(shop: Shop, stack: Stack) -> None:
    await shop.connect()
    given = await shop.consent("deny")

    with pytest.raises(BadInputError):
        await stack.services.calendars.connections.complete(given["state"], given.get("code"))

    row = await shop.connection()
    assert row is not None
    assert row["status"] == "CONNECTED"


async def test_a_code_of_another_consent_is_refused(shop: Shop, stack: Stack) -> None:
    """Its verifier belongs to the state that was given out with it."""
    first = await shop.consent()
    second = await shop.consent()

    with pytest.raises(BadInputError):
        await stack.services.calendars.connections.complete(second["state"], first["code"])


async def test_a_location_of_nobody_is_not_found(stack: Stack) -> None:
    async with stack.services.tenancy.write(stack.scope) as session:
        with pytest.raises(NotFoundError):
            await stack.services.calendars.connections.connect(session, uuid4())


async def test_without_a_client_at_google_booking_works_and_says_so(
    fresh_database: TestDatabase, cluster: Cluster
) -> None:
    async with open_stack(
        fresh_database, cluster.redis_url, google_client_id=None, google_client_secret=SecretStr("")
    ) as stack:
        shop = Shop(stack)
        with pytest.raises(UnavailableError, match="booking works without"):
            await shop.authorization_url()
        made = await shop.book(shop.noon)
        await stack.services.calendars.freshness.ensure(stack.scope, shop.location_id, shop.noon, shop.noon)
        await stack.services.calendars.outbox.dispatch(stack.tenant_id)

        assert (await shop.appointment(made))["sync_status"] == "SYNCED"
