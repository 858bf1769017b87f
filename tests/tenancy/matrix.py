"""Every table and every command for everybody who must not, each beside the one who may: what Postgres answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

from tests.database import TestDatabase
from tests.tenancy.rows import Row, Schema, Table, World, make_row, read_schema

__all__ = ["ATTACKERS", "COMMANDS", "DENIED", "TWINS", "Caller", "Matrix", "Outcome", "open_matrix"]

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Outcome = int | str
"""Rows seen or changed, or the SQLSTATE."""

COMMANDS = ("SELECT", "INSERT", "UPDATE", "DELETE")
DENIED = "42501"
SET_ALL = "SELECT set_config(name, value, true) FROM unnest($1::text[], $2::text[]) AS setting (name, value)"
GARBAGE = "22P02"

# A table that has a location and is still read by the whole tenant.
LOCATION_IS_PUBLIC = {"routes": "it holds what the public writes to us at: slugs, phone numbers, CRM location ids"}


@dataclass(frozen=True)
class Target:
    """The rows an attack is about: `row` is there and nothing hangs from it, `new` could be inserted beside it."""

    table: Table
    row: Row
    new: Row


@dataclass(frozen=True)
class Caller:
    """`settings` gives the settings of a session from the row that is attacked; `concerns` the tables it is about.

    With `on_shared` the row belongs to no location: agents read it, only those of the whole tenant write it.
    """

    name: str
    role: str
    settings: Callable[[Matrix, Table, Row], dict[str, str]]
    concerns: Callable[[Table], bool] = lambda _table: True
    refused_with: str | None = None
    on_shared: bool = False


class Matrix:
    """A database with two tenants and a connection of every role."""

    def __init__(self, admin: Connection, roles: Mapping[str, Connection], schema: Schema) -> None:
        self.admin = admin
        self.roles = roles
        self.schema = schema
        self.home, self.other_lead, self.other_location, self.foreign = World(), World(), World(), World()
        self.targets: dict[str, Target] = {}
        self.shared: dict[str, Target] = {}
        self.granted: dict[tuple[str, str, str], bool] = {}

    async def seed(self) -> None:
        """Fill every table for a lead, another lead of its shop, another shop of the tenant, and another tenant."""
        await self._fill(self.home)
        self.other_lead = self.home.without(self.schema.hanging_from("leads"))
        self.other_location = self.home.without(self.schema.hanging_from("locations"))
        for world in (self.other_lead, self.other_location, self.foreign):
            await self._fill(world)
        for name, table in self.schema.tables.items():
            self.targets[name] = await self._target(table)
            if "location_id" in table.nullable and name not in LOCATION_IS_PUBLIC:
                self.shared[name] = await self._spare(table, {"location_id": None})

    async def _fill(self, world: World) -> None:
        for name in self.schema.tables:
            if name not in world.rows:
                world.rows[name] = await make_row(self.admin, self.schema, world, name)

    async def _target(self, table: Table) -> Target:
        parents = {column for key in table.foreign_keys for column in key.columns}
        if not set(table.key) <= parents:
            return await self._spare(table, {})
        # The key leaves room for one row only: another one can be inserted where there is none yet.
        lone = await make_row(self.admin, self.schema, World(), table.name, keep=False)
        return Target(table, self.home.rows[table.name], lone)

    async def _spare(self, table: Table, fixed: Row) -> Target:
        row = await make_row(self.admin, self.schema, self.home, table.name, fixed=fixed)
        new = await make_row(self.admin, self.schema, self.home, table.name, fixed=fixed, keep=False)
        return Target(table, row, new)

    async def attempt(
        self, role: str, settings: Mapping[str, str], statement: str, *values: object, sees: Row | None = None
    ) -> Outcome:
        """Run one statement in a transaction with these settings and take it back; with `sees`, count that row only."""
        connection = self.roles[role]
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(SET_ALL, [f"app.{name}" for name in settings], list(settings.values()))
            if sees is None:
                return int((await connection.execute(statement, *values)).split()[-1])
            wanted = {name: str(value) for name, value in sees.items()}
            return [dict(row) for row in await connection.fetch(statement)].count(wanted)
        except asyncpg.PostgresError as error:
            return str(error.sqlstate)
        finally:
            await transaction.rollback()

    async def act(self, caller: Caller, command: str, target: Target) -> Outcome:
        table = target.table
        row = target.new if command == "INSERT" else target.row
        settings = caller.settings(self, table, row)
        if command == "SELECT":
            return await self.see(caller.role, settings, table, row)
        if command == "INSERT":
            return await self.insert(caller.role, settings, table, row)
        verb = {
            "UPDATE": f"UPDATE {table.name} SET {table.key[0]} = {table.key[0]}",  # noqa: S608 - names of the catalog
            "DELETE": f"DELETE FROM {table.name}",  # noqa: S608 - names of the catalog
        }[command]
        return await self.change(caller.role, settings, table, row, verb)

    async def see(self, role: str, settings: Mapping[str, str], table: Table, row: Row) -> Outcome:
        """1 if `row` is among all that the role can read."""
        columns = ", ".join(f"{name}::text AS {name}" for name in table.key)
        everything = f"SELECT {columns} FROM {table.name}"  # noqa: S608 - names of the catalog
        return await self.attempt(role, settings, everything, sees={name: row[name] for name in table.key})

    async def insert(
        self, role: str, settings: Mapping[str, str], table: Table, row: Row, on_conflict: str = ""
    ) -> Outcome:
        columns = ", ".join(f'"{name}"' for name in row)
        statement = (
            f"INSERT INTO {table.name} ({columns}) SELECT {columns}"  # noqa: S608 - names of the catalog
            f" FROM jsonb_populate_record(NULL::{table.name}, $1::jsonb) {on_conflict}"
        )
        return await self.attempt(role, settings, statement, json.dumps(row))

    async def change(self, role: str, settings: Mapping[str, str], table: Table, row: Row, verb: str) -> Outcome:
        where = " AND ".join(f"{name}::text = ${place}" for place, name in enumerate(table.key, 1))
        return await self.attempt(role, settings, f"{verb} WHERE {where}", *(str(row[name]) for name in table.key))

    async def may(self, role: str, command: str, table: Table) -> bool:
        """Whether the role was granted the command; a statement that names a row also has to read its key."""
        asked = (role, command, table.name)
        if asked not in self.granted:
            self.granted[asked] = await self._granted(role, command, table)
        return self.granted[asked]

    async def _granted(self, role: str, command: str, table: Table) -> bool:
        if command == "INSERT":
            return bool(await self.admin.fetchval("SELECT has_table_privilege($1, $2, 'INSERT')", role, table.name))
        reads = (
            "SELECT bool_and(has_column_privilege($1, $2, column_name, 'SELECT')) FROM unnest($3::text[]) column_name"
        )
        if not await self.admin.fetchval(reads, role, table.name, list(table.key)):
            return False
        return bool(await self.admin.fetchval("SELECT has_table_privilege($1, $2, $3)", role, table.name, command)) or (
            command == "SELECT"
        )

    async def violations(
        self, callers: Iterable[Caller] | None = None, tables: Iterable[str] | None = None
    ) -> list[str]:
        """What was not answered as it must be, over all callers and tables unless told which."""
        callers = tuple(callers or (*ATTACKERS, *TWINS))
        return [wrong for name in tables or self.schema.tables async for wrong in self._violations(callers, name)]

    async def notices(self, callers: Iterable[Caller], table: str) -> bool:
        """Whether any of these callers is answered otherwise than it must be."""
        async for _ in self._violations(callers, table):
            return True
        return False

    async def _violations(self, callers: Iterable[Caller], table: str) -> AsyncIterator[str]:
        for caller in callers:
            target = (self.shared if caller.on_shared else self.targets).get(table)
            if target is None or not caller.concerns(target.table):
                continue
            for command in COMMANDS:
                wanted = await self._wanted(caller, command, target.table)
                answer = await self.act(caller, command, target)
                if answer != wanted:
                    yield f"{command} on {table} as {caller.name}: {answer!r}, not {wanted!r}"

    async def _wanted(self, caller: Caller, command: str, table: Table) -> Outcome:
        if not await self.may(caller.role, command, table):
            return DENIED
        if caller in TWINS or (caller.on_shared and command == "SELECT"):
            return 1
        return caller.refused_with or (DENIED if command == "INSERT" else 0)


def _settings(
    tenant: str | None = None, locations: str | None = None, lead: str | None = None, session: str | None = None
) -> dict[str, str]:
    """Only what is given is set; the rest of a session's settings stays unset."""
    given = {"tenant_id": tenant, "location_ids": locations, "lead_id": lead, "session_id": session}
    return {name: value for name, value in given.items() if value is not None}


