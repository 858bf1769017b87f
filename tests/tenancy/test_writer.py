"""A direct session carries its tenant as an ordinary one does, and leaves nothing on its connection."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import text

from lead_orchestrator.errors import NotFoundError
from lead_orchestrator.leads.models import LeadStatus
from lead_orchestrator.leads.standing import set_status_directly
from lead_orchestrator.tenancy.connections import Connections
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Scope, ScopeError, Tenancy
from lead_orchestrator.tenancy.tokens import Role
from lead_orchestrator.tenancy.writer import DirectSession, Prepared, Writer
from tests.database import TestDatabase
from tests.factories import MadeTenant, make_lead, make_tenant

REQUESTS = 600
LONGEST_REQUEST = 0.01

SETTINGS = Prepared(
    text("SELECT current_setting('app.tenant_id', true) AS tenant, current_setting('app.subject', true) AS subject")
)
LEADS = Prepared(text("SELECT array_agg(DISTINCT tenant_id) AS tenants FROM leads"))
RENAME = Prepared(text("UPDATE leads SET first_name = :name WHERE id = :id RETURNING id"))


@pytest_asyncio.fixture
async def connections(database: TestDatabase) -> AsyncIterator[Connections]:
    """A single connection, so that whoever comes next gets the same one."""
    connections = Connections(database.urls.app, size=1)
    yield connections
    await connections.close()


@pytest_asyncio.fixture
async def writer(tenancy: Tenancy, connections: Connections) -> Writer:
    return Writer(tenancy, connections)


@pytest_asyncio.fixture(scope="module")
async def tenants(tenancy: Tenancy, secret_box: SecretBox) -> list[MadeTenant]:
    made = [await make_tenant(tenancy, secret_box, locations=2) for _ in range(3)]
    for tenant in made:
        for location in tenant.locations:
            await make_lead(tenancy, secret_box, tenant, location=location)
    return made


async def name_of(tenancy: Tenancy, tenant: MadeTenant, lead_id: UUID) -> str | None:
    async with tenancy.read(tenant.scope) as session:
        name: str | None = await session.scalar(text("SELECT first_name FROM leads WHERE id = :id"), {"id": lead_id})
        return name


@pytest.mark.parametrize("subject", ["o'brien", "a\\' OR true --", "x'); DROP TABLE leads; --", "ü\u2019 \u201c"])
async def test_a_setting_is_taken_as_it_is_whatever_is_in_it(
    writer: Writer, tenants: list[MadeTenant], subject: str
) -> None:
    async with writer.open(replace(tenants[0].scope, subject=subject)) as session:
        row = await session.row(SETTINGS)

    assert row is not None
    assert (row["tenant"], row["subject"]) == (str(tenants[0].id), subject)


async def test_nothing_of_a_session_is_left_on_its_connection(
    writer: Writer, connections: Connections, tenants: list[MadeTenant]
) -> None:
    async with writer.open(tenants[0].scope) as session:
        await session.row(LEADS)

    connection = await connections.take()
    left = await connection.fetchval("SELECT coalesce(current_setting('app.tenant_id', true), '')")
    assert (left, connection.is_in_transaction()) == ("", False)
    connections.give_back(connection)


async def test_another_tenants_row_is_neither_seen_nor_changed(
    writer: Writer, tenancy: Tenancy, secret_box: SecretBox, tenants: list[MadeTenant]
) -> None:
    ours, theirs = tenants[:2]
    lead = await make_lead(tenancy, secret_box, theirs)

    async with writer.open(ours.scope) as session:
        assert await session.row(RENAME, id=lead.id, name="Stolen") is None
    with pytest.raises(NotFoundError):
        async with writer.open(ours.scope) as session:
            await set_status_directly(session, lead.id, LeadStatus.LOST)

    assert await name_of(tenancy, theirs, lead.id) == "Ada"
    async with writer.open(theirs.scope) as session:
        assert await session.row(RENAME, id=lead.id, name="Renamed") is not None
    assert await name_of(tenancy, theirs, lead.id) == "Renamed"


async def test_a_limited_caller_changes_nothing_elsewhere(
    writer: Writer, tenancy: Tenancy, secret_box: SecretBox, tenants: list[MadeTenant]
) -> None:
    tenant = tenants[0]
    lead = await make_lead(tenancy, secret_box, tenant, location=tenant.locations[1])
    scope = Scope(tenant.id, frozenset({tenant.locations[0]}), "agent", Role.AGENT)

    async with writer.open(scope) as session:
        assert await session.row(RENAME, id=lead.id, name="Reached") is None

    assert await name_of(tenancy, tenant, lead.id) == "Ada"


async def test_a_visitor_gets_no_direct_session(writer: Writer, tenants: list[MadeTenant]) -> None:
    with pytest.raises(ScopeError, match="visitor"):
        async with writer.open(Scope(tenants[0].id, role=Role.VISITOR)):
            pass


async def test_what_raises_is_undone_and_the_connection_goes_on(
    writer: Writer, tenancy: Tenancy, secret_box: SecretBox, tenants: list[MadeTenant]
) -> None:
    lead = await make_lead(tenancy, secret_box, tenants[0])

    async def half() -> None:
        async with writer.open(tenants[0].scope) as session:
            await session.row(RENAME, id=lead.id, name="Half")
            raise NotFoundError("after the change")

    with pytest.raises(NotFoundError):
        await half()

    assert await name_of(tenancy, tenants[0], lead.id) == "Ada"
    async with writer.open(tenants[0].scope) as session:
        assert await session.row(SETTINGS) is not None


async def test_an_error_that_was_swallowed_is_no_commit(
    writer: Writer, tenancy: Tenancy, secret_box: SecretBox, tenants: list[MadeTenant]
) -> None:
    lead = await make_lead(tenancy, secret_box, tenants[0])

    async def swallowing() -> None:
        async with writer.open(tenants[0].scope) as session:
            await session.row(RENAME, id=lead.id, name="Half")
            with suppress(asyncpg.UndefinedTableError):
                await session.row(Prepared(text("SELECT 1 FROM nowhere")))

    with pytest.raises(ScopeError, match="after an error"):
        await swallowing()

    assert await name_of(tenancy, tenants[0], lead.id) == "Ada"


async def test_events_are_told_after_the_commit_and_not_after_a_failure(
    tenancy: Tenancy, connections: Connections, secret_box: SecretBox, tenants: list[MadeTenant]
) -> None:
    told: list[tuple[UUID, int]] = []
    own = Tenancy(tenancy.engines)
    own.on_events = lambda tenant_id, position: told.append((tenant_id, position))
    writer = Writer(own, connections)
    lead = await make_lead(tenancy, secret_box, tenants[0])

    async def failing() -> None:
        with suppress(NotFoundError):
            async with writer.open(tenants[0].scope) as session:
                await set_status_directly(session, lead.id, LeadStatus.WON)
                raise NotFoundError("undone")

    async with writer.open(tenants[0].scope) as session:
        await set_status_directly(session, lead.id, LeadStatus.HOT)
    await failing()

    assert [tenant_id for tenant_id, _ in told] == [tenants[0].id]
    async with tenancy.read(tenants[0].scope) as reading:
        newest = await reading.scalar(
            text("SELECT max(position) FROM lead_events WHERE lead_id = :id"), {"id": lead.id}
        )
        assert await reading.scalar(text("SELECT status FROM leads WHERE id = :id"), {"id": lead.id}) == "HOT"
    assert newest is not None
    assert told[0][1] >= newest


async def test_requests_cancelled_anywhere_leak_no_tenant_and_no_open_transaction(
    writer: Writer, connections: Connections, tenants: list[MadeTenant]
) -> None:
    chance = random.Random(11)  # noqa: S311 - where to cancel
    wrong: list[object] = []
    done = 0

    async def request(tenant: MadeTenant) -> None:
        nonlocal done
        async with writer.open(tenant.scope) as session:
            await asyncio.sleep(0)
            row = await session.row(LEADS)
            wrong.extend(found for found in (row["tenants"] if row else []) if found != tenant.id)
        done += 1

    for _ in range(REQUESTS):
        task = asyncio.create_task(request(chance.choice(tenants)))
        if chance.random() < 0.5:
            await asyncio.wait([task], timeout=chance.uniform(0, LONGEST_REQUEST))
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    connection = await connections.take()
    assert not connection.is_in_transaction()
    connections.give_back(connection)
    assert wrong == []
    assert done >= REQUESTS // 2


async def test_what_was_recorded_is_written_once_and_last(
    writer: Writer, tenancy: Tenancy, secret_box: SecretBox, tenants: list[MadeTenant]
) -> None:
    lead = await make_lead(tenancy, secret_box, tenants[0])

    async with writer.open(tenants[0].scope) as session:
        _record(session, tenants[0], lead.id)

    async with tenancy.read(tenants[0].scope) as session:
        counted = await session.scalar(
            text("SELECT count(*) FROM lead_events WHERE lead_id = :id AND kind = 'tests.ran'"), {"id": lead.id}
        )
        audited = await session.scalar(
            text("SELECT count(*) FROM audit_log WHERE target = :id"), {"id": f"lead_{lead.id}"}
        )
    assert (counted, audited) == (1, 1)


def _record(session: DirectSession, tenant: MadeTenant, lead_id: UUID) -> None:
    session.record("tests.ran", location_id=tenant.location, lead_id=lead_id)
    session.audit("tests.ran", target=f"lead_{lead_id}")
