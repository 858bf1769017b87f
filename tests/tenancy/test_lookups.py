"""What must be known before a tenant is: each function answers with ids, to the product's own role and nobody else."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from lead_orchestrator.db import Engines, database_url
from lead_orchestrator.tenancy.lookups import Lookups, Revocation, Route
from lead_orchestrator.tenancy.policies import DEFINER_FUNCTIONS
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.database import TestDatabase
from tests.factories import MadeTenant, make_lead, make_tenant

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest_asyncio.fixture
async def tenant(tenancy: Tenancy, secret_box: SecretBox) -> MadeTenant:
    return await make_tenant(tenancy, secret_box)


async def _execute(tenancy: Tenancy, made: MadeTenant, statement: str, **values: object) -> None:
    async with tenancy.write(made.scope) as session:
        await session.execute(text(statement), values)


async def _suspend(tenancy: Tenancy, made: MadeTenant) -> None:
    async with tenancy.platform() as session:
        statement = "UPDATE tenants SET status = 'SUSPENDED', status_changed_at = now() WHERE id = :id"
        await session.execute(text(statement), {"id": made.id})


async def test_a_route_names_its_tenant_and_location(lookups: Lookups, tenant: MadeTenant) -> None:
    route = Route(tenant.id, tenant.location, active=True)

    assert await lookups.route("shopmonkey_location", tenant.shopmonkey_locations[0]) == route
    assert await lookups.route("slug", f"{tenant.slug}-1") == route


async def test_a_route_is_of_its_kind_only(lookups: Lookups, tenant: MadeTenant) -> None:
    assert await lookups.route("slug", tenant.shopmonkey_locations[0]) is None
    assert await lookups.route("shopmonkey_location", "nobody's") is None


async def test_a_route_of_a_suspended_tenant_says_so(lookups: Lookups, tenancy: Tenancy, tenant: MadeTenant) -> None:
    await _suspend(tenancy, tenant)

    route = await lookups.route("slug", f"{tenant.slug}-1")

    assert route is not None
    assert not route.active


async def test_a_tenant_is_found_by_its_slug(lookups: Lookups, tenant: MadeTenant) -> None:
    assert await lookups.tenant(tenant.slug) == tenant.id
    assert await lookups.tenant(f"{tenant.slug}-1") is None
    assert tenant.id in await lookups.tenants()


async def _message(tenancy: Tenancy, secret_box: SecretBox, made: MadeTenant, **columns: object) -> None:
    """A message of a new lead, due an hour ago unless told otherwise; the lead's own ones are cancelled."""
    lead = await make_lead(tenancy, secret_box, made)
    values = {
        "tenant_id": made.id,
        "location_id": made.location,
        "lead_id": lead.id,
        "kind": "AD_HOC",
        "channel": "SMS",
        "due_at": datetime.now(UTC) - timedelta(hours=1),
        "created_at": datetime.now(UTC),
        **columns,
    }
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    await _execute(tenancy, made, "UPDATE scheduled_messages SET status = 'CANCELLED'")
    await _execute(tenancy, made, f"INSERT INTO scheduled_messages ({names}) VALUES ({places})", **values)  # noqa: S608 - names of this file


async def test_a_due_message_names_its_tenant(
    lookups: Lookups, tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant
) -> None:
    assert tenant.id not in await lookups.due_messages()

    await _message(tenancy, secret_box, tenant)

    assert list(await lookups.due_messages()).count(tenant.id) == 1


async def test_due_tenants_are_named_page_by_page(lookups: Lookups, tenancy: Tenancy, secret_box: SecretBox) -> None:
    tenants = [await make_tenant(tenancy, secret_box) for _ in range(3)]
    for made in tenants:
        await _message(tenancy, secret_box, made)
    first, second, third = sorted(made.id for made in tenants)

    assert await lookups.due_messages(first, 1) == [second]
    assert list(await lookups.due_messages(first, 2)) == [second, third]
    assert first in await lookups.due_messages(None, 1_000)
    assert list(await lookups.due_messages(third, 1_000)).count(third) == 0


async def test_a_message_of_the_future_is_not_due(
    lookups: Lookups, tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant
) -> None:
    await _message(tenancy, secret_box, tenant, due_at=datetime.now(UTC) + timedelta(hours=1))

    assert tenant.id not in await lookups.due_messages()


async def test_a_suspended_tenant_has_nothing_due(
    lookups: Lookups, tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant
) -> None:
    await _message(tenancy, secret_box, tenant)
    await _suspend(tenancy, tenant)

    assert tenant.id not in await lookups.due_messages()
    assert tenant.id not in await lookups.due_polls()


