"""What other systems are owed about an appointment."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from lead_orchestrator.booking.outbox.models import OutboxKind
from lead_orchestrator.booking.outbox.repository import owe, settle
from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.factories import MadeTenant, make_tenant
from tests.graphql.shop import START, add_appointment

BOTH = list(OutboxKind)


async def entries(tenancy: Tenancy, tenant: MadeTenant) -> list[Any]:
    async with tenancy.read(tenant.scope) as session:
        return list(await session.execute(text("SELECT * FROM outbox ORDER BY kind DESC")))


async def test_changes_that_come_close_together_are_owed_once(tenancy: Tenancy, secret_box: SecretBox) -> None:
    tenant = await make_tenant(tenancy, secret_box)
    async with tenancy.write(tenant.scope) as session:
        first = await add_appointment(session, tenant, START)
        second = await add_appointment(session, tenant, START + timedelta(days=1))
        await owe(session, first, BOTH)
        await owe(session, first, BOTH)
        await owe(session, second, BOTH[:1])

    found = [(row.appointment_id, row.kind, row.version, row.status) for row in await entries(tenancy, tenant)]

    assert sorted(found, key=str) == sorted(
        [
            (first.id, OutboxKind.SHOPMONKEY_APPOINTMENT, 2, "PENDING"),
            (first.id, OutboxKind.GOOGLE_EVENT, 2, "PENDING"),
            (second.id, OutboxKind.SHOPMONKEY_APPOINTMENT, 1, "PENDING"),
        ],
        key=str,
    )


async def test_an_appointment_that_changed_while_it_was_told_stays_owed(
    tenancy: Tenancy, secret_box: SecretBox
) -> None:
    tenant = await make_tenant(tenancy, secret_box)
    async with tenancy.write(tenant.scope) as session:
        appointment = await add_appointment(session, tenant, START)
        await owe(session, appointment, BOTH[:1])
    [entry] = await entries(tenancy, tenant)
    async with tenancy.write(tenant.scope) as session:
        await session.execute(text("UPDATE outbox SET attempts = 3, last_error = 'away', status = 'FAILED'"))
        await owe(session, appointment, BOTH[:1])

    async with tenancy.write(tenant.scope) as session:
        assert not await settle(session, entry.id, entry.version)
    [again] = await entries(tenancy, tenant)
    assert (again.id, again.status, again.attempts, again.last_error) == (entry.id, "PENDING", 0, None)
    async with tenancy.write(tenant.scope) as session:
        assert await settle(session, entry.id, again.version)
    assert (await entries(tenancy, tenant))[0].status == "DONE"


async def test_what_is_owed_names_its_tenant_until_it_is_settled(
    lookups: Lookups, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    tenant = await make_tenant(tenancy, secret_box)
    async with tenancy.write(tenant.scope) as session:
        await owe(session, await add_appointment(session, tenant, START), BOTH[:1])
    assert tenant.id in await lookups.due_outbox()

    [entry] = await entries(tenancy, tenant)
    async with tenancy.write(tenant.scope) as session:
        await settle(session, entry.id, entry.version)

    assert tenant.id not in await lookups.due_outbox()
