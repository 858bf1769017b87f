"""What the socket takes, and what it refuses before it costs anything."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest

from lead_orchestrator.db import Engines
from lead_orchestrator.graphql.events.registry import MOST_OF_A_USER
from lead_orchestrator.graphql.events.socket import MOST_MESSAGES, MOST_SUBSCRIPTIONS
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.tokens import Role
from tests.database import Cluster
from tests.graphql.conftest import Franchise
from tests.graphql.subscriptions.client import LEAD_EVENTS
from tests.graphql.subscriptions.conftest import Live, open_live


@pytest.mark.parametrize("protocol", [None, "graphql-ws", "soap"])
async def test_only_one_protocol_is_spoken(live: Live, protocol: str | None) -> None:
    async with live.opened() as peer:
        await peer.in_step()
    async with live.opened(protocol) as peer:
        code, reason = await peer.closed()
    assert code == 4406
    assert "graphql-transport-ws" in reason


@pytest.mark.parametrize("name", ["Authorization", "authorization", "token"])
async def test_the_token_comes_with_connection_init(live: Live, ours: Franchise, name: str) -> None:
    value = ours.owner if name == "token" else f"Bearer {ours.owner}"
    async with live.opened() as peer:
        await peer.say(type="connection_init", payload={name: value})
        assert (await peer.hear())["type"] == "connection_ack"


@pytest.mark.parametrize(
    "payload", [None, {}, {"Authorization": "Bearer junk"}, {"Authorization": 7}, {"token": "a.b.c"}]
)
async def test_without_a_valid_token_the_socket_ends_for_good(live: Live, payload: Any) -> None:
    async with live.opened() as peer:
        await peer.say(type="connection_init", payload=payload)
        assert (await peer.closed())[0] == 4401


async def test_nothing_is_subscribed_before_the_token_was_taken(live: Live) -> None:
    async with live.opened() as peer:
        await peer.subscribe()
        assert (await peer.closed())[0] == 4401


async def test_a_second_init_ends_the_socket(live: Live, ours: Franchise) -> None:
    async with live.connected(ours.owner) as peer:
        await peer.say(type="connection_init", payload={"token": ours.owner})
        assert (await peer.closed())[0] == 4429


async def test_an_id_is_used_once_at_a_time(live: Live, ours: Franchise) -> None:
    async with live.connected(ours.owner) as peer:
        await peer.subscribe("same")
        await peer.subscribe("same")
        assert (await peer.closed())[0] == 4409


async def test_who_stays_silent_is_sent_away(engines: Engines, secret_box: SecretBox, cluster: Cluster) -> None:
    async with open_live(engines, secret_box, cluster.redis_url, init_seconds=0.1) as live, live.opened() as peer:
        assert (await peer.closed())[0] == 4408


@pytest.mark.parametrize(
    "message",
    [
        "",
        "no json",
        "[]",
        "null",
        "[" * 100_000,
        '{"type": 7}',
        '{"type": "start"}',
        '{"type": "subscribe", "id": "1"}',
        '{"type": "subscribe", "payload": {"query": "subscription { leadEvents { kind } }"}}',
        '{"type": "subscribe", "id": 1, "payload": {"query": ""}}',
        '{"type": "subscribe", "id": "1", "payload": []}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "variables": []}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "operationName": 1}}',
        '{"type": "ping", "payload": "x"}',
        json.dumps({"type": "complete", "id": "x" * 1000}),
        b"{}",
    ],
)
async def test_what_is_no_message_ends_the_socket(live: Live, ours: Franchise, message: str | bytes) -> None:
    async with live.connected(ours.owner) as peer:
        await peer.socket.send(message)
        assert (await peer.closed())[0] == 4400


async def test_a_message_too_large_ends_the_socket(live: Live, ours: Franchise) -> None:
    async with live.connected(ours.owner) as peer:
        await peer.say(type="ping", payload={"x": "x" * 200_000})
        assert (await peer.closed())[0] == 1009


async def test_a_flood_of_messages_ends_the_socket(live: Live, ours: Franchise) -> None:
    async with live.connected(ours.owner) as peer:
        for number in range(MOST_MESSAGES * 3):
            await peer.subscribe(str(number), "nonsense")
        assert (await peer.closed())[0] == 1008


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ viewer { role } }", "BAD_USER_INPUT"),
        ("mutation { createLead(input: {locationId: 1}) { lead { id } } }", "BAD_USER_INPUT"),
        ("subscription {", "BAD_USER_INPUT"),
        ("subscription { nothing { kind } }", "BAD_USER_INPUT"),
        ("subscription { leadEvents { kind } __typename }", "BAD_USER_INPUT"),
        ("subscription { leadEvents { kind } leadEvents { at } }", "BAD_USER_INPUT"),
        ("subscription { ...F } fragment F on Subscription { leadEvents { kind } }", "BAD_USER_INPUT"),
        ("subscription { leadEvents @skip(if: true) { kind } }", "BAD_USER_INPUT"),
        ("subscription A { leadEvents { kind } } subscription B { leadEvents { kind } }", "BAD_USER_INPUT"),
        ('subscription { leadEvents(after: "nothing") { kind } }', "BAD_USER_INPUT"),
        ('subscription { leadEvents(after: "lev_-1") { kind } }', "BAD_USER_INPUT"),
        (f'subscription {{ leadEvents(after: "lev_{2**63}") {{ kind }} }}', "BAD_USER_INPUT"),
        ('subscription { leadEvents(locationIds: ["loc_1"]) { kind } }', "BAD_USER_INPUT"),
        ('subscription { leadEvents(after: "\\u0000") { kind } }', "BAD_USER_INPUT"),
        ("subscription { leadEvents { " + "lead { location { id } } " * 700 + "} }", "QUERY_TOO_COMPLEX"),
        ("subscription { leadEvents { " + " ".join(f"a{n}: kind" for n in range(40)) + " } }", "QUERY_TOO_COMPLEX"),
        ("subscription { __schema { types { name } } }", "BAD_USER_INPUT"),
    ],
)
async def test_what_cannot_be_streamed_is_refused(live: Live, ours: Franchise, query: str, code: str) -> None:
    async with live.connected(ours.owner) as peer:
        await peer.subscribe("refused", query)
        assert await peer.refusal() == code
        await peer.subscribe("refused")
        await peer.in_step()


@pytest.mark.parametrize("variables", [{"after": 7}, {"locationIds": "loc_x"}, {"after": "\ud800"}, {"after": "a\x00"}])
async def test_variables_that_do_not_fit_are_refused(live: Live, ours: Franchise, variables: dict[str, Any]) -> None:
    async with live.connected(ours.owner) as peer:
        await peer.subscribe("refused", **variables)
        assert await peer.refusal() == "BAD_USER_INPUT"


async def test_visitors_and_administrators_have_no_lead_events(live: Live, ours: Franchise) -> None:
    visitor = live.api.token(ours.tenant.id, Role.VISITOR, lead_id=ours.lead.id, session_id=uuid4())
    administrator = live.api.token(None, Role.PLATFORM_ADMIN)
    for token, code in ((visitor, "FORBIDDEN"), (administrator, "NOT_FOUND")):
        async with live.connected(token) as peer:
            assert peer.ack is None
            await peer.subscribe()
            assert await peer.refusal() == code


async def test_a_socket_has_so_many_subscriptions_and_no_more(live: Live, ours: Franchise) -> None:
    async with live.connected(ours.owner) as peer:
        for number in range(MOST_SUBSCRIPTIONS + 1):
            await peer.subscribe(str(number))
        assert await peer.refusal() == "RATE_LIMITED"
        await peer.say(type="complete", id="0")
        await peer.subscribe("another")
        await peer.in_step()


async def test_a_user_has_so_many_sockets_and_no_more(live: Live, ours: Franchise) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(MOST_OF_A_USER):
            await stack.enter_async_context(live.connected(ours.owner))
        async with live.opened() as peer:
            await peer.say(type="connection_init", payload={"token": ours.owner})
            assert (await peer.closed())[0] == 1013
        colleague = live.api.token(ours.tenant.id, subject="colleague")
        await stack.enter_async_context(live.connected(colleague))
    async with live.connected(ours.owner) as peer:
        await peer.in_step()


async def test_a_ping_is_answered_with_what_it_brought(live: Live) -> None:
    async with live.opened() as peer:
        await peer.say(type="ping", payload={"n": 1})
        assert await peer.hear() == {"type": "pong", "payload": {"n": 1}}
        await peer.say(type="pong")
        await peer.in_step()


async def test_over_http_a_subscription_is_told_where_to_go(live: Live, ours: Franchise) -> None:
    answer = await live.api.post({"query": LEAD_EVENTS}, ours.owner)
    assert answer.codes == ["BAD_USER_INPUT"]
