"""Verifies the tokens of outside issuers, and makes of them what our own tokens say: who, of which franchise, how far.

The row (issuer, audience) of a franchise allows it and has the highest role; a token that claims more is refused, not lowered.
Nobody becomes an administrator of the platform this way. A token names its franchise by `tenant_id` (our id or the bare UUID) or
`tenant` (its slug) where its issuer has several, its `role`, and by `location_ids` the locations, which only an OWNER may leave out.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import jwt

from lead_orchestrator.errors import UnauthenticatedError
from lead_orchestrator.ids import Kind
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.outside.keys import IssuerKeys
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.sessions import Scope, Tenancy
from lead_orchestrator.tenancy.tokens import CLOCK_SKEW, LONGEST_ID, LONGEST_LIFETIME, LONGEST_TOKEN, Claims, Role

__all__ = ["OutsideTokens"]

FRESH, KEPT = 5.0, 60.0
"""Seconds after which the franchise's row is looked at again, and for which a request may go on with what it was."""
MOST_AUDIENCES = 1_000
_INVALID = "the access token is not valid; sign in again"
_EXPIRED = "the access token has expired; refresh it or sign in again"
_REVOKED = "the access token has been revoked; sign in again"
_HEADER = {"alg", "kid", "typ"}
_TYPES = {None, "JWT", "at+jwt"}
_RANK = {Role.AGENT: 1, Role.MANAGER: 2, Role.OWNER: 3}
_EVERYWHERE = "*"


@dataclass(frozen=True)
class _Known:
    claims: Claims
    learned_at: float


class OutsideTokens:
    """`ours` is the issuer of our own tokens, which are never taken for another's; what was verified is kept for a moment."""

    def __init__(
        self,
        tenancy: Tenancy,
        lookups: Lookups,
        keys: IssuerKeys,
        revocations: RevocationList,
        *,
        ours: str,
        cache_size: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tenancy = tenancy
        self._lookups = lookups
        self._keys = keys
        self._revocations = revocations
        self._ours = ours
        self._cache_size = cache_size
        self._clock = clock
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._audiences: dict[tuple[str, str], tuple[float, Sequence[UUID]]] = {}

    def known(self, token: str) -> Claims | None:
        """The claims of a token that `learn` has taken a moment ago; None for any other.

        Raises:
            UnauthenticatedError: it has expired since, or its franchise was suspended.
        """
        found = self._known.get(_digest(token)) if self._known else None
        if found is None or self._clock() - found.learned_at > KEPT:
            return None
        if found.claims.expires_at.timestamp() <= self._clock():
            raise UnauthenticatedError(_EXPIRED)
        if self._revocations.is_revoked(found.claims):
            raise UnauthenticatedError(_REVOKED)
        return found.claims

    async def learn(self, token: str) -> None:
        """Verify a token that says it is an outside issuer's; one that is not good is not known afterwards."""
        if len(token) > LONGEST_TOKEN or not token.isascii():
            return
        digest = _digest(token)
        found = self._known.get(digest)
        if found is not None and self._clock() - found.learned_at < FRESH:
            return
        self._known.pop(digest, None)
        try:
            claims = await self._verified(token)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return
        if claims is not None:
            self._known[digest] = _Known(claims, self._clock())
            while len(self._known) > self._cache_size:
                self._known.popitem(last=False)

    async def _verified(self, token: str) -> Claims | None:
        header = jwt.get_unverified_header(token)
        # Nothing but these three: no key, no address of one and no critical extension comes along with a token.
        if not {"alg", "kid"} <= set(header) <= _HEADER or header.get("typ") not in _TYPES:
            return None
        stated = jwt.decode(token, options={"verify_signature": False})
        issuer, audience = stated.get("iss"), stated.get("aud")
        if not isinstance(issuer, str) or not isinstance(audience, str) or issuer == self._ours:
            return None
        tenants = await self._takers(issuer, audience)
        key = await self._keys.find(issuer, _text(header["kid"])) if tenants else None
        if key is None or header["alg"] != key.algorithm:
            return None
        payload = jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            audience=audience,
            issuer=issuer,
            leeway=CLOCK_SKEW,
            options={"require": ["exp", "iat", "iss", "aud", "sub", "role"], "strict_aud": True},
        )
        tenant_id = await self._franchise(payload, tenants)
        highest = await self._highest(tenant_id, issuer, audience)
        return _claims(payload, tenant_id, highest, token) if highest is not None else None

    async def _takers(self, issuer: str, audience: str) -> Sequence[UUID]:
        """The franchises that take these tokens, asked for once in a moment whatever comes."""
        now, key = self._clock(), (issuer, audience)
        found = self._audiences.get(key)
        if found is None or now - found[0] > FRESH:
            if len(self._audiences) >= MOST_AUDIENCES:
                self._audiences.clear()
            found = self._audiences[key] = now, await self._lookups.issuer(issuer, audience)
        return found[1]

    async def _franchise(self, payload: Mapping[str, Any], tenants: Sequence[UUID]) -> UUID:
        """Raises ValueError: none that takes this issuer's tokens."""
        if "tenant_id" in payload:
            named: UUID | None = UUID(_text(payload["tenant_id"]).removeprefix(f"{Kind.TENANT.value}_"))
        elif "tenant" in payload:
            named = await self._lookups.tenant(_text(payload["tenant"]))
        else:
            named = tenants[0] if len(tenants) == 1 else None
        if named not in tenants or named is None:
            raise ValueError("franchise")
        return named

    async def _highest(self, tenant_id: UUID, issuer: str, audience: str) -> Role | None:
        async with self._tenancy.read(Scope.service(tenant_id, "outside issuer")) as session:
            role = await repository.highest_role(session, issuer, audience)
        return Role(role) if role else None


def _claims(payload: Mapping[str, Any], tenant_id: UUID, highest: Role, token: str) -> Claims:
    role = Role(payload["role"])
    issued, expires = (_whole(payload[name]) for name in ("iat", "exp"))
    if (
        role not in _RANK
        or _RANK[role] > _RANK[highest]
        or not 0 < expires - issued <= LONGEST_LIFETIME.total_seconds()
    ):
        raise ValueError("more than is allowed")
    source = hashlib.sha256(str(payload["iss"]).encode()).hexdigest()[:12]
    return Claims(
        subject=_text(f"oidc_{source}_{_text(payload['sub'])}"),
        role=role,
        tenant_id=tenant_id,
        location_ids=_locations(payload.get("location_ids"), role),
        session_id=None,
        lead_id=None,
        generation=0,
        token_id=_digest(token).hex(),
        issued_at=datetime.fromtimestamp(issued, UTC),
        expires_at=datetime.fromtimestamp(expires, UTC),
    )


def _locations(value: object, role: Role) -> frozenset[UUID] | None:
    if value == _EVERYWHERE or (value is None and role is Role.OWNER):
        return None
    if not isinstance(value, list):
        raise TypeError("location_ids")
    return frozenset(UUID(_text(entry).removeprefix(f"{Kind.LOCATION.value}_")) for entry in value)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("ascii", "replace")).digest()


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID:
        raise ValueError("text")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("number")
    return value