def _tenant(matrix: Matrix, table: Table, row: Row) -> str:
    return str(row[table.tenant_column] if table.tenant_column else matrix.home.rows["tenants"]["id"])


def _location(matrix: Matrix, table: Table, row: Row) -> str:
    return str(row[table.location_column] if table.location_column else matrix.home.rows["locations"]["id"])


def _lead(matrix: Matrix, table: Table, row: Row) -> str:
    return str(row[table.lead_column] if table.lead_column else matrix.home.rows["leads"]["id"])


def _session(matrix: Matrix, table: Table, row: Row) -> str:
    return str(row[table.session_column] if table.session_column else matrix.home.rows["chat_sessions"]["id"])


def _by_lead(table: Table) -> bool:
    """Whether it is the lead that makes a visitor's row: in a conversation it is the session."""
    return table.lead_column is not None and table.session_column is None


def _has_session(table: Table) -> bool:
    return table.session_column is not None


def _has_location(table: Table) -> bool:
    return table.location_column is not None and table.name not in LOCATION_IS_PUBLIC


def _foreign(matrix: Matrix) -> dict[str, str]:
    rows = matrix.foreign.rows
    return _settings(rows["tenants"]["id"], rows["locations"]["id"], rows["leads"]["id"], rows["chat_sessions"]["id"])


