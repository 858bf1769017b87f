"""A session sees one tenant from its first statement to its last, whatever happens to the tasks and connections around it."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import AsyncEngine

from lead_orchestrator.db import Engines
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import ReadSession, Scope, ScopeError, Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.database import TestDatabase
from tests.factories import MadeTenant, make_lead, make_tenant

# How many requests go through the pool of two; each may be cancelled at any of its steps.
REQUESTS = int(os.environ.get("LEAD_POOL_REQUESTS", "10000"))
TENANTS = 12
CALLERS = 8
LONGEST_REQUEST = 0.02

SETTINGS = text(
    "SELECT concat_ws('|', current_setting('app.tenant_id', true), current_setting('app.location_ids', true),"
    " current_setting('app.subject', true), current_setting('app.lead_id', true))"
)
BACKEND = text("SELECT pg_backend_pid()")
LEADS = text("SELECT tenant_id, id FROM leads")


@pytest_asyncio.fixture
async def small(database: TestDatabase) -> AsyncIterator[Tenancy]:
    """Pools of a single connection, so that whoever comes next gets the same one."""
    urls = database.urls
    engines = Engines.open(urls.app, urls.visitor, urls.platform, size=1)
    yield Tenancy(engines)
    await engines.dispose()


@pytest_asyncio.fixture(scope="module")
async def tenant(tenancy: Tenancy, secret_box: SecretBox) -> MadeTenant:
    made = await make_tenant(tenancy, secret_box, locations=2)
    for location in made.locations:
        await make_lead(tenancy, secret_box, made, location=location)
    return made


async def _count(session: ReadSession, table: str = "leads") -> int:
    return int(await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)  # noqa: S608 - names of this file


async def _left_over(engine: AsyncEngine) -> tuple[int, str]:
    """The backend of the pool's only connection and what settings it still has."""
    async with engine.connect() as connection:
        return int(await connection.scalar(BACKEND) or 0), str(await connection.scalar(SETTINGS))


async def test_settings_are_gone_after_the_commit(small: Tenancy, tenant: MadeTenant) -> None:
    async with small.write(tenant.scope) as session:
        assert str(tenant.id) in str(await session.scalar(SETTINGS))
        backend = await session.scalar(BACKEND)

    assert await _left_over(small.engines.app) == (backend, "|||")


async def test_settings_are_gone_after_a_rollback(small: Tenancy, tenant: MadeTenant) -> None:
    backend = None
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the whole session is the subject
        async with small.write(tenant.scope) as session:
            backend = await session.scalar(BACKEND)
            raise ZeroDivisionError

    assert await _left_over(small.engines.app) == (backend, "|||")


async def test_settings_outlive_a_savepoint_that_is_rolled_back(small: Tenancy, tenant: MadeTenant) -> None:
    async with small.read(tenant.scope) as session:
        savepoint = await session.begin_nested()
        await savepoint.rollback()
        assert await _count(session) == 2


async def test_a_session_that_commits_early_cannot_go_on(small: Tenancy, tenant: MadeTenant) -> None:
    with pytest.raises(exc.InvalidRequestError, match="closed transaction"):  # noqa: PT012 - the whole session is the subject
        async with small.read(tenant.scope) as session:
            await session.commit()
            await session.scalar(SETTINGS)


async def test_a_connection_with_a_tenant_left_over_is_refused_and_thrown_away(
    small: Tenancy, tenant: MadeTenant
) -> None:
    async with small.engines.app.connect() as connection:
        await connection.execute(text("SELECT set_config('app.tenant_id', :id, false)"), {"id": str(uuid4())})
        await connection.commit()
        backend = await connection.scalar(BACKEND)

    with pytest.raises(ScopeError, match="another session's tenant"):
        async with small.read(tenant.scope):
            pytest.fail("the session was handed out")

    async with small.read(tenant.scope) as session:
        assert await session.scalar(BACKEND) != backend
        assert await _count(session) == 2


async def test_a_connection_that_comes_back_inside_a_transaction_is_thrown_away(
    small: Tenancy, tenant: MadeTenant
) -> None:
    async with small.engines.app.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        backend = await connection.scalar(BACKEND)
        await connection.rollback()
        await driver.execute(f"BEGIN; SELECT set_config('app.tenant_id', '{uuid4()}', true)")

    async with small.read(tenant.scope) as session:
        assert await session.scalar(BACKEND) != backend
        assert await _count(session) == 2


async def test_no_location_means_no_row(tenancy: Tenancy, tenant: MadeTenant) -> None:
    async with tenancy.read(Scope(tenant.id, frozenset())) as session:
        assert [await _count(session, table) for table in ("leads", "locations", "location_hours")] == [0, 0, 0]


async def test_one_location_means_its_rows(tenancy: Tenancy, tenant: MadeTenant) -> None:
    async with tenancy.read(Scope(tenant.id, frozenset({tenant.locations[1]}))) as session:
        assert list(await session.scalars(text("SELECT location_id FROM leads"))) == [tenant.locations[1]]


async def test_a_scope_narrows_and_never_widens(tenancy: Tenancy, tenant: MadeTenant) -> None:
    one, other = map(frozenset, ([tenant.locations[0]], [tenant.locations[1]]))
    limited = tenancy.narrowed(tenant.scope, one)

    assert limited.location_ids == one
    assert tenancy.narrowed(limited, other).location_ids == frozenset()


