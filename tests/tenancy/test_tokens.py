from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from lead_orchestrator.errors import ConfigurationError, UnauthenticatedError
from lead_orchestrator.tenancy.revocation import Revocation, RevocationKind, RevocationList
from lead_orchestrator.tenancy.tokens import (
    Claims,
    Role,
    TokenIssuer,
    TokenVerifier,
    generate_private_key,
    thumbprint,
)

ISSUER, AUDIENCE = "https://api.example.com", "lead-orchestrator"
KEY, OTHER_KEY = generate_private_key(), generate_private_key()
TENANT, SHOP, SUBJECT, SESSION = uuid4(), uuid4(), str(uuid4()), uuid4()


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def issuer() -> TokenIssuer:
    return TokenIssuer(KEY, ISSUER, AUDIENCE)


@pytest.fixture
def verifier(issuer: TokenIssuer) -> TokenVerifier:
    return TokenVerifier([issuer.public_key_pem], ISSUER, AUDIENCE)


def issue(issuer: TokenIssuer, **changes: Any) -> str:
    options: dict[str, Any] = {"subject": SUBJECT, "role": Role.MANAGER, "tenant_id": TENANT, "location_ids": [SHOP]}
    return issuer.issue(**{**options, "session_id": SESSION, **changes})


def payload(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "iat": now, "exp": now + 900, "jti": "j1",
        "role": "AGENT", "tenant_id": str(TENANT), "location_ids": [str(SHOP)], "gen": 0,
    }  # fmt: skip
    return {name: value for name, value in {**claims, **changes}.items() if value is not ...}


def header(**changes: Any) -> dict[str, Any]:
    kid = TokenIssuer(KEY, ISSUER, AUDIENCE).jwks()["keys"][0]["kid"]
    return {name: value for name, value in {"alg": "EdDSA", "kid": kid, "typ": "at+jwt", **changes}.items() if value}


def sign(claims: object, head: dict[str, Any] | None = None, key: str = KEY) -> str:
    """A token with whatever header and payload, properly signed: only the content is hostile."""
    signed = f"{encoded(head or header())}.{encoded(claims)}"
    private = load_pem_private_key(key.encode(), None)
    assert isinstance(private, Ed25519PrivateKey)
    return f"{signed}.{base64url(private.sign(signed.encode()))}"


def encoded(content: object) -> str:
    return base64url(content if isinstance(content, bytes) else json.dumps(content).encode())


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def refuses(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        verifier.verify(token)
    assert token[:40] not in caught.value.message or len(token) < 10
    assert caught.value.__cause__ is None
    return caught.value.message


def test_what_is_issued_is_verified(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    claims = verifier.verify(issue(issuer, generation=3))
    assert (claims.subject, claims.role, claims.tenant_id) == (SUBJECT, Role.MANAGER, TENANT)
    assert (claims.location_ids, claims.session_id, claims.lead_id) == (frozenset({SHOP}), SESSION, None)
    assert claims.generation == 3
    assert claims.expires_at - claims.issued_at == timedelta(minutes=15)
    assert abs(claims.issued_at - datetime.now(UTC)) < timedelta(seconds=30)


def test_all_locations_one_lead_and_no_location(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    lead = uuid4()
    assert verifier.verify(issue(issuer, location_ids=None)).location_ids is None
    assert verifier.verify(issue(issuer, location_ids=[])).location_ids == frozenset()
    assert verifier.verify(issue(issuer, role=Role.VISITOR, lead_id=lead)).lead_id == lead


def test_an_administrator_has_no_tenant_and_everybody_else_has_one(
    issuer: TokenIssuer, verifier: TokenVerifier
) -> None:
    token = issue(issuer, role=Role.PLATFORM_ADMIN, tenant_id=None, location_ids=None)
    assert verifier.verify(token).tenant_id is None
    with pytest.raises(ValueError, match="needs no tenant"):
        issue(issuer, role=Role.PLATFORM_ADMIN)
    with pytest.raises(ValueError, match="needs a tenant"):
        issue(issuer, tenant_id=None)
    refuses(verifier, sign(payload(role="PLATFORM_ADMIN")))
    refuses(verifier, sign(payload(tenant_id=...)))


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=-1), timedelta(hours=25)])
def test_a_lifetime_out_of_range_is_not_issued(issuer: TokenIssuer, lifetime: timedelta) -> None:
    with pytest.raises(ValueError, match="lifetime"):
        issue(issuer, lifetime=lifetime)


def test_the_hand_made_token_of_these_tests_is_good_unchanged(verifier: TokenVerifier) -> None:
    assert verifier.verify(sign(payload())).role is Role.AGENT


