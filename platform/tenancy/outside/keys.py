"""The keys that an outside issuer publishes: found by discovery, kept, and read anew now and then, so that one that was withdrawn
ends, and for a key nobody knows, which happens once a minute at most. Of an issuer that cannot be reached they stay as they were."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from lead_orchestrator.log import get_logger

__all__ = ["IssuerKey", "IssuerKeys"]

_log = get_logger(__name__)

TIMEOUT = 5.0
"""Seconds that reading an issuer's keys may take."""
PAUSE = 60.0
"""Seconds between two readings of one issuer's keys, whatever tokens come."""
KEPT = 600.0
"""Seconds after which keys that are known are read again."""
LARGEST = 256 * 1024
MOST_KEYS = 100
MOST_ISSUERS = 1_000
LEAST_RSA_BITS = 2048
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_BY_KIND = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
_ALLOWED = {"RSA": {"RS256", "PS256"}, "EC": {"ES256"}, "OKP": {"EdDSA"}}


@dataclass(frozen=True)
class IssuerKey:
    """A public key, and the one algorithm it verifies."""

    algorithm: str
    key: Any = field(repr=False)


@dataclass
class _Known:
    """`read_at` is when they were asked for last, with success or not."""

    keys: Mapping[str, IssuerKey] = field(default_factory=dict)
    read_at: float | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class IssuerKeys:
    """The keys of issuers that a franchise has named; of any other nothing is read. `insecure` allows http on loopback."""

    def __init__(
        self, *, insecure: bool, clock: Callable[[], float] = time.monotonic, timeout: float = TIMEOUT
    ) -> None:
        self._insecure = insecure
        self._timeout = timeout
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def find(self, issuer: str, kid: str) -> IssuerKey | None:
        """The issuer's key of this id; None if it has none, or cannot be reached."""
        known = self._known.get(issuer)
        if known is None:
            if len(self._known) >= MOST_ISSUERS:
                self._known.pop(next(iter(self._known)))
            known = self._known[issuer] = _Known()
        if self._is_due(kid, known):
            async with known.turn:
                await self._renew(issuer, kid, known)
        return known.keys.get(kid)

    def _is_due(self, kid: str, known: _Known) -> bool:
        pause = KEPT if kid in known.keys else PAUSE
        return known.read_at is None or self._clock() - known.read_at >= pause

    async def _renew(self, issuer: str, kid: str, known: _Known) -> None:
        if not self._is_due(kid, known):
            return  # somebody else has just done it
        known.read_at = self._clock()
        try:
            async with asyncio.timeout(self._timeout):
                known.keys = await self._read(issuer)
        except (httpx.HTTPError, ValueError, TypeError, TimeoutError, RecursionError) as error:
            _log.warning("issuer_keys_unreadable", reason=type(error).__name__)

    async def _read(self, issuer: str) -> Mapping[str, IssuerKey]:
        """Raises ValueError: what the issuer answers is not what OpenID Connect Discovery says."""
        async with httpx.AsyncClient(timeout=self._timeout, follow_redirects=False, trust_env=False) as http:
            return await self._published(http, issuer)

    async def _published(self, http: httpx.AsyncClient, issuer: str) -> Mapping[str, IssuerKey]:
        told = await self._get(http, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if told.get("issuer") != issuer:
            raise ValueError("the discovery document is another issuer's")
        published = (await self._get(http, str(told.get("jwks_uri")))).get("keys")
        if not isinstance(published, list):
            raise TypeError("keys")
        found = [_key(entry) for entry in published[:MOST_KEYS]]
        return dict(pair for pair in found if pair is not None)

    async def _get(self, http: httpx.AsyncClient, url: str) -> Mapping[str, Any]:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (self._insecure and parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError("not an https address")
        body = bytearray()
        async with http.stream("GET", url, headers={"Accept": "application/json"}) as answer:
            if answer.status_code != httpx.codes.OK:
                raise ValueError(f"answered {answer.status_code}")
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > LARGEST:
                    raise ValueError("too large")
        read = httpx.Response(200, content=bytes(body)).json()
        if not isinstance(read, dict):
            raise TypeError("no object")
        return read


def _key(entry: object) -> tuple[str, IssuerKey] | None:
    """A key of an algorithm we take, by its id; whatever else is published is passed over."""
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str) or entry.get("use", "sig") != "sig":
        return None
    kind = entry.get("kty")
    algorithm = entry.get("alg") or _BY_KIND.get((str(kind), entry.get("crv") if kind != "RSA" else None))
    if not isinstance(kind, str) or algorithm not in _ALLOWED.get(kind, ()) or "d" in entry:
        return None
    try:
        key = jwt.PyJWK(entry, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if kind == "RSA" and key.key_size < LEAST_RSA_BITS:
        return None
    return entry["kid"], IssuerKey(str(algorithm), key)
