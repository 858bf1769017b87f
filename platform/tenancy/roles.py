"""The database roles and how a database is made: the same statements in compose, in production and embedded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from lead_orchestrator.db import database_url
from lead_orchestrator.errors import ConfigurationError

__all__ = ["DatabaseUrls", "bootstrap", "database_revision", "newest_revision", "upgrade"]

_LOGINS = ("lead_owner", "lead_app", "lead_visitor", "lead_platform")
_EXTENSIONS = ("btree_gist", "btree_gin", "pg_trgm")


@dataclass(frozen=True)
class DatabaseUrls:
    """One address a role, all of the same database."""

    owner: str
    app: str
    visitor: str
    platform: str

    def by_role(self) -> dict[str, URL]:
        return dict(zip(_LOGINS, map(database_url, (self.owner, self.app, self.visitor, self.platform)), strict=True))


async def bootstrap(admin_url: str, urls: DatabaseUrls) -> None:
    """Create the roles with the passwords of `urls`, and the database if it is missing; safe to run again.

    Raises:
        ConfigurationError: a URL names another role than it should, or the URLs name several databases.
    """
    logins = urls.by_role()
    _check(logins)
    database = logins["lead_owner"].database or ""
    admin = database_url(admin_url)
    async with _autocommit(admin) as connection:
        for role, url in logins.items():
            await _login(connection, role, url.password or "")
        await connection.execute(text(_LOOKUP_ROLE))
        await connection.execute(text("GRANT lead_lookup TO lead_owner WITH INHERIT FALSE, SET TRUE"))
        if not await connection.scalar(text("SELECT true FROM pg_database WHERE datname = :name"), {"name": database}):
            await connection.execute(text(f"CREATE DATABASE {_quote(database)} OWNER lead_owner"))
    async with _autocommit(admin.set(database=database)) as connection:
        await _open_database(connection, database)


def _check(logins: dict[str, URL]) -> None:
    for role, url in logins.items():
        if url.username != role:
            raise ConfigurationError(f"the address for {role} signs in as {url.username!r}: it must be {role}")
    databases = {url.database for url in logins.values()}
    if len(databases) != 1 or None in databases:
        raise ConfigurationError(f"the addresses name several databases ({databases}): use one")


class _autocommit:  # noqa: N801 - used as a function
    """A connection of an engine of its own, outside transactions."""

    def __init__(self, url: URL) -> None:
        self._engine = create_async_engine(url, isolation_level="AUTOCOMMIT")

    async def __aenter__(self) -> AsyncConnection:
        self._connection = await self._engine.connect()
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()
        await self._engine.dispose()


_LOOKUP_ROLE = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lead_lookup') THEN
    CREATE ROLE lead_lookup NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT;
  END IF;
END $$"""


async def _login(connection: AsyncConnection, role: str, password: str) -> None:
    if not password:
        raise ConfigurationError(f"the address for {role} has no password: roles sign in by scram")
    exists = await connection.scalar(text("SELECT true FROM pg_roles WHERE rolname = :role"), {"role": role})
    verb = "ALTER" if exists else "CREATE"
    literal = await connection.scalar(text("SELECT quote_literal(cast(:password AS text))"), {"password": password})
    attributes = "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION"
    await connection.exec_driver_sql(f"{verb} ROLE {role} {attributes} PASSWORD {literal}")


async def _open_database(connection: AsyncConnection, database: str) -> None:
    name = _quote(database)
    for statement in (
        f"ALTER DATABASE {name} OWNER TO lead_owner",
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {name} TO lead_app, lead_visitor, lead_platform",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "ALTER SCHEMA public OWNER TO lead_owner",
        "GRANT USAGE ON SCHEMA public TO lead_app, lead_visitor, lead_platform, lead_lookup",
        *(f"CREATE EXTENSION IF NOT EXISTS {extension}" for extension in _EXTENSIONS),
    ):
        await connection.execute(text(statement))


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def upgrade(owner_url: str) -> str:
    """Bring the schema to the newest revision as lead_owner; returns it."""
    # A revision that waits longer for a lock gives up: everybody else would wait behind it.
    engine = create_async_engine(database_url(owner_url), connect_args={"server_settings": {"lock_timeout": "5s"}})
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()
    return newest_revision()


def _upgrade(connection: Connection) -> None:
    config = _alembic()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def newest_revision() -> str:
    """The revision this code was written for."""
    head = ScriptDirectory.from_config(_alembic()).get_current_head()
    if head is None:
        raise ConfigurationError("no migrations are installed beside the code")
    return head


async def database_revision(connection: AsyncConnection) -> str | None:
    """The revision the database is at; None for an empty database."""
    revision: str | None = await connection.scalar(text("SELECT max(version_num) FROM alembic_version"))
    return revision


def _alembic() -> Config:
    package = Path(__file__).parent.parent
    beside = package / "migrations"
    config = Config()
    config.set_main_option(
        "script_location", str(beside if beside.is_dir() else package.resolve().parent / "migrations")
    )
    return config
