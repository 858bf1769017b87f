from __future__ import annotations

from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from lead_orchestrator.db import database_url
from lead_orchestrator.tenancy.roles import _alembic, bootstrap
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.database import Cluster
from tests.factories import MadeTenant, make_tenant

NUMBERS = text("SELECT number FROM bays WHERE location_id = :location ORDER BY number")


async def numbers(tenancy: Tenancy, tenant: MadeTenant) -> list[int]:
    async with tenancy.read(tenant.scope) as session:
        return list(await session.scalars(NUMBERS, {"location": tenant.location}))


async def test_a_location_has_as_many_bays_as_it_says(tenancy: Tenancy, secret_box: SecretBox) -> None:
    tenant = await make_tenant(tenancy, secret_box)
    assert await numbers(tenancy, tenant) == [1]

    for bays in (3, 2):
        async with tenancy.write(tenant.scope) as session:
            await session.execute(text("UPDATE locations SET bays = :bays"), {"bays": bays})

        assert await numbers(tenancy, tenant) == [1, 2, 3]


def migrate(connection: Connection, revision: str) -> None:
    config = _alembic()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def test_locations_from_before_get_their_bays(cluster: Cluster) -> None:
    async with cluster.clone("before") as database:
        admin = create_async_engine(database_url(database.admin_url), isolation_level="AUTOCOMMIT")
        owner = create_async_engine(database_url(database.urls.owner))
        async with admin.connect() as connection:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
            await bootstrap(database.admin_url, database.urls)
            async with owner.connect() as migrating:
                await migrating.run_sync(migrate, "0001")
            await connection.execute(
                text(
                    "WITH made AS (INSERT INTO tenants (name, slug) VALUES ('A', 'a') RETURNING id)"
                    " INSERT INTO locations (tenant_id, name, slug, timezone, bays) SELECT id, 'B', 'b', 'UTC', 3 FROM made"
                )
            )
            async with owner.connect() as migrating:
                await migrating.run_sync(migrate, "head")

            found = list(await connection.scalars(text("SELECT number FROM bays ORDER BY number")))
            forced = await connection.scalar(
                text("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'locations'")
            )
        await owner.dispose()
        await admin.dispose()

    assert found == [1, 2, 3]
    assert forced is True
