"""What sockets may cost: budgets as over HTTP, and bounds on how many there are of a user, of a franchise and of visitors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest_asyncio
from redis.asyncio import Redis
from websockets.exceptions import ConnectionClosed

from lead_orchestrator.bench.abuse_requests import SUBSCRIBE, SUBSCRIBES
from lead_orchestrator.db import Engines
from lead_orchestrator.graphql.budgets import Allowance, Budgets, BudgetSizes
from lead_orchestrator.graphql.cost import MOST_COST
from lead_orchestrator.graphql.documents import trusted_documents
from lead_orchestrator.graphql.events.codes import Close
from lead_orchestrator.graphql.events.messages import ClosingError
from lead_orchestrator.graphql.events.registry import MOST_OF_A_TENANT, MOST_OF_A_USER, Registry
from lead_orchestrator.graphql.events.socket import MOST_MESSAGES, MOST_SUBSCRIPTIONS
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.tokens import Claims, Role
from tests.database import Cluster
from tests.graphql.conftest import Franchise
from tests.graphql.subscriptions.client import Peer
from tests.graphql.subscriptions.conftest import Live, make_franchise, open_live

PLENTY = Allowance(10_000, 1_000_000)
SMALL = BudgetSizes(staff=Allowance(5, 100), visitors=PLENTY, visitor=Allowance(3, 100))
SEVEN = "subscription { leadEvents { " + " ".join(f"l{n}: lead {{ location {{ id }} }}" for n in range(3)) + " } }"
DEAR = (
    "subscription { leadEvents { lead { messages(first: 100) { edges { node { lead {"
    " messages(first: 100) { edges { node { id } } } } } } } } } }"
)


@pytest_asyncio.fixture
async def limited(engines: Engines, secret_box: SecretBox, cluster: Cluster) -> AsyncIterator[Live]:
    """Five requests and 100 objects a minute for a franchise's staff, three for each visitor."""
    async with (
        Redis.from_url(cluster.redis_url) as redis,
        open_live(engines, secret_box, cluster.redis_url, budgets=Budgets(redis, SMALL)) as live,
    ):
        yield live


async def refused(peer: Peer, key: str, query: str | None = None) -> dict[str, Any]:
    """The extensions of the error that this subscription is answered with."""
    await (peer.subscribe(key, query) if query else peer.subscribe(key))
    heard = await peer.hear()
    assert (heard["type"], heard["id"]) == ("error", key), heard
    extensions: dict[str, Any] = heard["payload"][0]["extensions"]
    return extensions


async def test_subscriptions_are_charged_to_the_franchise_s_budget(limited: Live, secret_box: SecretBox) -> None:
    ours, theirs = [await make_franchise(limited, secret_box) for _ in range(2)]
    async with limited.connected(ours.owner) as peer, limited.connected(theirs.owner) as another:
        for number in range(5):
            await peer.subscribe(str(number))
        await peer.in_step()
        extensions = await refused(peer, "one too many")
        await another.subscribe()
        await another.in_step()
        await limited.happen(ours, "lead.step")
        heard = {(await peer.hear())["id"] for _ in range(5)}

    assert heard == {"0", "1", "2", "3", "4"}  # what runs goes on
    assert extensions["code"] == "RATE_LIMITED"
    assert 1 <= extensions["retryAfter"] <= 62
    reset = datetime.fromisoformat(extensions["resetAt"])
    assert timedelta(seconds=0) < reset - datetime.now(UTC) < timedelta(seconds=63)


async def test_http_and_sockets_share_a_budget(limited: Live, secret_box: SecretBox) -> None:
    ours = await make_franchise(limited, secret_box)
    for _ in range(4):
        assert (await limited.api.ask(ours.owner, "{ viewer { role } }")).status == 200
    async with limited.connected(ours.owner) as peer:
        await peer.subscribe()
        await peer.in_step()
        assert (await limited.api.ask(ours.owner, "{ viewer { role } }")).status == 429
        assert (await refused(peer, "2"))["code"] == "RATE_LIMITED"


async def test_a_subscription_costs_what_one_of_its_events_can_have(limited: Live, secret_box: SecretBox) -> None:
    ours = await make_franchise(limited, secret_box)
    async with limited.connected(ours.owner) as peer:
        await peer.subscribe("1", SEVEN)
        await peer.in_step()
        answer = await limited.api.post({"query": "{ viewer { role } }"}, ours.owner)
        raw = await limited.api.http.post(
            "/graphql", json={"query": "{ viewer { role } }"}, headers={"authorization": f"Bearer {ours.owner}"}
        )

    assert answer.errors == []
    assert raw.json()["extensions"]["cost"]["remaining"] == 100 - 7 - 1 - 1


async def test_one_that_asks_for_too_much_is_refused_and_charged_little(limited: Live, secret_box: SecretBox) -> None:
    ours = await make_franchise(limited, secret_box)
    async with limited.connected(ours.owner) as peer:
        extensions = await refused(peer, "dear", DEAR)
        codes = [(await refused(peer, str(number), "subscription {"))["code"] for number in range(5)]

    assert (extensions["code"], extensions["maximum"]) == ("QUERY_TOO_COMPLEX", MOST_COST)
    assert codes == ["BAD_USER_INPUT"] * 4 + ["RATE_LIMITED"]  # finding out is work as well


