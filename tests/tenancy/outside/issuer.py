"""The sandbox's identity provider, in a process of its own, and whatever tokens a test wants signed with its keys."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.http import open_http

__all__ = ["Issuer", "open_issuer", "raw_token"]


@dataclass
class Issuer:
    """`keys` are the private halves of what it publishes, by id with their algorithm."""

    url: str
    http: httpx.AsyncClient
    keys: dict[str, tuple[str, Any]] = field(default_factory=dict)
    process: Process | None = None

    async def start(self, port: int = 0) -> None:
        """Run it, with a new key `one`."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "lead_orchestrator.sandbox.issuer", "--port", str(port), stdout=PIPE
        )
        assert self.process.stdout is not None
        self.url = (await self.process.stdout.readline()).decode().removeprefix("listening on ").strip()
        self.keys.clear()
        await self.add("one")

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def begin_anew(self) -> None:
        """With the key `one` alone, nothing counted, and nothing but the truth answered."""
        for kid in set(self.keys) - {"one"}:
            await self.withdraw(kid)
        (await self.http.delete(f"{self.url}/sandbox/answers")).raise_for_status()

    async def add(self, kid: str, algorithm: str = "RS256") -> None:
        """Publish a new key."""
        told = (await self.http.post(f"{self.url}/sandbox/keys", json={"kid": kid, "algorithm": algorithm})).json()
        self.keys[kid] = algorithm, load_pem_private_key(told["privateKey"].encode(), None)

    async def withdraw(self, kid: str) -> None:
        """Publish it no more; the test may go on signing with it."""
        (await self.http.delete(f"{self.url}/sandbox/keys/{kid}")).raise_for_status()

    async def answers(self, path: str, **told: Any) -> None:
        """That path is answered so: `status`, `headers`, `body`, `then`."""
        (await self.http.put(f"{self.url}/sandbox/answers{path}", json=told)).raise_for_status()

    async def asked(self) -> dict[str, int]:
        """How often each path was."""
        counted: dict[str, int] = (await self.http.get(f"{self.url}/sandbox/asked")).json()
        return counted

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
    async with open_http(timeout=30) as http:
        issuer = Issuer("", http)
        try:
            await issuer.start()
            yield issuer
        finally:
            await issuer.stop()
