"""Tokens of an identity provider that a franchise has named, and all that only look like them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import select

from lead_orchestrator.errors import UnauthenticatedError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.services import AUDIENCE
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.models import Tenant
from lead_orchestrator.tenancy.outside.keys import KEPT as KEPT_KEYS
from lead_orchestrator.tenancy.outside.keys import PAUSE, TIMEOUT, IssuerKeys
from lead_orchestrator.tenancy.outside.verifier import FRESH, KEPT, OutsideTokens
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.tokens import Role
from tests.database import Cluster
from tests.factories import make_tenant
from tests.graphql.subscriptions.client import connected
from tests.serving import serving
from tests.stack import Stack, open_stack
from tests.tenancy.outside.issuer import Issuer, open_issuer, raw_token

PATIENCE = 30.0
DISCOVERY = "/.well-known/openid-configuration"
VIEWER = {"query": "{ viewer { role tenant { id } locations { id } } }"}


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Gate:
    """One process's verification of outside tokens, on a clock of the test's."""

    stack: Stack
    outside: OutsideTokens
    clock: Clock

    async def takes(self, token: str) -> bool:
        await self.outside.learn(token)
        try:
            return self.outside.known(token) is not None
        except UnauthenticatedError:
            return False


@pytest_asyncio.fixture(scope="module")
async def stack(cluster: Cluster) -> AsyncIterator[Stack]:
    async with cluster.clone("outside") as database, open_stack(database, cluster.redis_url) as stack:
        yield stack


@pytest_asyncio.fixture(scope="module")
async def api(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(stack.settings) as api:
        yield api


@pytest_asyncio.fixture(scope="module")
async def provider() -> AsyncIterator[Issuer]:
    async with open_issuer() as issuer:
        yield issuer


@pytest_asyncio.fixture
async def issuer(stack: Stack, provider: Issuer) -> Issuer:
    """Taken by our franchise for managers at most."""
    await provider.begin_anew()
    await allow(stack, provider)
    return provider


@pytest.fixture
def gate(stack: Stack) -> Gate:
    clock = Clock()
    services, keys = stack.services, IssuerKeys(insecure=True, clock=clock)
    outside = OutsideTokens(
        services.tenancy, services.lookups, keys, RevocationList(), ours=stack.settings.public_url, clock=clock
    )
    return Gate(stack, outside, clock)


async def allow(stack: Stack, issuer: Issuer, role: Role = Role.MANAGER) -> None:
    async with stack.services.tenancy.platform() as session:
        await repository.upsert_issuer(session, stack.tenant_id, issuer.url, AUDIENCE, role.value)


async def test_an_outside_token_is_one_of_the_franchise_s_over_http_and_sockets(
    stack: Stack, api: httpx.AsyncClient, issuer: Issuer
) -> None:
    token = issuer.token()

    answer = await api.post("/graphql", json=VIEWER, headers={"Authorization": f"Bearer {token}"})
    async with connected(str(api.base_url).rstrip("/"), issuer.token(sub="ada")) as peer:
        await peer.subscribe()
        await peer.in_step()

    viewer = answer.json()["data"]["viewer"]
    assert (viewer["role"], viewer["tenant"]["id"]) == ("MANAGER", encode(Kind.TENANT, stack.tenant_id))
    assert len(viewer["locations"]) == len(stack.locations)
    assert await issuer.asked() == {DISCOVERY: 1, "/keys": 1}


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_each_key_verifies_by_its_own_algorithm(gate: Gate, issuer: Issuer, algorithm: str) -> None:
    await issuer.add("other", algorithm)

    assert await gate.takes(issuer.token("other"))
    for head in (
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": "PS256"},
        {"alg": "ES256" if algorithm != "ES256" else "RS256"},
    ):
        assert not await gate.takes(issuer.token("other", head=head, jti=str(head)))


async def test_locations_are_those_the_token_names(gate: Gate, issuer: Issuer) -> None:
    shop = next(iter(gate.stack.locations.values()))
    token = issuer.token(role="AGENT", location_ids=[encode(Kind.LOCATION, shop)])

    assert await gate.takes(token)
    claims = gate.outside.known(token)
    assert claims is not None
    assert (claims.location_ids, claims.subject.startswith("oidc_")) == (frozenset({shop}), True)


REFUSED: dict[str, dict[str, Any]] = {
    "above the highest role": {"role": "OWNER", "location_ids": ...},
    "administrator": {"role": "PLATFORM_ADMIN"},
    "visitor": {"role": "VISITOR"},
    "no role": {"role": ...},
    "a list of roles": {"role": ["MANAGER"]},
    "no locations": {"location_ids": ...},
    "another audience": {"aud": "another-service"},
    "a list of audiences": {"aud": [AUDIENCE]},
    "a list with ours": {"aud": [AUDIENCE, "another-service"]},
    "no audience": {"aud": ...},
    "no subject": {"sub": ...},
    "an endless subject": {"sub": "x" * 300},
    "no end": {"exp": ...},
    "ended": {"iat": 1_700_000_000, "exp": 1_700_000_060},
    "not yet": {"nbf": 4_000_000_000},
    "too long": {"exp": 4_000_000_000},
    "made in the future": {"iat": 4_000_000_000, "exp": 4_000_000_060},
    "another franchise": {"tenant_id": "0199aaaa-0000-7000-8000-000000000001"},
    "no franchise": {"tenant": "nobody-s"},
    "franchise is no text": {"tenant_id": 7},
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED)
async def test_a_signed_token_that_claims_what_it_may_not_is_refused(
    gate: Gate, issuer: Issuer, changes: dict[str, Any]
) -> None:
    assert not await gate.takes(issuer.token(**changes))
    assert await gate.takes(issuer.token())


async def test_a_franchise_that_did_not_name_the_issuer_takes_none_of_its_tokens(gate: Gate, issuer: Issuer) -> None:
    services = gate.stack.services
    other = await make_tenant(services.tenancy, services.secrets)
    async with services.tenancy.platform() as session:
        slug = await session.scalar(select(Tenant.slug).where(Tenant.id == other.id))

    ids = str(other.id), encode(Kind.TENANT, other.id)
    named = [issuer.token(tenant_id=one) for one in ids] + [issuer.token(tenant=slug)]
    assert [await gate.takes(token) for token in named] == [False] * 3
    shops = [encode(Kind.LOCATION, place) for place in other.locations]
    foreign = issuer.token(location_ids=shops)
    assert await gate.takes(foreign)
    claims = gate.outside.known(foreign)
    assert claims is not None
    assert claims.tenant_id == gate.stack.tenant_id, "its locations are nobody's there"


async def test_suspension_ends_tokens_and_sockets_of_outside_issuers(
    stack: Stack, api: httpx.AsyncClient, issuer: Issuer
) -> None:
    header = {"Authorization": f"Bearer {issuer.token(sub='lin')}"}

    async def until(good: bool) -> None:
        while ("errors" not in (await api.post("/graphql", json=VIEWER, headers=header)).json()) is not good:  # noqa: ASYNC110 - the api looks twice a second
            await asyncio.sleep(0.02)

    async with asyncio.timeout(PATIENCE), connected(str(api.base_url).rstrip("/"), issuer.token(sub="eve")) as peer:
        await until(good=True)
        await peer.subscribe()
        await peer.in_step()
        await stack.services.tenants.suspend(stack.tenant_id, "unpaid", actor="tests")
        try:
            code, _ = await peer.closed()
            await until(good=False)
        finally:
            await stack.services.tenants.reinstate(stack.tenant_id, actor="tests")
        await until(good=True)

    assert code == 4403


@pytest.mark.parametrize(
    "change",
    [lambda url: url + "/", lambda url: url[:-1], lambda url: url + "0", lambda url: [url], lambda url: url.upper()],
)
async def test_an_issuer_that_only_looks_like_ours_is_refused(
    gate: Gate, issuer: Issuer, change: Callable[[str], Any]
) -> None:
    assert not await gate.takes(issuer.token(iss=change(issuer.url)))
    assert await issuer.asked() == {}, "and is not even asked"


HEADERS: dict[str, dict[str, Any]] = {
    "a critical extension": {"crit": ["exp"]},
    "an unknown critical extension": {"crit": ["unheard-of"], "unheard-of": True},
    "an unencoded payload": {"b64": False, "crit": ["b64"]},
    "an address of keys": {"jku": "https://evil.example.com/keys"},
    "an address of a certificate": {"x5u": "https://evil.example.com/cert"},
    "a certificate": {"x5c": ["AAAA"]},
    "compressed": {"zip": "DEF"},
    "no key": {"kid": ...},
    "a path as key": {"kid": "../../../../dev/null"},
    "an address as key": {"kid": "https://evil.example.com/keys"},
    "SQL as key": {"kid": "' OR 1=1 --"},
    "a number as key": {"kid": 1},
    "an endless key": {"kid": "k" * 300},
    "another type": {"typ": "dpop+jwt"},
}


@pytest.mark.parametrize("head", HEADERS.values(), ids=HEADERS)
async def test_a_header_with_more_or_less_than_it_needs_is_refused(
    gate: Gate, issuer: Issuer, head: dict[str, Any]
) -> None:
    assert not await gate.takes(issuer.token(head=head))
    assert set(await issuer.asked()) <= {DISCOVERY, "/keys"}


async def test_a_token_that_the_issuer_did_not_sign_is_refused(gate: Gate, issuer: Issuer) -> None:
    jwk = issuer.jwk("one")
    header = {"alg": "RS256", "kid": "one", "typ": "JWT"}
    stranger = Issuer(issuer.url, issuer.http, {"one": ("RS256", rsa.generate_private_key(65537, 2048))})
    good = issuer.token()
    head, body, signature = good.split(".")
    shared = json.dumps(jwk).encode()

    forged = [
        stranger.token(),
        stranger.token(head={"jwk": stranger.jwk("one")}),
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{head}.{issuer.token(sub='mallory').split('.')[1]}.{signature}",
        raw_token({**header, "alg": "none"}, issuer.claims(), lambda _raw: b""),
        raw_token({**header, "alg": "HS256"}, issuer.claims(), lambda raw: hmac.digest(shared, raw, hashlib.sha256)),
        raw_token(header, issuer.claims(), lambda raw: hmac.digest(jwk["n"].encode(), raw, hashlib.sha256)),
        good + "A" * 9000,
        "ä" + good,
    ]

    assert [token[:30] for token in forged if await gate.takes(token)] == []
    assert await gate.takes(good)


async def test_an_unknown_key_is_looked_for_once_a_minute_at_most(gate: Gate, issuer: Issuer) -> None:
    assert await gate.takes(issuer.token())
    await issuer.add("two")

    early = await gate.takes(issuer.token("two"))
    for number in range(20):
        await gate.takes(issuer.token(head={"kid": f"made-up-{number}"}))
    gate.clock.ahead = PAUSE
    late = await gate.takes(issuer.token("two", exp=int(time.time()) + 600))

    assert (early, late) == (False, True)
    assert await issuer.asked() == {DISCOVERY: 2, "/keys": 2}


async def test_a_key_that_was_withdrawn_ends_when_they_are_read_again(gate: Gate, issuer: Issuer) -> None:
    await issuer.add("two")
    until = int(time.time()) + 3600
    assert await gate.takes(issuer.token("two", exp=until))
    await issuer.withdraw("two")

    gate.clock.ahead = KEPT_KEYS
    withdrawn, good = await gate.takes(issuer.token("two", exp=until)), await gate.takes(issuer.token(exp=until))

    assert (withdrawn, good) == (False, True)


async def test_keys_of_an_issuer_that_is_down_stay_and_are_read_when_it_is_back(gate: Gate, issuer: Issuer) -> None:
    until = int(time.time()) + 3600
    assert await gate.takes(issuer.token(exp=until))
    before, port = dict(issuer.keys), int(issuer.url.rpartition(":")[2])

    await issuer.stop()
    gate.clock.ahead = KEPT_KEYS
    down = (
        await gate.takes(issuer.token(sub="ada", exp=until)),
        await gate.takes(issuer.token(head={"kid": "two"}, exp=until)),
    )
    await issuer.start(port)
    still = await gate.takes(issuer.token(exp=until))
    gate.clock.ahead += KEPT_KEYS
    back = await gate.takes(issuer.token(sub="eve", exp=until))
    old = Issuer(issuer.url, issuer.http, before)

    assert down == (True, False), "what is known goes on, what is new waits"
    assert (still, back) == (False, True), "it came back with another key of the same name"
    assert not await gate.takes(old.token(sub="bob", exp=until))


async def test_a_franchise_that_takes_a_token_no_more_refuses_it_in_a_moment(gate: Gate, issuer: Issuer) -> None:
    token = issuer.token()
    assert await gate.takes(token)
    async with gate.stack.services.tenancy.platform() as session:
        assert await repository.forget_issuer(session, gate.stack.tenant_id, issuer.url, AUDIENCE)

    gate.clock.ahead = FRESH + 1

    assert not await gate.takes(token)
    assert KEPT > FRESH


SHARED = {"kty": "oct", "k": "c2VjcmV0", "kid": "one", "alg": "HS256"}
SHORT = {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "one"}
EVIL = "https://evil.example.com"
BROKEN: dict[str, tuple[str, dict[str, Any]]] = {
    "away": (DISCOVERY, {"status": 503}),
    "no JSON": (DISCOVERY, {"body": "hello"}),
    "a list": (DISCOVERY, {"body": "[]"}),
    "another issuer": (DISCOVERY, {"body": json.dumps({"issuer": EVIL, "jwks_uri": "ISSUER/elsewhere"})}),
    "keys at nobody's": (DISCOVERY, {"body": json.dumps({"issuer": "ISSUER", "jwks_uri": "file:///etc/passwd"})}),
    "moved": (DISCOVERY, {"status": 307, "headers": {"location": "/elsewhere"}}),
    "keys moved": ("/keys", {"status": 302, "headers": {"location": "/elsewhere"}}),
    "too large": ("/keys", {"body": " " * 300_000}),
    "without an end": ("/keys", {"body": " " * 65_536, "then": "stream"}),
    "keys without a list": ("/keys", {"body": '{"keys": {}}'}),
    "a secret as key": ("/keys", {"body": json.dumps({"keys": [SHARED]})}),
    "no key at all": ("/keys", {"body": json.dumps({"keys": [None, 7, {"kid": "one"}, SHORT]})}),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_an_issuer_that_answers_nonsense_lets_nobody_in_until_it_is_well(
    gate: Gate, issuer: Issuer, broken: tuple[str, dict[str, Any]]
) -> None:
    path, told = broken
    good = {"body": json.dumps({"keys": [issuer.jwk("one")]})}
    await issuer.answers("/elsewhere", **good)
    await issuer.answers(path, **{**told, "body": told.get("body", "").replace("ISSUER", issuer.url)})

    refused = not await gate.takes(issuer.token())
    asked = await issuer.asked()
    await issuer.begin_anew()
    gate.clock.ahead = PAUSE

    assert refused
    assert path in asked
    assert "/elsewhere" not in asked
    assert await gate.takes(issuer.token(exp=int(time.time()) + 600))


async def test_an_issuer_that_says_nothing_is_waited_for_no_longer_than_a_moment(issuer: Issuer) -> None:
    hasty = [IssuerKeys(insecure=True, timeout=1) for _ in range(2)]
    await issuer.answers(DISCOVERY, then="hold")
    silent = await hasty[0].find(issuer.url, "one")
    await issuer.begin_anew()
    await issuer.answers("/keys", body='{"keys": [', then="hold")
    stuck = await hasty[1].find(issuer.url, "one")

    assert (silent, stuck) == (None, None)
    assert TIMEOUT <= 5


async def test_keys_are_read_by_https_alone_where_it_is_no_machine_of_one_s_own(issuer: Issuer) -> None:
    assert await IssuerKeys(insecure=False).find(issuer.url, "one") is None
    assert await IssuerKeys(insecure=True).find("http://issuer.example.com", "one") is None
    assert await issuer.asked() == {}
