"""An identity provider on loopback: discovery, published keys, and whatever tokens a test wants signed."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.graphql.server import serve

__all__ = ["Issuer", "open_issuer", "raw_token"]

KINDS = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@dataclass
class Issuer:
    """`asked` counts the requests by path; `told` replaces what a path answers."""

    url: str = ""
    keys: dict[str, tuple[str, Any]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    told: dict[str, Response] = field(default_factory=dict)

    def forget(self) -> None:
        """Begin anew, with the key `one`."""
        self.keys = {kid: key for kid, key in self.keys.items() if kid == "one"}
        self.asked, self.told = {}, {}

    def add(self, kid: str, algorithm: str = "RS256") -> None:
        """Publish a new key."""
        self.keys[kid] = algorithm, KINDS[algorithm]()

    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.jwk(kid) for kid in self.keys]}

    def jwk(self, kid: str) -> dict[str, Any]:
        algorithm, private = self.keys[kid]
        made = jwt.get_algorithm_by_name(algorithm).to_jwk(private.public_key(), as_dict=True)
        return {**made, "kid": kid, "alg": algorithm, "use": "sig"}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Of a manager of every location, for a minute; `...` leaves one out."""
        now = int(time.time())
        made = {
            "iss": self.url, "aud": "lead-orchestrator", "sub": "grace", "iat": now, "exp": now + 60, "role": "MANAGER",
            "location_ids": "*",
        }  # fmt: skip
        return {name: value for name, value in {**made, **changes}.items() if value is not ...}

    def token(self, kid: str = "one", head: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """Signed with the key of this id, whatever the header says."""
        algorithm, private = self.keys[kid]
        header = {"alg": algorithm, "kid": kid, "typ": "JWT", **(head or {})}
        return raw_token(header, self.claims(**changes), lambda raw: _signed(algorithm, private, raw))

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        self.asked[path] = self.asked.get(path, 0) + 1
        if path in self.told:
            return self.told[path]
        if path == "/keys":
            return JSONResponse(self.jwks())
        return JSONResponse({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})


def _signed(algorithm: str, private: Any, raw: bytes) -> bytes:
    made = jwt.get_algorithm_by_name(algorithm)
    return made.sign(raw, private)


def raw_token(header: Mapping[str, Any], claims: Mapping[str, Any], sign: Any) -> str:
    """A token with whatever header, signed by `sign` over its bytes."""
    parts = [json.dumps({name: value for name, value in part.items() if value is not ...}) for part in (header, claims)]
    head = ".".join(_base64url(part.encode()) for part in parts)
    return f"{head}.{_base64url(sign(head.encode()))}"


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@asynccontextmanager
async def open_issuer() -> AsyncIterator[Issuer]:
    """A running one with the key `one`."""
    issuer = Issuer()
    paths = ("/.well-known/openid-configuration", "/keys", "/elsewhere")
    app = Starlette(routes=[Route(path, issuer._answer) for path in paths])  # noqa: SLF001 - its own routes
    async with serve(app) as address:
        issuer.url = address.rstrip("/")
        issuer.add("one")
        yield issuer
