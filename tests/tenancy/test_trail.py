"""The audit trail is a chain that shows every change, and stays one when words are erased from it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest
from sqlalchemy import exc, text

from lead_orchestrator.tenancy.audit.trail import Trail, verify
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.source import SOURCE
from tests.database import TestDatabase
from tests.factories import MadeTenant, make_tenant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lead_orchestrator.tenancy.secrets import SecretBox

DETAIL = {"to": "HOT", "note": "naïve “quote” \\ 1.50", "nothing": None, "nested": [1, {"a": 2.5}]}


@pytest.fixture
async def tenant(tenancy: Tenancy, secret_box: SecretBox) -> MadeTenant:
    """A tenant with four lines, one of them written in another zone, and an event between them."""
    made = await make_tenant(tenancy, secret_box)
    async with tenancy.write(made.scope) as session:
        session.audit("lead.changed", target="lead_1", detail=DETAIL)
        session.audit("lead.seen")
    async with tenancy.write(made.scope) as session:
        await session.execute(text("SET LOCAL timezone = 'Asia/Tokyo'"))
        session.audit("seen.from.afar", target="lead_1", detail={})
    return made


async def _verified(tenancy: Tenancy, tenant: MadeTenant) -> Trail:
    async with tenancy.read(tenant.scope) as session:
        return await verify(session)


@asynccontextmanager
async def _past_the_product(database: TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    """As whoever owns the database, with no trigger in the way."""
    admin = await asyncpg.connect(database.admin_url)
    try:
        await admin.execute("SET session_replication_role = 'replica'")
        yield admin
    finally:
        await admin.close()


async def test_a_trail_holds_up_to_its_head(tenancy: Tenancy, tenant: MadeTenant) -> None:
    before = await _verified(tenancy, tenant)
    async with tenancy.write(tenant.scope) as session:
        session.audit("one.more")

    after = await _verified(tenancy, tenant)

    assert (before.broken_at, after.broken_at, after.lines - before.lines, after.erased) == (None, None, 1, 0)
    assert before.head != after.head


async def test_lines_of_transactions_that_overlap_hold(tenancy: Tenancy, tenant: MadeTenant) -> None:
    before = await _verified(tenancy, tenant)

    async def write(number: int) -> None:
        async with tenancy.write(tenant.scope) as session:
            session.audit(f"number.{number}", detail={"number": number})
            session.audit("and.another")

    await asyncio.gather(*(write(number) for number in range(20)))

    trail = await _verified(tenancy, tenant)
    assert (trail.broken_at, trail.lines - before.lines) == (None, 40)


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'somebody else'",
        "action = 'lead.unseen'",
        "target = 'lead_2'",
        "at = at + interval '1 microsecond'",
        "source = '192.0.2.1'",
        'detail = detail || \'{"to": "WON"}\'',
        "detail = NULL",
        "salt = sha256('')",
        "digest = sha256('')",
        "hash = sha256('')",
        "number = number - 1000",
    ],
)
async def test_a_changed_line_is_named(
    tenancy: Tenancy, tenant: MadeTenant, database: TestDatabase, change: str
) -> None:
    where = "tenant_id = $1 AND action = 'lead.changed' RETURNING number"
    async with _past_the_product(database) as admin:
        number = await admin.fetchval(f"UPDATE audit_log SET {change} WHERE {where}", tenant.id)  # noqa: S608 - ours

    broken = (await _verified(tenancy, tenant)).broken_at

    assert broken is not None
    assert broken == number or change.startswith("number")


@pytest.mark.parametrize(("left_out", "broken"), [("lead.changed", True), ("seen.from.afar", False)])
async def test_a_line_that_was_left_out_is_missed(
    tenancy: Tenancy, tenant: MadeTenant, database: TestDatabase, left_out: str, *, broken: bool
) -> None:
    """In between, at the line after it; at the end, at the head."""
    async with _past_the_product(database) as admin:
        await admin.execute("DELETE FROM audit_log WHERE tenant_id = $1 AND action = $2", tenant.id, left_out)

    found = (await _verified(tenancy, tenant)).broken_at

    assert found is not None
    assert (found > 0) is broken


async def test_an_erased_line_keeps_its_place_and_tells_nothing(tenancy: Tenancy, tenant: MadeTenant) -> None:
    async with tenancy.write(tenant.scope) as session:
        await session.execute(
            text("UPDATE audit_log SET salt = NULL, source = NULL, detail = NULL WHERE target = 'lead_1'")
        )

    trail = await _verified(tenancy, tenant)

    assert (trail.broken_at, trail.erased) == (None, 2)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'x'",
        "UPDATE audit_log SET hash = ''",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "UPDATE audit_log SET detail = '{}'",
        "UPDATE audit_log SET detail = NULL",
        "UPDATE audit_log SET salt = NULL",
    ],
)
async def test_the_product_can_only_erase(tenancy: Tenancy, tenant: MadeTenant, statement: str) -> None:
    with pytest.raises(exc.DBAPIError, match=r"permission denied|erased whole or not at all"):
        async with tenancy.write(tenant.scope) as session:
            await session.execute(text(statement))


async def test_a_line_says_from_where(tenancy: Tenancy, tenant: MadeTenant) -> None:
    token = SOURCE.set("192.0.2.7")
    try:
        async with tenancy.write(tenant.scope) as session:
            session.audit("asked.from.there")
    finally:
        SOURCE.reset(token)

    async with tenancy.read(tenant.scope) as session:
        sources = await session.execute(text("SELECT action, source FROM audit_log"))
        found = {row.action: row.source for row in sources}
    assert (found["asked.from.there"], found["lead.seen"]) == ("192.0.2.7", None)
    assert (await _verified(tenancy, tenant)).broken_at is None
