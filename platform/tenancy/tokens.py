"""Access tokens: who is calling and what they may see, signed with Ed25519.

One algorithm, a short life, keys known by thumbprint. Tokens of outside identity providers are not taken here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lead_orchestrator.errors import ConfigurationError, UnauthenticatedError
from lead_orchestrator.ids import canonical_uuid
from lead_orchestrator.tenancy.revocation import RevocationList

__all__ = ["Claims", "Role", "TokenIssuer", "TokenVerifier", "generate_private_key", "thumbprint"]

ALGORITHM = "EdDSA"
TOKEN_TYPE = "at+jwt"  # noqa: S105  # RFC 9068's media type, not a secret
LIFETIME = timedelta(minutes=15)
LONGEST_LIFETIME = timedelta(hours=24)
CLOCK_SKEW = 5  # seconds between the machines of one deployment
LONGEST_TOKEN = 8192
LONGEST_ID = 200
EVERYWHERE = "*"
_REQUIRED = ["exp", "iat", "iss", "aud", "sub", "jti", "role", "location_ids", "gen"]
_INVALID = "the access token is not valid; sign in again"
_EXPIRED = "the access token has expired; refresh it or sign in again"
_REVOKED = "the access token has been revoked; sign in again"

Clock = Callable[[], float]


class Role(StrEnum):
    PLATFORM_ADMIN = "PLATFORM_ADMIN"
    OWNER = "OWNER"
    MANAGER = "MANAGER"
    AGENT = "AGENT"
    VISITOR = "VISITOR"


@dataclass(frozen=True, slots=True)
class Claims:
    """A verified token. `tenant_id` is None for PLATFORM_ADMIN and for nobody else; `location_ids` None means all.

    `actor` is who of the platform acts for a franchise with it, and `read_only` that it changes nothing.
    """

    subject: str
    role: Role
    tenant_id: UUID | None
    location_ids: frozenset[UUID] | None
    session_id: UUID | None
    lead_id: UUID | None
    generation: int
    token_id: str
    issued_at: datetime
    expires_at: datetime
    actor: str | None = None
    read_only: bool = False


class TokenIssuer:
    """Signs access tokens with one private key (PEM, Ed25519).

    Raises:
        ConfigurationError: the key is not one.
    """

    def __init__(self, private_key_pem: str, issuer: str, audience: str, *, clock: Clock = time.time) -> None:
        self._key = _private_key(private_key_pem)
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._headers = {"kid": thumbprint(self._key.public_key()), "typ": TOKEN_TYPE}

    @property
    def public_key_pem(self) -> str:
        """What a TokenVerifier needs."""
        return _public_pem(self._key.public_key())

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The key set as published under /.well-known/jwks.json."""
        return {"keys": [_jwk(self._key.public_key())]}

    def issue(
        self,
        *,
        subject: str,
        role: Role,
        tenant_id: UUID | None,
        location_ids: Collection[UUID] | None,
        session_id: UUID | None = None,
        lead_id: UUID | None = None,
        generation: int = 0,
        lifetime: timedelta = LIFETIME,
        actor: str | None = None,
        read_only: bool = False,
    ) -> str:
        """A token for `subject`, good for `lifetime` (24 hours at most) from now; `location_ids` None means all.

        `actor` (RFC 8693's `act`) is whoever acts with it in another's name; a `read_only` one changes nothing.

        Raises:
            ValueError: the role and the tenant do not fit, or the lifetime is out of range.
        """
        _fit(role, tenant_id)
        if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
            raise ValueError(f"lifetime is {lifetime}: it must be above zero and {LONGEST_LIFETIME} at most")
        now = int(self._clock())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": subject,
            "iat": now,
            "exp": now + int(lifetime.total_seconds()),
            "jti": str(uuid4()),
            "role": role.value,
            "location_ids": EVERYWHERE if location_ids is None else sorted(map(str, location_ids)),
            "gen": generation,
        }
        optional = {"tenant_id": tenant_id, "sid": session_id, "lead_id": lead_id}
        claims.update({name: str(value) for name, value in optional.items() if value is not None})
        if actor is not None:
            claims["act"] = {"sub": actor}
        if read_only:
            claims["read_only"] = True
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers=self._headers)


@dataclass
class _Known:
    """A verified token: when it expires, and the version of the revocations in which it was good (none yet: -1)."""

    claims: Claims
    expires: float
    good_in: int = -1