async def test_each_visitor_has_a_budget_of_its_own(limited: Live, secret_box: SecretBox) -> None:
    ours = await make_franchise(limited, secret_box)
    one, other = (
        limited.api.token(ours.tenant.id, Role.VISITOR, lead_id=ours.lead.id, session_id=uuid4()) for _ in range(2)
    )
    trusted = next(one.text for one in trusted_documents().by_hash.values() if one.name == "WidgetViewer")
    async with limited.connected(one) as peer, limited.connected(other) as another:
        codes = [(await refused(peer, str(number), trusted))["code"] for number in range(4)]
        assert (await refused(another, "1", trusted))["code"] == "BAD_USER_INPUT"

    assert codes == ["BAD_USER_INPUT"] * 3 + ["RATE_LIMITED"]  # it is no subscription


async def test_visitors_subscribe_by_trusted_documents_only(live: Live, ours: Franchise) -> None:
    visitor = live.api.token(ours.tenant.id, Role.VISITOR, lead_id=ours.lead.id, session_id=uuid4())
    async with live.connected(visitor) as peer:
        extensions = await refused(peer, "1")

    assert (extensions["code"], extensions["reason"]) == ("FORBIDDEN", "DOCUMENT_NOT_TRUSTED")


async def test_a_hash_names_a_trusted_document_over_sockets_as_well(live: Live, ours: Franchise) -> None:
    digest = next(iter(trusted_documents().by_hash))
    async with live.connected(ours.owner) as peer:
        for given, reason in (
            (digest, "over a socket there are subscriptions only"),
            ("0" * 64, "no trusted document"),
        ):
            persisted = {"persistedQuery": {"version": 1, "sha256Hash": given}}
            await peer.say(type="subscribe", id="1", payload={"extensions": persisted})
            heard = await peer.hear()
            assert heard["type"] == "error"
            assert reason in heard["payload"][0]["message"]


# Floods


async def test_a_thousand_subscribes_at_once_end_their_socket(
    live: Live, ours: Franchise, statements: list[str]
) -> None:
    before, sent = len(statements), 0
    async with live.connected(ours.owner) as peer:
        with suppress(ConnectionClosed):
            for number in range(SUBSCRIBES):
                await peer.subscribe(str(number), SUBSCRIBE)
                sent += 1
        code, reason = await peer.closed()
    async with live.connected(ours.owner) as peer:
        await peer.subscribe()
        await peer.in_step()

    assert (code, "messages a second" in reason) == (Close.POLICY, True)
    assert sent > MOST_MESSAGES
    assert len(statements) - before < MOST_SUBSCRIPTIONS  # what listens is shared


async def test_of_a_thousand_subscribes_over_many_sockets_a_franchise_has_what_its_budget_is(
    limited: Live, secret_box: SecretBox
) -> None:
    ours = await make_franchise(limited, secret_box)
    async with AsyncExitStack() as stack:
        tokens = [limited.api.token(ours.tenant.id, subject=f"user {number}") for number in range(50)]
        peers = [await stack.enter_async_context(limited.connected(token)) for token in tokens]

        async def flood(peer: Peer) -> int:
            """How many of twenty it was refused."""
            for number in range(20):
                await peer.subscribe(str(number))
            await peer.say(type="ping")
            codes = []
            while (heard := await peer.hear())["type"] != "pong":
                codes.append(heard["payload"][0]["extensions"]["code"])
            assert set(codes) == {"RATE_LIMITED"}
            return len(codes)

        refusals = await asyncio.gather(*map(flood, peers))

    assert sum(refusals) == 1_000 - SMALL.staff.requests


# How many there may be


class _Socket:
    def close(self, code: Close, reason: str) -> None: ...


def claims(tenant: UUID, role: Role = Role.OWNER, subject: str | None = None) -> Claims:
    now = datetime.now(UTC)
    return Claims(
        subject=subject or str(uuid4()),
        role=role,
        tenant_id=tenant,
        location_ids=None,
        session_id=None,
        lead_id=None,
        generation=0,
        token_id="t",
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
    )


def entered(registry: Registry, number: int, tenant: UUID, role: Role = Role.OWNER, subject: str | None = None) -> int:
    """How many of so many sockets were let in."""
    for count in range(number):
        try:
            registry.enter(_Socket(), claims(tenant, role, subject))
        except ClosingError:
            return count
    return number


def test_sockets_of_a_user_of_a_franchise_and_of_its_visitors_are_bounded_apart() -> None:
    registry, ours, theirs = Registry(RevocationList()), uuid4(), uuid4()

    assert entered(registry, 100, ours, subject="one") == MOST_OF_A_USER
    assert entered(registry, 10_000, ours) == MOST_OF_A_TENANT - MOST_OF_A_USER
    assert entered(registry, 10_000, ours, Role.VISITOR) == MOST_OF_A_TENANT  # they cannot keep the staff out
    assert entered(registry, 1, theirs) == 1


def test_who_leaves_makes_room() -> None:
    registry, tenant = Registry(RevocationList()), uuid4()
    sockets = [_Socket() for _ in range(MOST_OF_A_USER)]
    for socket in sockets:
        registry.enter(socket, claims(tenant, subject="one"))

    assert entered(registry, 1, tenant, subject="one") == 0
    registry.leave(sockets[0])

    assert entered(registry, 2, tenant, subject="one") == 1
