"""A change in one message carries its tenant as a session does, is done whole or not at all, and leaves nothing on its connection."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import text

from lead_orchestrator.leads.models import LeadStatus
from lead_orchestrator.leads.standing import chosen
from lead_orchestrator.tenancy.connections import Connections
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Scope, ScopeError, Tenancy
from lead_orchestrator.tenancy.tokens import Role
from lead_orchestrator.tenancy.writer import Writer
from tests.database import TestDatabase
from tests.factories import MadeTenant, make_lead, make_tenant

REQUESTS = 400
LONGEST_REQUEST = 0.01

STATUS = "SELECT l.status FROM leads l WHERE l.id = $8"
SUBJECT = "current_setting('app.subject')"
TENANTS = "SELECT string_agg(DISTINCT l.tenant_id::text, ',') FROM leads l"
FAILURE = "SELECT (1 / (length(l.status) - length(l.status)))::text FROM leads l WHERE l.id = $8"
AT_THE_GATE = "SELECT 'through'::text FROM pg_advisory_xact_lock(20261128)"


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


@pytest_asyncio.fixture
async def lead_id(tenancy: Tenancy, secret_box: SecretBox, tenants: list[MadeTenant]) -> UUID:
    """A new lead of the first tenant, at its first location."""
    return (await make_lead(tenancy, secret_box, tenants[0])).id


async def moved(writer: Writer, scope: Scope, lead_id: UUID, status: LeadStatus, answer: str = STATUS) -> str | None:
    """Set the status, and answer."""
    names = list(scope.settings())
    settings = ", ".join(f"set_config('app.{name}', ${n}, true) AS {name}" for n, name in enumerate(names, 2))
    statement = f"""
      SELECT CASE WHEN NOT $1::boolean THEN set_lead_status(scope.tenant_id::uuid, $8, $9, $10, $11, $12, NULL) END,
        CASE WHEN $1 THEN ({answer}) END, CASE WHEN $1 THEN append_recorded() END FROM (SELECT {settings} OFFSET 0) scope"""  # noqa: S608 - of this file's own texts
    return await writer.change(scope, statement, [*scope.settings().values(), lead_id, *chosen(status).values()])


async def told(tenancy: Tenancy, tenant: MadeTenant, lead_id: UUID) -> tuple[str, list[Any], list[Any]]:
    """The lead's status, and the positions and words of its changes in the events and in the audit trail."""
    async with tenancy.read(tenant.scope) as session:
        status = await session.scalar(text("SELECT status FROM leads WHERE id = :id"), {"id": lead_id})
        events = await session.execute(
            text("SELECT position, detail FROM lead_events WHERE lead_id = :id AND kind = 'lead.status' ORDER BY 1"),
            {"id": lead_id},
        )
        audits = await session.execute(
            text("SELECT actor, detail FROM audit_log WHERE target = :target ORDER BY number"),
            {"target": f"lead_{lead_id}"},
        )
        return str(status), [tuple(row) for row in events], [tuple(row) for row in audits]


@pytest.mark.parametrize("subject", ["o'brien", "a\\' OR true --", "x'); DROP TABLE leads; --", "ü\u2019 \u201c"])
async def test_a_setting_is_taken_as_it_is_whatever_is_in_it(
    writer: Writer, tenancy: Tenancy, tenants: list[MadeTenant], lead_id: UUID, subject: str
) -> None:
    scope = Scope(tenants[0].id, subject=subject, role=Role.OWNER)

    assert await moved(writer, scope, lead_id, LeadStatus.HOT, SUBJECT) == subject

    _, _, audits = await told(tenancy, tenants[0], lead_id)
    assert audits == [(subject, {"from": "NEW", "to": "HOT"})]


async def test_the_answer_is_read_after_the_change(writer: Writer, tenants: list[MadeTenant], lead_id: UUID) -> None:
    assert await moved(writer, tenants[0].scope, lead_id, LeadStatus.HOT) == "HOT"


async def test_nothing_of_a_change_is_left_on_its_connection(
    writer: Writer, connections: Connections, tenants: list[MadeTenant], lead_id: UUID
) -> None:
    await moved(writer, tenants[0].scope, lead_id, LeadStatus.HOT)

    connection = await connections.take()
    for name in ("tenant_id", "location_ids", "subject", "recorded"):
        assert not await connection.fetchval(f"SELECT current_setting('app.{name}', true)")
    assert not connection.is_in_transaction()
    connections.give_back(connection)


async def test_another_tenants_row_is_neither_seen_nor_changed(
    writer: Writer, tenancy: Tenancy, tenants: list[MadeTenant], lead_id: UUID
) -> None:
    ours, theirs = tenants[:2]

    assert await moved(writer, theirs.scope, lead_id, LeadStatus.LOST) is None
    assert await told(tenancy, ours, lead_id) == ("NEW", [], [])

    assert await moved(writer, ours.scope, lead_id, LeadStatus.LOST) == "LOST"