@pytest.mark.parametrize(
    "claim", ["iss", "aud", "sub", "iat", "exp", "jti", "role", "tenant_id", "location_ids", "gen"]
)
def test_a_missing_claim_is_refused(verifier: TokenVerifier, claim: str) -> None:
    refuses(verifier, sign(payload(**{claim: ...})))
    refuses(verifier, sign(payload(**{claim: None})))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": ISSUER + "/"},
        {"iss": ISSUER[:-1]},
        {"iss": [ISSUER]},
        {"aud": "another service"},
        {"aud": [AUDIENCE, "another service"]},
        {"aud": [AUDIENCE]},
        {"aud": AUDIENCE[:-1]},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 201},
        {"jti": ""},
        {"jti": 7},
        {"role": "owner"},
        {"role": "SUPERUSER"},
        {"role": ["OWNER"]},
        {"tenant_id": "not-a-uuid"},
        {"tenant_id": "{" + str(TENANT) + "}"},
        {"tenant_id": f"urn:uuid:{TENANT}"},
        {"tenant_id": [str(TENANT)]},
        {"location_ids": str(SHOP)},
        {"location_ids": ["*"]},
        {"location_ids": [None]},
        {"location_ids": {str(SHOP): 1}},
        {"gen": -1},
        {"gen": True},
        {"gen": "0"},
        {"gen": 0.5},
        {"sid": None},
        {"sid": "x"},
        {"lead_id": "lead_1"},
        {"exp": "soon"},
        {"exp": float("inf")},
        {"exp": 10**400},
        {"iat": True},
        {"iat": -1},
    ],
)
def test_a_claim_of_the_wrong_kind_is_refused(verifier: TokenVerifier, changes: dict[str, Any]) -> None:
    refuses(verifier, sign(payload(**changes)))


def test_times_are_checked(verifier: TokenVerifier) -> None:
    now = int(time.time())
    assert "expired" in refuses(verifier, sign(payload(iat=now - 1000, exp=now - 100)))
    assert "expired" in refuses(verifier, sign(payload(iat=now - 1000, exp=now - 1)))
    refuses(verifier, sign(payload(nbf=now + 600)))
    refuses(verifier, sign(payload(iat=now + 600, exp=now + 900)))
    refuses(verifier, sign(payload(exp=now + 86_401)))
    refuses(verifier, sign(payload(exp=now + 10**9)))
    refuses(verifier, sign(payload(iat=now, exp=now)))


def test_the_longest_lifetime_is_a_setting(issuer: TokenIssuer) -> None:
    strict = TokenVerifier([issuer.public_key_pem], ISSUER, AUDIENCE, longest_lifetime=timedelta(minutes=15))
    assert strict.verify(issue(issuer))
    refuses(strict, issue(issuer, lifetime=timedelta(minutes=16)))


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "RS256"},
        {"alg": "eddsa"},
        {"alg": None},
        {"kid": None},
        {"kid": "unknown"},
        {"kid": "../../etc/passwd"},
        {"kid": 7},
        {"kid": ["x"]},
        {"typ": None},
        {"typ": "JWT"},
        {"crit": ["exp"]},
        {"crit": ["unheard-of"], "unheard-of": True},
        {"b64": False, "crit": ["b64"]},
        {"jku": "https://evil.example.com/jwks.json"},
        {"x5u": "file:///etc/passwd"},
        {"zip": "DEF"},
    ],
)
def test_an_unexpected_header_is_refused(verifier: TokenVerifier, changes: dict[str, Any]) -> None:
    refuses(verifier, sign(payload(), header(**changes)))


def test_an_unsigned_token_is_refused(verifier: TokenVerifier) -> None:
    for head in (header(alg="none"), header()):
        refuses(verifier, f"{encoded(head)}.{encoded(payload())}.")


def test_the_public_key_as_a_shared_secret_is_refused(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    for secret in (issuer.public_key_pem.encode(), issuer.jwks()["keys"][0]["x"].encode()):
        for head in (header(alg="HS256"), header()):
            signed = f"{encoded(head)}.{encoded(payload())}"
            mac = hmac.digest(secret, signed.encode(), hashlib.sha256)
            refuses(verifier, f"{signed}.{base64url(mac)}")


def test_a_key_that_comes_with_the_token_is_not_used(verifier: TokenVerifier) -> None:
    jwk = TokenIssuer(OTHER_KEY, ISSUER, AUDIENCE).jwks()["keys"][0]
    refuses(verifier, sign(payload(), header(jwk=jwk), OTHER_KEY))
    refuses(verifier, sign(payload(), header(jwk=jwk, kid=jwk["kid"]), OTHER_KEY))


def test_another_key_under_our_kid_is_refused(verifier: TokenVerifier) -> None:
    refuses(verifier, sign(payload(), header(), OTHER_KEY))


def test_each_key_verifies_its_own_tokens_only() -> None:
    old, new = TokenIssuer(KEY, ISSUER, AUDIENCE), TokenIssuer(OTHER_KEY, ISSUER, AUDIENCE)
    both = TokenVerifier([new.public_key_pem, old.public_key_pem], ISSUER, AUDIENCE)
    assert both.verify(issue(old))
    assert both.verify(issue(new))
    kid = {"kid": new.jwks()["keys"][0]["kid"]}
    refuses(both, sign(payload(), header(**kid), KEY))
    refuses(TokenVerifier([new.public_key_pem], ISSUER, AUDIENCE), issue(old))
    assert [key["kid"] for key in both.jwks()["keys"]] == [new.jwks()["keys"][0]["kid"], old.jwks()["keys"][0]["kid"]]


def test_a_changed_token_is_refused(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    head, body, signature = issue(issuer).split(".")
    forged = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged["tenant_id"] = str(uuid4())
    refuses(verifier, f"{head}.{encoded(forged)}.{signature}")
    refuses(verifier, f"{head}.{body}.{signature[:-4]}AAAA")
    refuses(verifier, f"{head}.{body}.{'A' * len(signature)}")
    refuses(verifier, f"{head}.{body}")


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        " ",
        "Bearer x",
        "é" * 50,
        "\ud800",
        "\x00",
        "\U0001f697.a.b",
        "x" * 8193,
        "a." * 4000,
        f"{encoded(b'[' * 5000)}.{encoded({})}.AAAA",
        f"{encoded([])}.{encoded({})}.AAAA",
        f"{encoded(b'null')}.{encoded({})}.AAAA",
        f"{encoded(bytes([255]))}.{encoded({})}.AAAA",
    ],
)
def test_what_is_no_token_is_refused(verifier: TokenVerifier, token: str) -> None:
    refuses(verifier, token)