# Those who may: what they do must succeed where it is granted, or the denials prove nothing.
TWINS = (
    Caller("a service of the tenant", "lead_app", lambda m, t, r: _settings(_tenant(m, t, r), "*")),
    Caller("an agent of the location", "lead_app", lambda m, t, r: _settings(_tenant(m, t, r), _location(m, t, r))),
    Caller(
        "an agent of two locations",
        "lead_app",
        lambda m, t, r: _settings(_tenant(m, t, r), f"{m.other_location.rows['locations']['id']},{_location(m, t, r)}"),
    ),
    Caller(
        "the visitor with this lead and this conversation",
        "lead_visitor",
        lambda m, t, r: _settings(_tenant(m, t, r), _location(m, t, r), _lead(m, t, r), _session(m, t, r)),
    ),
    Caller("an administrator", "lead_platform", lambda _m, _t, _r: {}),
    Caller(
        "a service on a row of the whole tenant",
        "lead_app",
        lambda m, t, r: _settings(_tenant(m, t, r), "*"),
        on_shared=True,
    ),
    Caller(
        "a visitor on a row of the whole tenant",
        "lead_visitor",
        lambda m, t, r: _settings(_tenant(m, t, r), m.home.rows["locations"]["id"]),
        on_shared=True,
    ),
)