@pytest.mark.parametrize(
    ("status", "lease", "found"),
    [("SENDING", -1, True), ("UNKNOWN", -1, True), ("SENDING", 60, False), ("SENT", -1, False)],
)
async def test_a_message_whose_lease_ran_out_names_its_tenant(
    lookups: Lookups, tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant, status: str, lease: int, found: bool
) -> None:
    until = datetime.now(UTC) + timedelta(seconds=lease)
    await _message(tenancy, secret_box, tenant, status=status, lease_until=until)

    assert (tenant.id in await lookups.open_messages()) is found


async def test_the_next_due_moment_and_the_lag_are_those_of_the_oldest_message(
    fresh_database: TestDatabase, secret_box: SecretBox
) -> None:
    urls = fresh_database.urls
    engines = Engines.open(urls.app, urls.visitor, urls.platform, size=2)
    lookups, tenancy = Lookups(engines.app), Tenancy(engines)
    assert await lookups.next_due() is None
    assert await lookups.due_lag() == 0
    first, second = [await make_tenant(tenancy, secret_box) for _ in range(2)]
    due = datetime.now(UTC) + timedelta(hours=1)
    await _message(tenancy, secret_box, first, due_at=due)
    assert await lookups.next_due() == due
    assert await lookups.due_lag() == 0
    await _message(tenancy, secret_box, second)
    assert 3600 <= await lookups.due_lag() < 3700
    await _suspend(tenancy, second)
    assert await lookups.next_due() == due
    await engines.dispose()


async def test_a_stored_event_names_its_tenant(lookups: Lookups, tenancy: Tenancy, tenant: MadeTenant) -> None:
    assert tenant.id not in await lookups.due_events()
    stored = (
        "INSERT INTO webhook_events (tenant_id, location_id, source, delivery_id, change_key, operation, external_id)"
        " VALUES (:tenant, :location, 'shopmonkey', 'd', 'c', 'Insert', 'o')"
    )
    await _execute(tenancy, tenant, stored, tenant=tenant.id, location=tenant.location)
    assert list(await lookups.due_events()).count(tenant.id) == 1
    await _execute(tenancy, tenant, "UPDATE webhook_events SET next_attempt_at = now() + interval '1 minute'")
    assert tenant.id not in await lookups.due_events()


async def test_a_tenant_is_polled_when_it_is_due(lookups: Lookups, tenancy: Tenancy, tenant: MadeTenant) -> None:
    assert tenant.id in await lookups.due_polls()

    await _execute(tenancy, tenant, "UPDATE tenant_crm_configs SET next_poll_at = now() + interval '30 s'")

    assert tenant.id not in await lookups.due_polls()


async def test_the_longest_waiting_tenant_is_polled_first(
    lookups: Lookups, tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant
) -> None:
    other = await make_tenant(tenancy, secret_box)
    await _execute(tenancy, other, "UPDATE tenant_crm_configs SET next_poll_at = now() - interval '1 hour'")

    due = [found for found in await lookups.due_polls() if found in {tenant.id, other.id}]

    assert due == [other.id, tenant.id]


async def _revoked(lookups: Lookups, made: MadeTenant, since: datetime = LONG_AGO) -> set[Revocation]:
    return {one for one in await lookups.revoked(since) if one.tenant_id == made.id}


async def test_what_was_revoked_is_told(lookups: Lookups, tenancy: Tenancy, tenant: MadeTenant) -> None:
    user, session = uuid4(), uuid4()
    await _execute(
        tenancy,
        tenant,
        "INSERT INTO users (tenant_id, id, email, role, generation) VALUES (:tenant, :id, 'ada@example.com', 'OWNER', 3)",
        tenant=tenant.id,
        id=user,
    )
    await _execute(
        tenancy,
        tenant,
        "INSERT INTO sessions (tenant_id, id, user_id, refresh_hash, expires_at) VALUES (:tenant, :id, :user, 'x', now())",
        tenant=tenant.id,
        id=session,
        user=user,
    )
    raised = Revocation("user", tenant.id, user, 3)
    active = Revocation("tenant_active", tenant.id, tenant.id, None)
    assert await _revoked(lookups, tenant) == {raised, active}

    await _execute(tenancy, tenant, "UPDATE sessions SET revoked_at = now()")
    await _execute(tenancy, tenant, "UPDATE users SET active = false")
    await _suspend(tenancy, tenant)

    assert await _revoked(lookups, tenant) == {
        Revocation("session", tenant.id, session, None),
        Revocation("user", tenant.id, user, 4),  # above all of its tokens
        Revocation("tenant_suspended", tenant.id, tenant.id, None),
    }
    assert await _revoked(lookups, tenant, datetime.now(UTC) + timedelta(minutes=1)) == set()


