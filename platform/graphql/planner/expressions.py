"""Expressions that many declarations need: columns, ids, cursors and keysets."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Table, Text, Uuid, case, cast, func, literal_column, select, tuple_
from sqlalchemy import column as named
from sqlalchemy.types import TypeEngine

from lead_orchestrator.graphql import cursors
from lead_orchestrator.graphql.planner.declare import Bind, Field, Leaf, Row
from lead_orchestrator.ids import Kind

__all__ = [
    "beyond",
    "column",
    "columns",
    "containing",
    "encoded_cursor",
    "identity",
    "moment",
    "page_values",
    "rows_of",
    "setting",
    "subject",
    "table",
    "tenant",
    "typed_id",
    "wall",
]


def table(model: Any) -> Table:
    found: Table = model.__table__
    return found


def column(name: str) -> Leaf:
    """The column as it is."""
    return Leaf(lambda row: row.c[name])


def columns(*names: str) -> dict[str, Field]:
    """Columns whose fields have the same name in camel case."""
    return {_camel(name): column(name) for name in names}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def identity(kind: Kind) -> Leaf:
    """The typed id."""
    return Leaf(lambda row: typed_id(kind, row))


def typed_id(kind: Kind, row: Row) -> ColumnElement[str]:
    return literal_column(f"'{kind.value}_'", Text) + cast(row.c.id, Text)


def wall(name: str) -> Leaf:
    return Leaf(lambda row: func.to_char(row.c[name], literal_column("'HH24:MI'")))


def rows_of(parent: Row, array: ColumnElement[Any], **kinds: TypeEngine[Any] | type[TypeEngine[Any]]) -> Row:
    """The objects in a column of `parent` that is a JSON array, as rows with these columns; none of null."""
    items = func.json_to_recordset(array).table_valued(
        *(named(name, kind) for name, kind in kinds.items()), name="items"
    )
    typed = items.render_derived(with_types=True)
    return select(parent.c.tenant_id, *typed.c).select_from(typed).correlate(parent).subquery()


# Who asks


def setting(name: str) -> ColumnElement[str]:
    """A setting of the caller, from the scope's row: so that it is not read before all of them are set."""
    return literal_column(f"scope.{name}", Text)


def tenant() -> ColumnElement[Any]:
    return cast(setting("tenant_id"), Uuid)


def subject() -> ColumnElement[Any]:
    """The key of the user who asks; null for who is no user of the franchise."""
    prefix = f"{Kind.USER.value}_"
    key = cast(func.substr(setting("subject"), literal_column(str(len(prefix) + 1))), Uuid)
    return case((setting("subject").op("~")(literal_column(f"'^{prefix}[0-9a-f-]{{36}}$'")), key))


# Cursors and pages


def encoded_cursor(order: str, value: ColumnElement[str], identifier: ColumnElement[str]) -> ColumnElement[str]:
    """As `cursors.cursor` writes it: base64url of a JSON array; `value` is JSON already."""
    raw = literal_column(f"""'["{order}",'""", Text) + value + literal_column("""',"'""", Text) + identifier
    encoded = func.encode(
        func.convert_to(raw + literal_column("""'"]'""", Text), literal_column("'UTF8'")), literal_column("'base64'")
    )
    return func.translate(encoded, literal_column("'+/=' || chr(10)"), literal_column("'-_'"), type_=Text())


_ISO = """'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'"""


def moment(value: ColumnElement[Any]) -> ColumnElement[str]:
    shown = func.to_char(func.timezone(literal_column("'UTC'"), value), literal_column(_ISO), type_=Text())
    return literal_column("""'"'""", Text) + shown + literal_column("""'"'""", Text)


def beyond(by: Any, identifier: Any, bind: Bind, *, descending: bool) -> ColumnElement[bool]:
    edge = tuple_(bind("after_value"), bind("after_id"), types=[by.type, identifier.type])
    at = tuple_(by, identifier)
    return at < edge if descending else at > edge


def page_values(page: cursors.Page) -> dict[str, Any]:
    values: dict[str, Any] = {"first": page.first, "limit": page.first + 1}
    if page.after is not None:
        values.update(after_value=page.after.value, after_id=page.after.id)
    return values


def containing(words: str) -> str:
    """The pattern of LIKE, with `/` as its escape, for what has these words somewhere."""
    escaped = words.replace("/", "//").replace("%", "/%").replace("_", "/_")
    return f"%{escaped}%"