class TokenVerifier:
    """Verifies access tokens against several public keys (PEM), so that keys can be rotated.

    What was verified is remembered until it expires (`cache_size` tokens, the least used go first); its expiry is looked
    at each time, its revocation whenever something new was revoked. `longest_lifetime` refuses tokens made out for longer.
    """

    def __init__(
        self,
        public_key_pems: Sequence[str],
        issuer: str,
        audience: str,
        *,
        revocations: RevocationList | None = None,
        cache_size: int = 10_000,
        longest_lifetime: timedelta = LONGEST_LIFETIME,
        clock: Clock = time.time,
    ) -> None:
        keys = [_public_key(pem) for pem in public_key_pems]
        self._keys = {thumbprint(key): key for key in keys}
        self._issuer = issuer
        self._audience = audience
        self._revocations = revocations or RevocationList()
        self._cache_size = cache_size
        self._longest_lifetime = longest_lifetime
        self._clock = clock
        self._cache: OrderedDict[bytes, _Known] = OrderedDict()

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """All keys that are accepted, as published under /.well-known/jwks.json."""
        return {"keys": [_jwk(key) for key in self._keys.values()]}

    def remembers(self, token: str) -> bool:
        """Whether it was verified before; it may have ended since."""
        return token.isascii() and hashlib.sha256(token.encode("ascii")).digest() in self._cache

    def remembered(self, token: str) -> Claims | None:
        """What a token says that was verified before and is still good; None says nothing about it."""
        if not token.isascii():
            return None
        digest = hashlib.sha256(token.encode("ascii")).digest()
        known = self._cache.get(digest)
        if known is None or known.expires <= self._clock() or known.good_in != self._revocations.version:
            return None
        self._cache.move_to_end(digest)
        return known.claims

    def verify(self, token: str) -> Claims:
        """What the token says, if it is one of ours and still good.

        Raises:
            UnauthenticatedError: it is not; the message never quotes the token.
        """
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise UnauthenticatedError(_INVALID)
        digest = hashlib.sha256(token.encode("ascii")).digest()
        known = self._cache.get(digest)
        if known is None:
            known = self._remember(digest, self._decode(token))
        else:
            self._cache.move_to_end(digest)
        if known.expires <= self._clock():
            self._cache.pop(digest, None)
            raise UnauthenticatedError(_EXPIRED)
        if known.good_in != self._revocations.version:
            version = self._revocations.version
            if self._revocations.is_revoked(known.claims):
                raise UnauthenticatedError(_REVOKED)
            known.good_in = version
        return known.claims

    def _remember(self, digest: bytes, claims: Claims) -> _Known:
        known = self._cache[digest] = _Known(claims, claims.expires_at.timestamp())
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return known

    def _decode(self, token: str) -> Claims:
        try:
            payload = jwt.decode(
                token,
                self._key_for(token),
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=self._issuer,
                leeway=CLOCK_SKEW,
                options={"require": _REQUIRED, "strict_aud": True},
            )
            return self._read(payload)
        except jwt.ExpiredSignatureError:
            raise UnauthenticatedError(_EXPIRED) from None
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise UnauthenticatedError(_INVALID) from None

    def _key_for(self, token: str) -> Ed25519PublicKey:
        header = jwt.get_unverified_header(token)
        # Nothing but these three: no key or critical extension comes along with a token.
        if set(header) != {"alg", "kid", "typ"} or header["typ"] != TOKEN_TYPE:
            raise ValueError("unexpected header")
        return self._keys[header["kid"]]

    def _read(self, payload: dict[str, Any]) -> Claims:
        issued, expires = _whole(payload["iat"]), _whole(payload["exp"])
        if not 0 < expires - issued <= self._longest_lifetime.total_seconds():
            raise ValueError("lifetime")
        role = Role(payload["role"])
        tenant_id = _optional_uuid(payload, "tenant_id")
        _fit(role, tenant_id)
        return Claims(
            subject=_text(payload["sub"]),
            role=role,
            tenant_id=tenant_id,
            location_ids=_locations(payload["location_ids"]),
            session_id=_optional_uuid(payload, "sid"),
            lead_id=_optional_uuid(payload, "lead_id"),
            generation=_whole(payload["gen"]),
            token_id=_text(payload["jti"]),
            issued_at=datetime.fromtimestamp(issued, UTC),
            expires_at=datetime.fromtimestamp(expires, UTC),
            actor=_text(payload["act"]["sub"]) if "act" in payload else None,
            read_only=_flag(payload, "read_only"),
        )


def generate_private_key() -> str:
    """A new Ed25519 private key as PEM (PKCS 8, not encrypted)."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode("ascii")


def thumbprint(key: Ed25519PublicKey) -> str:
    """The key's id: its RFC 7638 thumbprint (SHA-256, base64url)."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": _x(key)}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _jwk(key: Ed25519PublicKey) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": _x(key), "kid": thumbprint(key), "use": "sig", "alg": ALGORITHM}


def _x(key: Ed25519PublicKey) -> str:
    return _base64url(key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _public_pem(key: Ed25519PublicKey) -> str:
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode("ascii")


def _private_key(pem: str) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(_pem_bytes(pem), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError("the token key is not an Ed25519 private key in PEM form; make one and set it again")
    return key


def _public_key(pem: str) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(_pem_bytes(pem))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError("a token key is not an Ed25519 public key in PEM form")
    return key


def _pem_bytes(pem: str) -> bytes:
    return pem.replace("\\n", "\n").strip().encode()  # environment files keep a PEM on one line


def _fit(role: Role, tenant_id: UUID | None) -> None:
    if (role is Role.PLATFORM_ADMIN) != (tenant_id is None):
        raise ValueError(f"{role} needs {'no' if tenant_id else 'a'} tenant")


def _locations(value: object) -> frozenset[UUID] | None:
    if value == EVERYWHERE:
        return None
    if not isinstance(value, list):
        raise TypeError("location_ids")
    return frozenset(_uuid(entry) for entry in value)


def _optional_uuid(payload: dict[str, Any], name: str) -> UUID | None:
    return _uuid(payload[name]) if name in payload else None


def _uuid(value: object) -> UUID:
    parsed = canonical_uuid(_text(value))
    if parsed is None:
        raise ValueError("uuid")
    return parsed


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID:
        raise ValueError("text")
    return value


def _flag(payload: dict[str, Any], name: str) -> bool:
    value = payload.get(name, False)
    if not isinstance(value, bool):
        raise TypeError(name)
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("number")
    return value
