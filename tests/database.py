"""Databases of the tests: one embedded cluster a test process, one migrated template, clones of it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from sqlalchemy import make_url

from lead_orchestrator.tenancy.roles import DatabaseUrls, bootstrap, upgrade

__all__ = ["TEMPLATE", "Cluster", "TestDatabase", "prepare_template"]

TEMPLATE = "lead_template"
PASSWORD = "lead-test-only"


@dataclass(frozen=True)
class TestDatabase:
    """One database and how each role reaches it."""

    __test__ = False

    name: str
    urls: DatabaseUrls
    admin_url: str


@dataclass(frozen=True)
class Cluster:
    """The running Postgres and Valkey of this test process."""

    admin_url: str
    redis_url: str

    def urls(self, name: str) -> DatabaseUrls:
        roles = ("lead_owner", "lead_app", "lead_visitor", "lead_platform")
        base = make_url(self.admin_url)
        return DatabaseUrls(
            *(
                base.set(username=role, password=PASSWORD, database=name).render_as_string(hide_password=False)
                for role in roles
            )
        )

    def database(self, name: str) -> TestDatabase:
        admin = make_url(self.admin_url).set(database=name).render_as_string(hide_password=False)
        return TestDatabase(name, self.urls(name), admin)

    @asynccontextmanager
    async def clone(self, prefix: str = "t", template: str = TEMPLATE) -> AsyncIterator[TestDatabase]:
        """A database of its own, made from the template (which nobody may be connected to), dropped at the end."""
        name = f"{prefix}_{secrets.token_hex(6)}"
        await self._admin(
            f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY OWNER lead_owner",
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
            f"GRANT CONNECT ON DATABASE {name} TO lead_app, lead_visitor, lead_platform",
        )
        try:
            yield self.database(name)
        finally:
            await self._admin(f"DROP DATABASE {name} WITH (FORCE)")

    async def _admin(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.admin_url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


async def prepare_template(cluster: Cluster) -> None:
    """Make the roles and the migrated template."""
    urls = cluster.urls(TEMPLATE)
    await bootstrap(cluster.admin_url, urls)
    await upgrade(urls.owner)