async def test_a_limited_caller_changes_nothing_elsewhere(
    writer: Writer, tenancy: Tenancy, tenants: list[MadeTenant], lead_id: UUID
) -> None:
    here, elsewhere = (Scope(tenants[0].id, frozenset({at}), "agent", Role.AGENT) for at in tenants[0].locations[:2])

    assert await moved(writer, elsewhere, lead_id, LeadStatus.LOST) is None
    assert await told(tenancy, tenants[0], lead_id) == ("NEW", [], [])

    assert await moved(writer, here, lead_id, LeadStatus.LOST) == "LOST"


async def test_a_visitor_changes_nothing(
    writer: Writer, tenancy: Tenancy, tenants: list[MadeTenant], lead_id: UUID
) -> None:
    with pytest.raises(ScopeError, match="visitor"):
        await moved(writer, Scope(tenants[0].id, role=Role.VISITOR), lead_id, LeadStatus.LOST)

    assert await told(tenancy, tenants[0], lead_id) == ("NEW", [], [])


async def test_an_answer_that_fails_undoes_the_change_and_the_connection_goes_on(
    writer: Writer, tenancy: Tenancy, tenants: list[MadeTenant], lead_id: UUID
) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError):
        await moved(writer, tenants[0].scope, lead_id, LeadStatus.HOT, FAILURE)

    assert await told(tenancy, tenants[0], lead_id) == ("NEW", [], [])
    assert await moved(writer, tenants[0].scope, lead_id, LeadStatus.HOT) == "HOT"


async def test_what_was_recorded_is_written_once(
    writer: Writer, tenancy: Tenancy, tenants: list[MadeTenant], lead_id: UUID
) -> None:
    for status in (LeadStatus.HOT, LeadStatus.HOT, LeadStatus.WON):  # the second of them changes nothing
        assert await moved(writer, tenants[0].scope, lead_id, status) == status

    _, events, audits = await told(tenancy, tenants[0], lead_id)
    changes = [{"from": "NEW", "to": "HOT"}, {"from": "HOT", "to": "WON"}]
    assert [detail for _, detail in events] == [detail for _, detail in audits] == changes


async def test_events_are_told_after_the_commit_and_not_after_a_failure(
    tenancy: Tenancy, connections: Connections, tenants: list[MadeTenant], lead_id: UUID
) -> None:
    rung: list[tuple[UUID, int]] = []
    own = Tenancy(tenancy.engines)
    own.on_events = lambda tenant_id, position: rung.append((tenant_id, position))
    writer = Writer(own, connections)

    with suppress(asyncpg.DivisionByZeroError):
        await moved(writer, tenants[0].scope, lead_id, LeadStatus.WON, FAILURE)
    assert rung == []
    await moved(writer, tenants[0].scope, lead_id, LeadStatus.HOT)

    _, [(position, _)], _ = await told(tenancy, tenants[0], lead_id)
    assert [tenant_id for tenant_id, _ in rung] == [tenants[0].id]
    assert rung[0][1] >= position


async def test_a_change_that_is_not_done_keeps_nobody_from_committing_events(
    writer: Writer, tenancy: Tenancy, secret_box: SecretBox, tenants: list[MadeTenant], lead_id: UUID
) -> None:
    """Positions are in the order of commits, and the lock that sees to it is taken last."""
    other = await make_lead(tenancy, secret_box, tenants[0])

    async with tenancy.read(tenants[0].scope) as gate:
        await gate.execute(text(AT_THE_GATE))
        moving = asyncio.ensure_future(moved(writer, tenants[0].scope, lead_id, LeadStatus.HOT, AT_THE_GATE))
        await _until_it_waits(tenancy, tenants[0])
        async with asyncio.timeout(20), tenancy.write(tenants[0].scope) as session:
            session.record("lead.status", location_id=other.location_id, lead_id=other.id)
    assert await moving == "through"

    (_, [(earlier, _)], _), (_, [(later, _)], _) = [await told(tenancy, tenants[0], one) for one in (other.id, lead_id)]
    assert earlier < later


async def _until_it_waits(tenancy: Tenancy, tenant: MadeTenant) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    async with asyncio.timeout(20), tenancy.read(tenant.scope) as session:
        while True:
            if await session.scalar(waiting):
                return
            await asyncio.sleep(0.01)


async def test_requests_cancelled_anywhere_leak_no_tenant_and_no_open_transaction(
    writer: Writer, tenancy: Tenancy, connections: Connections, secret_box: SecretBox, tenants: list[MadeTenant]
) -> None:
    leads = {tenant.id: (await make_lead(tenancy, secret_box, tenant)).id for tenant in tenants}
    chance = random.Random(11)  # noqa: S311 - where to cancel
    wrong: list[str | None] = []
    done = 0

    async def request(tenant: MadeTenant) -> None:
        nonlocal done
        status = chance.choice(list(LeadStatus))
        seen = await moved(writer, tenant.scope, leads[tenant.id], status, TENANTS)
        wrong.extend([] if seen == str(tenant.id) else [seen])
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
