"""Every text and id of somebody's rows, and whether an answer has one of them anywhere in it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tests.graphql.cross_tenant.sides import Connection, Side
from tests.tenancy.rows import Table

__all__ = ["Canaries", "Fingerprint", "collect", "strayed", "texts_of"]

SHORTEST = 6
_TIMES = {"timestamp with time zone", "tstzrange", "date", "time without time zone"}
_OF_PRODUCT = {"detail", "target", "result_id"}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T.*)?")
_TOKENS = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\+\d{8,15}|[\w.+-]+@[\w.-]+\w|canary-\w+|x[0-9a-f]{16}|[0-9a-f]{24,}"
)
_CURSOR = re.compile(r"[A-Za-z0-9_-]{20,}")


@dataclass(frozen=True)
class Canaries:
    """What is nobody else's, and the column that it stands in."""

    values: dict[str, str]

    def found(self, answer: Any, sent: frozenset[str] = frozenset()) -> list[str]:
        """Where `answer` shows one: `path: column`. What the caller sent himself may be quoted by an error, and nowhere else."""
        return list(self._found(answer, "", sent, quoting=False))

    def _found(self, value: Any, path: str, sent: frozenset[str], *, quoting: bool) -> Iterator[str]:
        if isinstance(value, dict):
            for name, item in value.items():
                yield from self._found(item, f"{path}.{name}", sent, quoting=quoting or name == "errors")
        elif isinstance(value, list):
            for item in value:
                yield from self._found(item, path, sent, quoting=quoting)
        elif isinstance(value, str):
            for text in texts_in(value):
                if text in self.values and not (quoting and text in sent):
                    yield f"{path.removeprefix('.')}: {self.values[text]}"

    def forget(self, texts: Iterator[str]) -> None:
        """They are no secret any more: the caller has written them into rows of his own."""
        for text in texts:
            self.values.pop(text, None)


@lru_cache(maxsize=100_000)
def texts_in(value: str) -> frozenset[str]:
    """The whole of it, and what is recognised within it or within the cursor that it is."""
    found = {value, *_TOKENS.findall(value)}
    if _CURSOR.fullmatch(value):
        try:
            read = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True).decode()
        except (ValueError, binascii.Error):
            return frozenset(found)
        found.update(_TOKENS.findall(read))
    return frozenset(found)


def texts_of(value: Any) -> Iterator[str]:
    """Every text within decoded JSON, and what is recognised within each."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, str):
        yield from texts_in(value)


async def collect(side: Side, public: frozenset[str], hidden: Callable[[str, str], bool] = lambda *_: True) -> Canaries:
    """What stands in rows of `side` and in no other row, nor among the words of `public`; only of columns that are `hidden`."""
    own: dict[str, str] = {}
    others: set[str] = set(public)
    for table in side.schema.tables.values():
        rows = side.rows_of(table)
        for column, text in await _texts(side.admin, table, rows or "false"):
            if not hidden(table.name, column):
                others.add(text)
            elif len(text) >= SHORTEST and not _MOMENT.fullmatch(text):
                own.setdefault(text, f"{table.name}.{column}")
        others.update(text for _, text in await _texts(side.admin, table, f"({rows}) IS NOT TRUE" if rows else "true"))
    return Canaries({text: column for text, column in own.items() if text not in others})


async def strayed(secrets: Canaries, side: Side) -> list[str]:
    """Where a row of `side` names one of the `secrets` in what only the product writes: a key, an event, the audit trail."""
    found = []
    for table in side.schema.tables.values():
        rows = side.rows_of(table)
        for column, text in await _texts(side.admin, table, rows or "false"):
            written_by_product = "uuid" in table.types.get(column, "") or column in _OF_PRODUCT
            if written_by_product and text in secrets.values:
                found.append(f"{table.name}.{column}: {secrets.values[text]}")
    return sorted(set(found))


async def _texts(admin: Connection, table: Table, rows: str) -> list[tuple[str, str]]:
    found = await admin.fetch(f"SELECT to_jsonb(t) FROM {table.name} t WHERE {rows}")  # noqa: S608 - the catalog's names
    return [
        (column, text)
        for row in found
        for column, value in json.loads(row[0]).items()
        if table.types.get(column) not in _TIMES
        for text in texts_of(value)
    ]


class Fingerprint:
    """What tells whether any row of a side was written: a hash of each table's."""

    def __init__(self, side: Side, *, shared: bool = False) -> None:
        """`shared`: with the rows that belong to no location, of tables that have one."""
        self._admin = side.admin
        parts = [_hash_of(table, rows) for table in side.schema.tables.values() if (rows := _rows(side, table, shared))]
        self._statement = " UNION ALL ".join(parts)
        self._seen: str | None = None
        self._read: dict[str, str] = {}

    async def read(self) -> dict[str, str]:
        """Anew only where another transaction has ended since: the snapshot names them all, and none writes unnamed."""
        last, self._seen = self._seen, await self._admin.fetchval("SELECT pg_current_snapshot()::text")
        if self._seen != last:
            self._read = {row[0]: row[1] for row in await self._admin.fetch(self._statement)}
        return self._read


def _rows(side: Side, table: Table, shared: bool) -> str | None:
    rows = side.rows_of(table)
    if rows and shared and side.location_id and "location_id" in table.nullable:
        return f"({rows}) OR ({side.whole.rows_of(table)} AND location_id IS NULL)"
    return rows


def _hash_of(table: Table, rows: str) -> str:
    lines = "string_agg(md5(t::text), '' ORDER BY md5(t::text))"
    return f"SELECT '{table.name}', md5(coalesce({lines}, '')) FROM {table.name} t WHERE {rows}"  # noqa: S608 - the catalog's names
