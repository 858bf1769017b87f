"""The API behind a real HTTP server, and who may call it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import uvicorn
from starlette.types import ASGIApp

from lead_orchestrator.tenancy.tokens import Role, TokenIssuer

__all__ = ["Answer", "Api", "serve"]

STARTS_WITHIN = 60


@dataclass(frozen=True)
class Answer:
    status: int
    data: Any
    errors: list[dict[str, Any]] = field(default_factory=list)

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.errors]

    @property
    def ok(self) -> Any:
        assert self.status == 200
        assert not self.errors, self.errors
        return self.data


@dataclass(frozen=True)
class Api:
    """A client of one server; `token` makes tokens that it takes."""

    http: httpx.AsyncClient
    issuer: TokenIssuer
    woken: list[UUID]
    events: list[tuple[UUID, UUID]] = field(default_factory=list)

    def token(
        self,
        tenant_id: UUID | None,
        role: Role = Role.OWNER,
        *,
        location_ids: Collection[UUID] | None = None,
        subject: str = "tests",
        lead_id: UUID | None = None,
        session_id: UUID | None = None,
        generation: int = 0,
        lifetime: timedelta = timedelta(minutes=5),
    ) -> str:
        return self.issuer.issue(
            subject=subject,
            role=role,
            tenant_id=tenant_id,
            location_ids=location_ids,
            lead_id=lead_id,
            session_id=session_id,
            generation=generation,
            lifetime=lifetime,
        )

    async def ask(self, token: str | None, query: str, **variables: Any) -> Answer:
        return await self.post({"query": query, "variables": variables}, token)

    async def post(self, body: object, token: str | None = None) -> Answer:
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        return answer(await self.http.post("/graphql", content=json.dumps(body), headers=headers))


def answer(response: httpx.Response) -> Answer:
    read = response.json()
    return Answer(response.status_code, read.get("data"), read.get("errors") or [])


@asynccontextmanager
async def serve(app: ASGIApp) -> AsyncIterator[str]:
    """The address of `app` on a free port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="websockets-sansio"))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await _until_started(server)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


async def _until_started(server: uvicorn.Server) -> None:
    deadline = asyncio.get_running_loop().time() + STARTS_WITHIN
    while not server.started:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)
