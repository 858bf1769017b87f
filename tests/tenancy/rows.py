"""Makes a row of any table from what the catalog says of it, so that a new table needs no code here."""

from __future__ import annotations

import itertools
import json
import re
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg

__all__ = ["Row", "Schema", "Table", "World", "make_row", "read_schema"]

Row = dict[str, Any]
"""The columns of a row, each as JSON holds it."""

# What a table's checks want and the catalog does not say in a way that is easy to read.
OVERRIDES: dict[str, Row] = {
    "scheduled_messages": {"kind": "AD_HOC"},
    "location_closures": {"ends_at": "2026-03-04T06:07:08Z"},
}

# Rows of which a parent has one of each kind: each is made with a parent of its own.
ONE_EACH = {"outbox": ("appointments",)}

NOT_OF_TENANTS = {"alembic_version"}
TRIES = 20

_counter = itertools.count(1)
_in_range: dict[tuple[str, str], Iterator[int]] = defaultdict(lambda: itertools.count(1))


@dataclass(frozen=True)
class ForeignKey:
    columns: Sequence[str]
    target: str
    target_columns: Sequence[str]


@dataclass(frozen=True)
class Table:
    """`needed` are the columns that have no default; `unique` the columns of each unique index that is not partial."""

    name: str
    types: Mapping[str, str]
    nullable: frozenset[str]
    needed: frozenset[str]
    key: Sequence[str]
    foreign_keys: Sequence[ForeignKey]
    unique: Sequence[Sequence[str]]
    checks: Sequence[str]

    @property
    def tenant_column(self) -> str | None:
        return "id" if self.name == "tenants" else "tenant_id" if "tenant_id" in self.types else None

    @property
    def location_column(self) -> str | None:
        return "id" if self.name == "locations" else "location_id" if "location_id" in self.types else None

    @property
    def lead_column(self) -> str | None:
        return "id" if self.name == "leads" else "lead_id" if "lead_id" in self.types else None

    @property
    def session_column(self) -> str | None:
        return "id" if self.name == "chat_sessions" else "session_id" if "session_id" in self.types else None


@dataclass(frozen=True)
class Schema:
    tables: Mapping[str, Table]

    def hanging_from(self, root: str) -> set[str]:
        """`root` and every table that references it, by however many steps."""
        found = {root}
        while True:
            more = {t.name for t in self.tables.values() if {key.target for key in t.foreign_keys} & found} | found
            if more == found:
                return found
            found = more


@dataclass
class World:
    """One row of every table, each belonging to the others."""

    rows: dict[str, Row] = field(default_factory=dict)

    def without(self, tables: Iterable[str]) -> World:
        """A world that shares every row but those of `tables`, which are still to be made."""
        return World({name: row for name, row in self.rows.items() if name not in set(tables)})


_TABLES = """
SELECT c.relname::text AS name,
  (SELECT json_object_agg(attname, format_type(atttypid, NULL)) FROM pg_attribute
    WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS types,
  ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attnotnull) AS nullable,
  ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attnotnull
    AND NOT atthasdef AND attidentity = '') AS needed,
  ARRAY(SELECT a.attname::text FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k (n, place)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.n WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY k.place)
    AS key,
  ARRAY(SELECT (SELECT json_agg(a.attname ORDER BY k.place) FROM unnest(i.indkey) WITH ORDINALITY k (n, place)
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.n)::text
    FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indpred IS NULL) AS unique,
  ARRAY(SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = c.oid AND contype = 'c') AS checks,
  ARRAY(SELECT json_build_object('target', confrelid::regclass::text,
      'columns', (SELECT json_agg(a.attname ORDER BY k.place) FROM unnest(conkey) WITH ORDINALITY k (n, place)
        JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.n),
      'target_columns', (SELECT json_agg(a.attname ORDER BY k.place) FROM unnest(confkey) WITH ORDINALITY k (n, place)
        JOIN pg_attribute a ON a.attrelid = confrelid AND a.attnum = k.n))::text
    FROM pg_constraint WHERE conrelid = c.oid AND contype = 'f') AS foreign_keys
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY 1"""


async def read_schema(connection: asyncpg.Connection[asyncpg.Record]) -> Schema:
    """Every table there is, as the catalog has it now."""
    found = [row for row in await connection.fetch(_TABLES) if row["name"] not in NOT_OF_TENANTS]
    return Schema({row["name"]: _table(row) for row in found})


