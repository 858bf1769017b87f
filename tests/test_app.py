from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from lead_orchestrator.db import database_url
from lead_orchestrator.demo.run import run_worker
from lead_orchestrator.errors import ConfigurationError
from lead_orchestrator.log import configure_logging
from lead_orchestrator.settings import load_settings
from tests.database import Cluster, TestDatabase
from tests.http import open_http
from tests.serving import bearer, serving
from tests.stack import Stack, open_stack


@pytest_asyncio.fixture
async def stack(fresh_database: TestDatabase, cluster: Cluster) -> AsyncIterator[Stack]:
    async with open_stack(fresh_database, cluster.redis_url) as stack:
        yield stack


async def execute_as_admin(database: TestDatabase, statement: str) -> None:
    engine = create_async_engine(database_url(database.admin_url), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


async def until_ready(api: httpx.AsyncClient) -> dict[str, object]:
    async with asyncio.timeout(10):
        while (answer := await api.get("/ready")).status_code != 200:  # noqa: ASYNC110 - readiness is asked for
            await asyncio.sleep(0.05)
    body: dict[str, object] = answer.json()
    return body


async def test_ready_says_what_is_missing_until_a_worker_ticks(stack: Stack) -> None:
    async with serving(stack.settings) as api:
        assert (await api.get("/health")).json() == {"ok": True}
        before = await api.get("/ready")
        async with run_worker(stack.settings):
            after = await until_ready(api)

    checks = {check["name"]: check for check in before.json()["checks"]}
    assert {name for name, check in checks.items() if check["ok"]} >= {"database", "migrations", "redis"}
    assert after["ok"] is True


async def test_metrics_count_requests_by_route_and_name_no_tenant(stack: Stack) -> None:
    async with serving(stack.settings) as api:
        await api.get("/c/some-token")
        await api.get("/nowhere/+12135550101")
        figures = (await api.get("/metrics")).text
    assert 'lead_requests_total{route="/c",status="404"}' in figures
    assert 'lead_requests_total{route="other",status="404"}' in figures
    assert "12135550101" not in figures
    assert str(stack.tenant_id) not in figures


async def test_an_unknown_path_is_a_clear_404(stack: Stack) -> None:
    async with serving(stack.settings) as api:
        answer = await api.get("/nowhere")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NOT_FOUND"
    assert answer.headers["x-request-id"]


async def test_jwks_verifies_our_tokens(stack: Stack) -> None:
    async with serving(stack.settings) as api:
        keys = (await api.get("/.well-known/jwks.json")).json()["keys"]
    assert [(key["kty"], key["crv"]) for key in keys] == [("OKP", "Ed25519")]
    assert "d" not in keys[0]


async def test_log_lines_are_json_with_the_request_and_without_the_token(stack: Stack) -> None:
    stream = io.StringIO()
    configure_logging("INFO", stream=stream)
    async with serving(stack.settings) as api:
        answer = await api.get("/c/a-secret-token")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    [request] = [line for line in lines if line["event"] == "request" and line["route"] == "/c"]
    assert request["request_id"] == answer.headers["x-request-id"]
    assert "a-secret-token" not in stream.getvalue()


async def test_the_api_does_not_start_on_a_database_with_a_hole(stack: Stack, fresh_database: TestDatabase) -> None:
    await execute_as_admin(fresh_database, "ALTER TABLE leads NO FORCE ROW LEVEL SECURITY")
    with pytest.raises(ConfigurationError, match="leads"):
        async with serving(stack.settings):
            pass


async def test_graphql_answers_at_its_path_without_a_redirect(stack: Stack) -> None:
    async with serving(stack.settings) as api:
        answer = await api.post("/graphql", json={"query": "{ viewer { role } }"}, headers=bearer(stack))
    assert answer.json()["data"] == {"viewer": {"role": "OWNER"}}
    assert answer.json()["extensions"]["cost"]["remaining"] > 0


async def test_a_running_request_ends_before_the_api_does(stack: Stack) -> None:
    engine = create_async_engine(database_url(stack.database.admin_url))
    query = {"query": "{ leads { totalCount } }"}
    async with engine.connect() as blocker, AsyncExitStack() as closing:
        api = await closing.enter_async_context(serving(stack.settings))
        await blocker.execute(text("LOCK TABLE leads IN ACCESS EXCLUSIVE MODE"))
        slow = asyncio.create_task(stack.http.post(f"{api.base_url}/graphql", json=query, headers=bearer(stack)))
        await until_waiting(blocker)
        closed = asyncio.create_task(closing.aclose())
        await until_refused(str(api.base_url))
        assert not closed.done()
        await blocker.rollback()
        answer = await slow
        await closed
    await engine.dispose()
    assert answer.json()["data"]["leads"]["totalCount"] == 0


async def until_refused(url: str) -> None:
    """Until the api takes no new connection."""
    async with asyncio.timeout(10), open_http() as client:
        while True:
            try:
                await client.get(f"{url}/health", headers={"Connection": "close"})
            except httpx.TransportError:
                return
            await asyncio.sleep(0.02)


async def until_waiting(connection: AsyncConnection) -> None:
    """Until some session waits for a lock."""
    statement = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    forget = text("SELECT pg_stat_clear_snapshot()")  # else a transaction sees the activity of its first look for ever
    async with asyncio.timeout(10):
        while not await connection.scalar(statement):
            await asyncio.sleep(0.02)
            await connection.execute(forget)


def test_a_bad_setting_is_named_with_its_value() -> None:
    with pytest.raises(ConfigurationError, match=r"SCHEDULER_INTERVAL_MS=0: "):
        load_settings(scheduler_interval_ms=0)
