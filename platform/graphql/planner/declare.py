"""How a type's fields map to SQL: each kind of field is one small class, and a type is a mapping of names to them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, FromClause, true

__all__ = [
    "Arguments",
    "Bind",
    "Change",
    "Connection",
    "Entity",
    "Field",
    "Inside",
    "Leaf",
    "Many",
    "One",
    "Paging",
    "Payload",
    "Read",
    "Root",
    "Row",
    "Target",
]

Row: TypeAlias = FromClause
"""A row in reach: its columns are `row.c.name`."""

Bind: TypeAlias = Callable[[str], ColumnElement[Any]]
"""A parameter of the statement, by its name among the values an argument reader gave."""


class Arguments(NamedTuple):
    """What a field's arguments come to: `shape` is all that changes the statement's text, `values` fill its parameters."""

    shape: Hashable
    values: Mapping[str, Any]


Read: TypeAlias = Callable[[Mapping[str, Any]], Arguments]
"""Reads a field's coerced arguments; raises BadInputError, which the ordinary executor then reports."""


@dataclass(frozen=True)
class Leaf:
    """A scalar or an enum: an expression over the row."""

    value: Callable[[Row], Any]


@dataclass(frozen=True)
class Inside:
    """An object made of the row that has it; null where `present` does not hold."""

    type_name: str
    fields: Mapping[str, Field]
    present: Callable[[Row], ColumnElement[bool]] | None = None


@dataclass(frozen=True)
class One:
    """Another row, or null: the first by `order` of those for which `on(parent, child)` holds."""

    entity: str
    on: Callable[[Row, Row], ColumnElement[bool]]
    order: Callable[[Row], Sequence[Any]] | None = None


@dataclass(frozen=True)
class Many:
    """A whole list, short by its nature, or cut after `most`; null where `present` does not hold of its parent.

    `on` ties it to its parent, None for a root. One with arguments has `read`, and `terms` that see what it found. `of`
    makes its rows from the parent's, where they are no table's: the elements of an array, say.
    """

    entity: str
    on: Callable[[Row, Row], ColumnElement[bool]] | None
    order: Callable[[Row], Sequence[Any]]
    most: int | None = None
    read: Read | None = None
    terms: Callable[[Row, Any, Bind], Sequence[ColumnElement[bool]]] = lambda _row, _shape, _bind: ()
    present: Callable[[Row], ColumnElement[bool]] | None = None
    of: Callable[[Row], Row] | None = None


@dataclass(frozen=True)
class Paging:
    """Pages by keyset; `terms`, `after`, `order` and `cursor` see the shape that `read` found, and the parameters.

    `read` gives the values `first` and `limit` (one more), and those that the other three bind. A page that is read
    `backwards` has its rows in the other order than `order` says, and `starts_after` tells whether any follow it.
    """

    read: Read
    order: Callable[[Row, Any], Sequence[Any]]
    cursor: Callable[[Row, Any], ColumnElement[str]]
    after: Callable[[Row, Any, Bind], ColumnElement[bool] | None]
    starts_after: Callable[[Any], bool]
    terms: Callable[[Row, Any, Bind], Sequence[ColumnElement[bool]]] = lambda _row, _shape, _bind: ()
    backwards: Callable[[Any], bool] = lambda _shape: False


@dataclass(frozen=True)
class Connection:
    """A Relay connection; `on` ties it to its parent, None for a root."""

    entity: str
    paging: Paging
    on: Callable[[Row, Row], ColumnElement[bool]] | None = None


Field: TypeAlias = Leaf | Inside | One | Many | Connection


@dataclass(frozen=True)
class Entity:
    """A type with rows of its own. `source()` makes a new alias of them, with tenant_id among its columns; it is None where
    the root or the list that shows them makes them.

    `location` is the column that limited callers are restricted by, `interfaces` the abstract types it belongs to.
    `visible(row, scope)` is what a root asks of its rows beyond the policies; `scope` has the settings as text columns.
    """

    name: str
    source: Callable[[], Row] | None
    fields: Mapping[str, Field]
    location: str | None = None
    interfaces: frozenset[str] = field(default_factory=frozenset)
    visible: Callable[[Row, Row], ColumnElement[bool]] | None = None


def _any_row(_row: Row) -> ColumnElement[bool]:
    return true()


@dataclass(frozen=True)
class Target:
    """Where the ids of one kind lead: to the rows of `entity` for which `where` holds."""

    entity: str
    where: Callable[[Row], ColumnElement[bool]] = _any_row


Change: TypeAlias = Callable[[Row, Bind], ColumnElement[bool]]
"""What a mutation does: one call of a database function with the scope's `tenant_id` and the values of the arguments. It is
false where there was nothing to do it to; then the ordinary executor, which finds the same, says so in words."""


@dataclass(frozen=True)
class Payload:
    """What a mutation answers with when it succeeds: its row under the name `shown`, and no `errors`."""

    type_name: str
    shown: str
    change: Change


@dataclass(frozen=True)
class Root:
    """A root field answered by SQL: a connection, one row, `many`, or a list of rows by their ids.

    One row: `entity_of(shape)` names its type, and `by(row, shape, bind)` finds it, any row without; or `made(bind)` makes it
    of the arguments, with tenant_id among its columns. No row is null, which is left to the executor where it may not be.
    A list: `nodes` by kind of id; `read` gives the kinds as shape, and the values `ids` (keys) and `kinds`, one for each.
    `entities` are the types that the answer's rows may have. A mutation has a `payload` around its one row.
    """

    connection: Connection | None = None
    read: Read | None = None
    entity_of: Callable[[Any], str] | None = None
    by: Callable[[Row, Any, Bind], ColumnElement[bool]] = lambda _row, _shape, _bind: true()
    made: Callable[[Bind], Row] | None = None
    entities: frozenset[str] = field(default_factory=frozenset)
    nodes: Mapping[str, Target] | None = None
    many: Many | None = None
    payload: Payload | None = None
