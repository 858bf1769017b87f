"""The floor of the GraphQL benchmark: a bare ASGI app that checks the token, runs a statement and sends its text.

POST /<operation> with the variables as JSON. Run by `python -m`, told by the environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg
import uvicorn
from sqlalchemy import make_url
from starlette.types import ASGIApp, Receive, Scope, Send

from lead_orchestrator.services import AUDIENCE
from lead_orchestrator.tenancy import sessions
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.tokens import TokenVerifier

__all__ = ["FloorApp"]

_IDS = frozenset({"id", "location"})


class FloorApp:
    """Answers each path by a statement and the variables it takes; its pool opens with the first request."""

    def __init__(
        self, url: str, access: Access, statements: Mapping[str, tuple[str, Sequence[str]]], *, size: int
    ) -> None:
        self._url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._access = access
        self._size = size
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._statements = statements

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        authorization = dict(scope["headers"])[b"authorization"].decode()
        held = sessions.Scope.of(self._access.claims(authorization)).settings()
        given = json.loads((await receive())["body"])
        statement, names = self._statements[scope["path"]]
        text = await self._fetch(
            statement, held, [UUID(given[name]) if name in _IDS else given[name] for name in names]
        )
        body = f'{{"data":{text}}}'.encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _fetch(self, statement: str, held: Mapping[str, str], values: Sequence[object]) -> str:
        pool = self._pool or await self._open()
        async with pool.acquire() as connection:
            scope = (held["tenant_id"], held["location_ids"], held["subject"])
            text: str = await connection.fetchval(statement, *scope, *values)
            return text

    async def _open(self) -> asyncpg.Pool[asyncpg.Record]:
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=self._size,
            reset=_nothing,
            server_settings={"jit": "off", "timezone": "UTC"},
        )
        return self._pool


async def _nothing(_connection: object) -> None:
    """A folded statement leaves nothing behind."""


def _app() -> ASGIApp:
    given = os.environ
    verifier = TokenVerifier([given["FLOOR_PUBLIC_KEY"]], given["FLOOR_ISSUER"], AUDIENCE)
    access, statements = Access(verifier, RevocationList()), json.loads(given["FLOOR_STATEMENTS"])
    return FloorApp(given["FLOOR_DATABASE_URL"], access, statements, size=int(given["FLOOR_POOL"]))


if __name__ == "__main__":
    uvicorn.run(
        _app(), host="127.0.0.1", port=int(os.environ["FLOOR_PORT"]), lifespan="off", log_config=None, access_log=False
    )
