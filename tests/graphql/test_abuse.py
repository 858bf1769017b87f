"""What an attacker sends is refused with the right code, before any connection to the database is taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import event
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from lead_orchestrator.bench.abuse_requests import REQUESTS, Abuse
from lead_orchestrator.db import Engines
from lead_orchestrator.tenancy.reader import Reader
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.database import TestDatabase
from tests.graphql.conftest import Franchise, open_api
from tests.graphql.server import Answer, Api, answer

SENDS_WITHIN = 2.0


class CountingReader(Reader):
    """Writes down each statement."""

    used: list[str]

    async def fetch(self, statement: str, values: Sequence[Any]) -> str | None:
        self.used.append("statement")
        return await super().fetch(statement, values)


@dataclass(frozen=True)
class Watched:
    """An api, and the uses it made of the database so far."""

    api: Api
    used: list[str]


@pytest_asyncio.fixture
async def watched(
    database: TestDatabase, engines: Engines, tenancy: Tenancy, secret_box: SecretBox
) -> AsyncIterator[Watched]:
    used: list[str] = []
    reader = CountingReader(database.urls.app, size=1)
    reader.used = used

    def taken(*_: object) -> None:
        used.append("connection")

    pools = [engine.sync_engine for engine in (engines.app, engines.visitor, engines.platform)]
    for pool in pools:
        event.listen(pool, "checkout", taken)
    async with open_api(tenancy, secret_box, reader, development=False) as api:
        yield Watched(api, used)
    for pool in pools:
        event.remove(pool, "checkout", taken)
    await reader.close()


async def send(api: Api, token: str, abuse: Abuse) -> Answer:
    headers = {"content-type": abuse.content_type, "authorization": f"Bearer {token}", **abuse.headers}
    params = {"query": abuse.body.decode()} if abuse.method == "GET" else None
    content = None if params else abuse.body
    return answer(await api.http.request(abuse.method, "/graphql", content=content, params=params, headers=headers))


@pytest.mark.parametrize("abuse", REQUESTS, ids=lambda abuse: abuse.name)
async def test_abuse_is_refused_before_the_database_is_asked(watched: Watched, ours: Franchise, abuse: Abuse) -> None:
    token = watched.api.token(ours.tenant.id)
    watched.used.clear()

    async with asyncio.timeout(SENDS_WITHIN):
        refused = await send(watched.api, token, abuse)

    assert (refused.status, set(refused.codes)) == (abuse.status, {abuse.code}), refused.errors
    assert refused.data is None
    assert watched.used == []
    assert max(len(error["message"]) for error in refused.errors) < 600


async def test_uses_of_the_database_are_seen(watched: Watched, ours: Franchise) -> None:
    token = watched.api.token(ours.tenant.id)
    for document in ("{ leads { totalCount } }", "{ viewer { tenant { slug } } }"):
        watched.used.clear()

        answered = await watched.api.ask(token, document)

        assert answered.errors == []
        assert watched.used


async def test_the_legacy_socket_protocol_is_refused(api: Api) -> None:
    url = str(api.http.base_url).replace("http", "ws") + "/graphql"

    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, subprotocols=[Subprotocol("graphql-ws")]):
            pass

    assert refused.value.response.status_code == 403


async def test_many_abuses_at_once_do_not_stop_the_others(api: Api, ours: Franchise) -> None:
    dear = [abuse for abuse in REQUESTS if abuse.code == "QUERY_TOO_COMPLEX"]

    answers = await asyncio.gather(
        *(send(api, ours.owner, abuse) for abuse in dear * 3), api.ask(ours.owner, "{ viewer { role } }")
    )

    assert answers[-1].ok == {"viewer": {"role": "OWNER"}}


async def test_a_body_that_never_ends_is_answered_before_it_does(api: Api) -> None:
    url = api.http.base_url
    head = f"POST /graphql HTTP/1.1\r\nhost: {url.host}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(head.encode() + chunk * 4)

    async with asyncio.timeout(SENDS_WITHIN):
        status = await reader.readline()

    writer.close()
    assert b" 413 " in status