ATTACKERS = (
    Caller(
        "an agent on a row of the whole tenant",
        "lead_app",
        lambda m, t, r: _settings(_tenant(m, t, r), m.home.rows["locations"]["id"]),
        on_shared=True,
    ),
    Caller(
        "another tenant",
        "lead_app",
        lambda m, _t, _r: _settings(m.foreign.rows["tenants"]["id"], "*"),
        lambda table: table.tenant_column is not None,
    ),
    Caller("nobody", "lead_app", lambda _m, _t, _r: {}),
    Caller("no tenant with every location", "lead_app", lambda _m, _t, _r: _settings("", "*")),
    Caller("a garbled tenant", "lead_app", lambda _m, _t, _r: _settings("x' OR '1'='1", "*"), refused_with=GARBAGE),
    Caller("the star as tenant", "lead_app", lambda _m, _t, _r: _settings("*", "*"), refused_with=GARBAGE),
    Caller(
        "an agent of another location",
        "lead_app",
        lambda m, t, r: _settings(_tenant(m, t, r), m.other_location.rows["locations"]["id"]),
        _has_location,
    ),
    Caller(
        "an agent of another tenant with this location",
        "lead_app",
        lambda m, t, r: _settings(m.foreign.rows["tenants"]["id"], _location(m, t, r)),
        lambda table: table.tenant_column is not None,
    ),
    Caller("an agent of no location", "lead_app", lambda m, t, r: _settings(_tenant(m, t, r), ""), _has_location),
    Caller("an agent without a list", "lead_app", lambda m, t, r: _settings(_tenant(m, t, r)), _has_location),
    Caller(
        "an agent of garbled locations",
        "lead_app",
        lambda m, t, r: _settings(_tenant(m, t, r), "*,*"),
        _has_location,
        refused_with=GARBAGE,
    ),
    Caller(
        "a visitor with another lead",
        "lead_visitor",
        lambda m, t, r: _settings(
            _tenant(m, t, r), _location(m, t, r), m.other_lead.rows["leads"]["id"], _session(m, t, r)
        ),
        _by_lead,
    ),
    Caller(
        "a visitor without a lead",
        "lead_visitor",
        lambda m, t, r: _settings(_tenant(m, t, r), _location(m, t, r), session=_session(m, t, r)),
        _by_lead,
    ),
    Caller(
        "a visitor with a garbled lead",
        "lead_visitor",
        lambda m, t, r: _settings(_tenant(m, t, r), _location(m, t, r), "x"),
        _by_lead,
        refused_with=GARBAGE,
    ),
    Caller(
        "a visitor with another conversation of this lead",
        "lead_visitor",
        lambda m, t, r: _settings(
            _tenant(m, t, r), _location(m, t, r), _lead(m, t, r), m.other_lead.rows["chat_sessions"]["id"]
        ),
        _has_session,
    ),
    Caller(
        "a visitor without a conversation",
        "lead_visitor",
        lambda m, t, r: _settings(_tenant(m, t, r), _location(m, t, r), _lead(m, t, r)),
        _has_session,
    ),
    Caller(
        "a visitor with a garbled conversation",
        "lead_visitor",
        lambda m, t, r: _settings(_tenant(m, t, r), _location(m, t, r), _lead(m, t, r), "x"),
        _has_session,
        refused_with=GARBAGE,
    ),
    Caller(
        "a visitor of another location with this lead and conversation",
        "lead_visitor",
        lambda m, t, r: _settings(
            _tenant(m, t, r), m.other_location.rows["locations"]["id"], _lead(m, t, r), _session(m, t, r)
        ),
        lambda table: table.location_column is not None,
    ),
    Caller("a visitor of another tenant", "lead_visitor", lambda m, _t, _r: _foreign(m)),
    Caller(
        "a visitor of another tenant with this lead and conversation",
        "lead_visitor",
        lambda m, t, r: {
            **_foreign(m),
            "location_ids": "*",
            "lead_id": _lead(m, t, r),
            "session_id": _session(m, t, r),
        },
    ),
    Caller("a visitor of nothing", "lead_visitor", lambda _m, _t, _r: {}),
    Caller("the owner", "lead_owner", lambda _m, _t, _r: {}),
    Caller("the owner with the tenant's settings", "lead_owner", lambda m, t, r: _settings(_tenant(m, t, r), "*")),
)


@asynccontextmanager
async def open_matrix(database: TestDatabase) -> AsyncIterator[Matrix]:
    """`database`, filled."""
    urls = database.urls
    logins = {
        "lead_owner": urls.owner,
        "lead_app": urls.app,
        "lead_visitor": urls.visitor,
        "lead_platform": urls.platform,
    }
    async with AsyncExitStack() as stack:
        admin: Connection = await asyncpg.connect(database.admin_url)
        stack.push_async_callback(admin.close)
        roles: dict[str, Connection] = {}
        for role, url in logins.items():
            roles[role] = await asyncpg.connect(url)
            stack.push_async_callback(roles[role].close)
        matrix = Matrix(admin, roles, await read_schema(admin))
        await matrix.seed()
        yield matrix