@pytest.mark.parametrize("content", [[], "text", 7, None, b"{", b"\xff", b"[" * 3000])
def test_a_signed_payload_that_is_no_object_is_refused(verifier: TokenVerifier, content: object) -> None:
    refuses(verifier, sign(content))


def test_an_oversized_token_is_refused_though_signed(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    refuses(verifier, issue(issuer, location_ids=[uuid4() for _ in range(300)]))


def test_a_remembered_token_still_expires(issuer: TokenIssuer) -> None:
    clock = Clock()
    verifier = TokenVerifier([issuer.public_key_pem], ISSUER, AUDIENCE, clock=clock)
    token = issue(issuer)
    assert verifier.verify(token) is verifier.verify(token)
    clock.ahead = 901
    assert "expired" in refuses(verifier, token)


@pytest.mark.parametrize(
    "revocation",
    [
        lambda claims: Revocation(RevocationKind.SESSION, str(claims.session_id)),
        lambda claims: Revocation(RevocationKind.TOKEN, claims.token_id),
        lambda claims: Revocation(RevocationKind.GENERATION, claims.subject, generation=claims.generation + 1),
        lambda claims: Revocation(RevocationKind.TENANT_SUSPENDED, str(claims.tenant_id)),
    ],
    ids=["session", "token", "generation", "tenant"],
)
def test_a_remembered_token_still_can_be_revoked(
    issuer: TokenIssuer, revocation: Callable[[Claims], Revocation]
) -> None:
    revocations = RevocationList()
    verifier = TokenVerifier([issuer.public_key_pem], ISSUER, AUDIENCE, revocations=revocations)
    token, another = issue(issuer), issue(issuer, subject=str(uuid4()), session_id=uuid4(), tenant_id=uuid4())
    claims = verifier.verify(token)
    verifier.verify(another)

    revocations.apply([revocation(claims)])

    assert "revoked" in refuses(verifier, token)
    assert verifier.verify(another)


def test_the_memory_is_bounded_and_keeps_what_is_used(issuer: TokenIssuer) -> None:
    verifier = TokenVerifier([issuer.public_key_pem], ISSUER, AUDIENCE, cache_size=2)
    first, second, third = (issue(issuer) for _ in range(3))
    kept, dropped = verifier.verify(first), verifier.verify(second)
    verifier.verify(first)
    verifier.verify(third)
    assert verifier.verify(first) is kept
    assert verifier.verify(second) is not dropped


def test_a_key_of_another_kind_is_refused_at_start() -> None:
    for text in ("", "not a key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"):
        with pytest.raises(ConfigurationError):
            TokenIssuer(text, ISSUER, AUDIENCE)
        with pytest.raises(ConfigurationError):
            TokenVerifier([text], ISSUER, AUDIENCE)


def test_a_key_on_one_line_is_read() -> None:
    one_line = KEY.strip().replace("\n", "\\n")
    assert TokenIssuer(one_line, ISSUER, AUDIENCE).jwks() == TokenIssuer(KEY, ISSUER, AUDIENCE).jwks()


def test_the_thumbprint_is_that_of_rfc_8037() -> None:
    x = base64.urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    assert thumbprint(Ed25519PublicKey.from_public_bytes(x)) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_the_published_key_verifies_our_tokens_elsewhere(issuer: TokenIssuer) -> None:
    published = jwt.PyJWKSet.from_dict(issuer.jwks())
    token = issue(issuer)
    key = published[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, algorithms=["EdDSA"], audience=AUDIENCE)["sub"] == SUBJECT
    assert "PRIVATE" not in json.dumps(issuer.jwks()) + issuer.public_key_pem
    assert "d" not in issuer.jwks()["keys"][0]
    assert isinstance(load_pem_public_key(issuer.public_key_pem.encode()), Ed25519PublicKey)


def test_two_tokens_of_one_caller_differ(issuer: TokenIssuer, verifier: TokenVerifier) -> None:
    assert verifier.verify(issue(issuer)).token_id != verifier.verify(issue(issuer)).token_id
    assert UUID(verifier.verify(issue(issuer)).token_id).version == 4
