"""A statement that takes too long, and a database that is away, are answered as such, with the id they were logged by."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from lead_orchestrator.db import Engines, Timeouts, database_url
from lead_orchestrator.tenancy.reader import Reader
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.database import TestDatabase
from tests.graphql.conftest import Franchise, open_api
from tests.graphql.server import Answer, Api

SHORT = Timeouts(statement=200, lock=200)
PLANNED = "{ leads { totalCount } }"
EXECUTED = """mutation($l: ID!) { pauseTouches(leadId: $l) { lead { id } errors { code } } }"""


def masked_as_unavailable(answer: Answer) -> bool:
    [error] = answer.errors
    extensions = error["extensions"]
    return (
        answer.status == 200
        and (extensions["code"], extensions["reason"]) == ("INTERNAL", "UNAVAILABLE")
        and extensions["id"] in error["message"]
    )


@pytest_asyncio.fixture
async def hurried(database: TestDatabase, secret_box: SecretBox) -> AsyncIterator[Api]:
    urls = database.urls
    engines = Engines.open(urls.app, urls.visitor, urls.platform, size=2, timeouts=SHORT)
    reader = Reader(urls.app, size=2, timeouts=SHORT)
    async with open_api(Tenancy(engines), secret_box, reader, development=False) as api:
        yield api
    await reader.close()
    await engines.dispose()


@pytest.mark.parametrize("document", [PLANNED, EXECUTED])
async def test_a_statement_that_takes_too_long_says_so(
    hurried: Api, ours: Franchise, database: TestDatabase, document: str
) -> None:
    token = hurried.token(ours.tenant.id)
    engine = create_async_engine(database_url(database.admin_url))
    async with engine.connect() as blocker:
        await blocker.execute(text("LOCK TABLE leads IN ACCESS EXCLUSIVE MODE"))
        stuck = await hurried.ask(token, document, l=ours.lead_id)
        await blocker.rollback()
    await engine.dispose()

    assert masked_as_unavailable(stuck), stuck
    assert (await hurried.ask(token, document, l=ours.lead_id)).errors == []


@pytest.mark.parametrize("document", [PLANNED, EXECUTED])
async def test_a_database_that_is_away_says_so(
    database: TestDatabase, secret_box: SecretBox, ours: Franchise, document: str
) -> None:
    nowhere = make_url(database.urls.app).set(host="127.0.0.1", port=1).render_as_string(hide_password=False)
    engines, reader = Engines.open(nowhere, nowhere, nowhere, size=1), Reader(nowhere, size=1)
    async with open_api(Tenancy(engines), secret_box, reader, development=False) as api:
        away = await api.ask(api.token(ours.tenant.id), document, l=ours.lead_id)
    await reader.close()
    await engines.dispose()

    assert masked_as_unavailable(away), away