async def _unrouted(tenancy: Tenancy, key: str) -> list[tuple[str, str, int, bool]]:
    async with tenancy.platform() as session:
        rows = await session.execute(
            text(
                "SELECT external_id, operation, attempts, replayed_at IS NULL FROM unrouted_webhooks"
                " WHERE route_key = :key ORDER BY 1"
            ),
            {"key": key},
        )
        return [(row[0], row[1], row[2], row[3]) for row in rows]


async def test_an_event_nobody_claims_is_kept_once(lookups: Lookups, tenancy: Tenancy) -> None:
    key = secrets.token_hex(8)

    assert await lookups.record_unrouted("shopmonkey", key, "one", "Insert")
    assert await lookups.record_unrouted("shopmonkey", key, "one", "Update")
    assert await lookups.record_unrouted("shopmonkey", key, "two", "Insert")

    assert await _unrouted(tenancy, key) == [("one", "Update", 2, True), ("two", "Insert", 1, True)]


async def test_an_event_that_comes_again_after_its_replay_waits_anew(lookups: Lookups, tenancy: Tenancy) -> None:
    key = secrets.token_hex(8)
    await lookups.record_unrouted("shopmonkey", key, "one", "Insert")
    async with tenancy.platform() as session:
        await session.execute(
            text("UPDATE unrouted_webhooks SET replayed_at = now() WHERE route_key = :key"), {"key": key}
        )

    await lookups.record_unrouted("shopmonkey", key, "one", "Update")

    assert await _unrouted(tenancy, key) == [("one", "Update", 2, True)]


async def test_a_location_nobody_claims_keeps_a_hundred_orders(lookups: Lookups, tenancy: Tenancy) -> None:
    key = secrets.token_hex(8)

    kept = [await lookups.record_unrouted("shopmonkey", key, f"order-{n}", "Insert") for n in range(102)]

    assert kept == [True] * 100 + [False] * 2
    assert len(await _unrouted(tenancy, key)) == 100
    assert await lookups.record_unrouted("shopmonkey", key, "order-7", "Update")
    assert await lookups.record_unrouted("shopmonkey", secrets.token_hex(8), "order-1", "Insert")


async def test_ten_thousand_events_nobody_claims_are_kept_in_all(fresh_database: TestDatabase) -> None:
    admin = create_async_engine(database_url(fresh_database.admin_url))
    async with admin.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO unrouted_webhooks (source, route_key, external_id, operation)"
                " SELECT 'shopmonkey', n, n, 'Insert' FROM generate_series(1, 9999) n"
            )
        )
    engine = create_async_engine(database_url(fresh_database.urls.app))
    lookups = Lookups(engine)

    assert await lookups.record_unrouted("shopmonkey", "new", "one", "Insert")
    assert not await lookups.record_unrouted("shopmonkey", "new", "two", "Insert")
    assert await lookups.record_unrouted("shopmonkey", "new", "one", "Update")
    async with admin.begin() as connection:
        await connection.execute(text("UPDATE unrouted_webhooks SET replayed_at = now() WHERE external_id = '1'"))
    assert await lookups.record_unrouted("shopmonkey", "new", "two", "Insert"), "what was replayed counts no more"
    await admin.dispose()
    await engine.dispose()


@pytest_asyncio.fixture
async def strangers(engines: Engines, database: TestDatabase) -> AsyncIterator[list[AsyncEngine]]:
    owner = create_async_engine(database_url(database.urls.owner))
    yield [engines.visitor, engines.platform, owner]
    await owner.dispose()


async def test_nobody_but_the_product_calls_them(strangers: list[AsyncEngine], engines: Engines) -> None:
    for function in DEFINER_FUNCTIONS:
        name, _, types = function.rstrip(")").partition("(")
        nulls = ", ".join(f"NULL::{kind}" for kind in types.split(", ") if kind)
        call = text(f"EXPLAIN SELECT * FROM {name}({nulls})")  # noqa: S608 - names of the list
        for engine in strangers:
            async with engine.connect() as connection:
                with pytest.raises(exc.DBAPIError, match=f"permission denied for function {name}") as refused:
                    await connection.execute(text(f"SELECT * FROM {name}({nulls})"))  # noqa: S608 - names of the list
                assert getattr(refused.value.orig, "sqlstate", None) == "42501"
        async with engines.app.connect() as connection:
            assert (await connection.execute(call)).one()


async def test_the_functions_are_the_only_way_to_what_they_read(engines: Engines, tenant: MadeTenant) -> None:
    async with engines.app.connect() as connection:
        for table in ("tenants", "routes", "users", "tenant_crm_configs", "scheduled_messages"):
            assert await connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0  # noqa: S608 - names of this test
    assert isinstance(tenant.id, UUID)