async def test_a_visitor_reads_with_a_role_of_its_own(
    tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant
) -> None:
    lead = await make_lead(tenancy, secret_box, tenant)
    scope = Scope(tenant.id, frozenset({tenant.location}), "visitor", Role.VISITOR, lead_id=lead.id)

    async with tenancy.read(scope) as session:
        assert await session.scalar(text("SELECT session_user::text")) == "lead_visitor"
        assert list(await session.scalars(text("SELECT id FROM leads"))) == [lead.id]


async def test_a_visitor_opens_no_write_session(tenancy: Tenancy, tenant: MadeTenant) -> None:
    with pytest.raises(ScopeError, match="a visitor writes nothing"):
        async with tenancy.write(Scope(tenant.id, role=Role.VISITOR)):
            pytest.fail("the session was handed out")


async def test_events_get_their_positions_in_the_order_of_commits(tenancy: Tenancy, secret_box: SecretBox) -> None:
    made = await make_tenant(tenancy, secret_box)
    lead = await make_lead(tenancy, secret_box, made)
    start = await _head(tenancy, made)
    async with AsyncExitStack() as first:
        early = await first.enter_async_context(tenancy.write(made.scope))
        early.record("began.first", location_id=made.location, lead_id=lead.id)
        async with tenancy.write(made.scope) as late:
            late.record("began.second", location_id=made.location, lead_id=lead.id)
            late.record("began.second", location_id=made.location, lead_id=lead.id, detail={"n": 2})

    async with tenancy.read(made.scope) as session:
        rows = await session.execute(
            text("SELECT position, kind, detail FROM lead_events WHERE position > :start ORDER BY 1"), {"start": start}
        )
        assert [tuple(row) for row in rows] == [
            (start + 1, "began.second", None),
            (start + 2, "began.second", {"n": 2}),
            (start + 3, "began.first", None),
        ]
    assert await _head(tenancy, made) == start + 3


async def test_a_rolled_back_session_leaves_neither_event_nor_gap(tenancy: Tenancy, secret_box: SecretBox) -> None:
    made = await make_tenant(tenancy, secret_box)
    lead = await make_lead(tenancy, secret_box, made)
    start = await _head(tenancy, made)

    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the whole session is the subject
        async with tenancy.write(made.scope) as session:
            session.record("never", location_id=made.location, lead_id=lead.id)
            await session.append()
            raise ZeroDivisionError

    assert await _head(tenancy, made) == start


async def test_whoever_reads_up_to_the_head_misses_nothing(tenancy: Tenancy, secret_box: SecretBox) -> None:
    made = await make_tenant(tenancy, secret_box)
    lead = await make_lead(tenancy, secret_box, made)
    start, writers, each = await _head(tenancy, made), 3, 40

    async def write(order: random.Random) -> None:
        for _ in range(each):
            async with tenancy.write(made.scope) as session:
                session.record("written", location_id=made.location, lead_id=lead.id)
                for _ in range(order.randrange(3)):
                    await session.scalar(BACKEND)

    async def read() -> None:
        head = start
        while head < start + writers * each:
            async with tenancy.read(made.scope) as session:
                head = int(await session.scalar(text("SELECT position FROM tenant_heads")) or 0)
                below = text("SELECT count(*) FROM lead_events WHERE position > :start AND position <= :head")
                assert await session.scalar(below, {"start": start, "head": head}) == head - start

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(read())
        for seed in range(writers):
            group.create_task(write(random.Random(seed)))  # noqa: S311 - a reproducible order


async def _head(tenancy: Tenancy, made: MadeTenant) -> int:
    async with tenancy.read(made.scope) as session:
        return int(await session.scalar(text("SELECT position FROM tenant_heads")) or 0)


async def test_nobody_gets_a_foreign_row_when_requests_are_cancelled(
    database: TestDatabase, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    tenants = [await make_tenant(tenancy, secret_box) for _ in range(TENANTS)]
    owner = {(await make_lead(tenancy, secret_box, made)).id: made.id for made in tenants}
    urls = database.urls
    engines = Engines.open(urls.app, urls.visitor, urls.platform, size=2)
    pooled = Tenancy(engines)
    answered: list[bool] = []
    cancelled: list[bool] = []

    async def request(made: MadeTenant, writes: bool) -> None:
        opened = pooled.write(made.scope) if writes else pooled.read(made.scope)
        async with opened as session:
            if writes:
                await session.execute(text("UPDATE leads SET time_zone = 'UTC'"))
            rows = [(row.tenant_id, row.id) for row in await session.execute(LEADS)]
        answered.append([(owner[lead], lead) for _, lead in rows] == rows and {row[0] for row in rows} == {made.id})

    async def call(order: random.Random) -> None:
        for _ in range(REQUESTS // CALLERS):
            task = asyncio.create_task(request(order.choice(tenants), order.random() < 0.2))
            if order.random() < 0.3:
                await asyncio.wait([task], timeout=order.uniform(0, LONGEST_REQUEST))
                cancelled.append(task.cancel())
                while order.random() < 0.5 and not task.done():  # frameworks cancel again what does not end at once
                    await asyncio.sleep(0)
                    task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

    async with asyncio.TaskGroup() as group:
        for seed in range(CALLERS):
            group.create_task(call(random.Random(seed)))  # noqa: S311 - a reproducible order

    assert len(answered) > REQUESTS / 2
    assert all(answered)
    assert sum(cancelled) > REQUESTS / 20, "too few requests were cancelled to prove anything"
    await _assert_clean(engines.app)
    await engines.dispose()


async def _assert_clean(engine: AsyncEngine) -> None:
    """Both connections work, are outside of transactions and carry no settings."""
    async with engine.connect() as one, engine.connect() as other:
        for connection in (one, other):
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            assert not driver.is_in_transaction()
            assert await connection.scalar(SETTINGS) in {"|||", ""}