def _table(row: asyncpg.Record) -> Table:
    return Table(
        name=row["name"],
        types=json.loads(row["types"]),
        nullable=frozenset(row["nullable"]),
        needed=frozenset(row["needed"]),
        key=row["key"],
        foreign_keys=[ForeignKey(**json.loads(key)) for key in row["foreign_keys"]],
        unique=[json.loads(columns) for columns in row["unique"]],
        checks=row["checks"],
    )


async def make_row(
    admin: asyncpg.Connection[asyncpg.Record],
    schema: Schema,
    world: World,
    name: str,
    *,
    keep: bool = True,
    fixed: Row | None = None,
) -> Row:
    """Insert a row of `name` among the rows of `world`, with the parents it needs and the columns that are `fixed`.

    Without `keep` it is taken back.

    Raises:
        AssertionError: the table wants something the catalog does not say; the message tells what to add where.
    """
    table = schema.tables[name]
    world = world.without(ONE_EACH[name]) if name in ONE_EACH else world
    for key in table.foreign_keys:
        if key.target not in world.rows and key.target != name:
            world.rows[key.target] = await make_row(admin, schema, world, key.target)
    problem: asyncpg.PostgresError | None = None
    for _ in range(TRIES):
        transaction = admin.transaction()
        await transaction.start()
        try:
            row = await _insert(admin, table, _values(table, world) | (fixed or {}))
        except asyncpg.PostgresError as error:
            await transaction.rollback()
            problem = error
            continue
        await (transaction.commit() if keep else transaction.rollback())
        return row
    raise AssertionError(f"no row of {name} could be made ({problem}): add what it needs to OVERRIDES in {__file__}")


async def _insert(admin: asyncpg.Connection[asyncpg.Record], table: Table, values: Row) -> Row:
    columns = ", ".join(f'"{name}"' for name in values)
    made: Row = json.loads(
        await admin.fetchval(
            f"INSERT INTO {table.name} AS made ({columns}) SELECT {columns}"  # noqa: S608 - names of the catalog
            f" FROM jsonb_populate_record(NULL::{table.name}, $1::jsonb) RETURNING to_jsonb(made)",
            json.dumps(values),
        )
    )
    return {name: value for name, value in made.items() if name in table.types}  # generated columns take no value


def _values(table: Table, world: World) -> Row:
    unique = {name for columns in table.unique for name in columns if name in table.nullable}
    wanted = table.needed | unique | {name for name in table.key if table.types[name] == "uuid"}
    values = {name: _value(table, name) for name in sorted(wanted)}
    values |= OVERRIDES.get(table.name, {})
    for key in table.foreign_keys:
        if key.target != table.name:
            parent = world.rows[key.target]
            values |= {mine: parent[theirs] for mine, theirs in zip(key.columns, key.target_columns, strict=True)}
    return values


def _value(table: Table, column: str) -> object:
    kind = table.types[column]
    checks = [check for check in table.checks if re.search(rf"\b{column}\b", check)]
    for check in checks:
        if match := re.search(rf"\({column} = ANY \(ARRAY\['([^']*)'", check):
            return match[1]
    if kind in {"smallint", "integer", "bigint", "numeric", "double precision"}:
        low, high = _bounds(checks)
        return low + next(_in_range[table.name, column]) % (
            high - low + 1
        )  # rows of one table differ for as long as they can
    made: dict[str, Callable[[], object]] = {
        "text": lambda: f"x{secrets.token_hex(8)}",
        "uuid": lambda: str(uuid4()),
        "bytea": lambda: f"\\x{secrets.token_hex(16)}",
        "boolean": lambda: True,
        "jsonb": dict,
        "inet": lambda: "192.0.2.1",
        "date": lambda: f"{date(2026, 3, 4) + timedelta(days=next(_counter))}",
        "timestamp with time zone": lambda: "2026-03-04T05:06:07Z",
        "time without time zone": lambda: f"{secrets.randbelow(24):02d}:{secrets.randbelow(60):02d}",
        "tstzrange": lambda: _minute(next(_counter)),  # no two overlap: rows may not
    }
    if kind.endswith("[]"):
        return []
    assert kind in made, f"no value of type {kind} for {table.name}.{column}: add the type in {__file__}"
    return made[kind]()


def _minute(number: int) -> str:
    start = datetime(2026, 3, 4, tzinfo=UTC) + timedelta(minutes=number)
    return f"[{start.isoformat()},{(start + timedelta(minutes=1)).isoformat()})"


def _bounds(checks: Sequence[str]) -> tuple[int, int]:
    """The range that checks of the form `(x >= 1) AND (x <= 13)` leave."""
    text = " ".join(checks)
    low, high = re.search(r">= (\d+)", text), re.search(r"<= (\d+)", text)
    return int(low[1]) if low else 1, int(high[1]) if high else 30_000
