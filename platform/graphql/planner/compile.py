"""Writes the statement of one root field: built with SQLAlchemy Core, its JSON made by Postgres."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.selectable import ScalarSelect, Subquery

from lead_orchestrator.graphql.planner.declare import (
    Bind,
    Connection,
    Entity,
    Inside,
    Leaf,
    Many,
    One,
    Row,
)
from lead_orchestrator.graphql.planner.select import Picked, RootPicked, UnplannedError

__all__ = ["CONSTANT", "SCOPE", "Compiler", "Statement"]

SCOPE = ("tenant_id", "location_ids", "subject", "role", "lead_id", "session_id")
CONSTANT = "constant"
_DIALECT = PGDialect_asyncpg()
_EMPTY: ColumnElement[Any] = literal_column("'[]'::json")


@dataclass(frozen=True)
class Statement:
    """`sql` with its parameters, in order: (CONSTANT, value), ("scope", name) or (site, name)."""

    sql: str
    parameters: tuple[tuple[int | str, Any], ...]


class Compiler:
    """Compiles one root field for one shape of its arguments and of the caller's scope."""

    def __init__(self, entities: Mapping[str, Entity], shapes: Sequence[Any], *, limited: bool) -> None:
        self._entities = entities
        self._shapes = shapes
        self._limited = limited
        self._origins: dict[str, tuple[int | str, str]] = {}
        self._aliases = 0
        # Its one row carries the tenant that every scan below joins with: nothing can be read before it is set.
        settings = [
            func.set_config(f"app.{name}", self._bound("scope", name, Text()), True).label(name) for name in SCOPE
        ]
        self._scope: Subquery = select(*settings).offset(literal_column("0")).subquery("scope")

    def statement(self, picked: RootPicked) -> Statement:
        """The whole statement: one row, one column, the JSON of this root field."""
        value = self._root(picked)
        compiled = select(value.label("json")).select_from(self._scope).compile(dialect=_DIALECT)
        names = compiled.positiontup or []
        constants = compiled.params
        return Statement(str(compiled), tuple(self._origins.get(name) or (CONSTANT, constants[name]) for name in names))

    def _root(self, picked: RootPicked) -> ColumnElement[Any]:
        root, shape = picked.root, self._shapes[picked.site]
        if root.connection is not None:
            return self._connection(root.connection, picked.below[""], picked.site, None)
        entity_name = root.entity_of(shape) if root.entity_of else None
        if entity_name is None or root.by is None:
            return literal_column("NULL::json")
        entity = self._entities[entity_name]
        row = self._row(entity)
        found = root.by(row, shape, self._bind(picked.site))
        return self._single(entity, row, picked.below[entity_name], and_(self._mine(entity, row, None), found))

    def _row(self, entity: Entity) -> Row:
        self._aliases += 1
        return entity.source().alias(f"{entity.name.lower()}_{self._aliases}")

    def _mine(self, entity: Entity, row: Row, parent: Row | None) -> ColumnElement[bool]:
        """The tenant, and for a limited caller its locations: written out, since a policy alone is no index condition."""
        if parent is not None:
            return row.c.tenant_id == parent.c.tenant_id
        mine: ColumnElement[bool] = row.c.tenant_id == cast(self._scope.c.tenant_id, Uuid())
        if self._limited and entity.location is not None:
            locations = self._bound("scope", "locations", ARRAY(Uuid()))
            mine = and_(mine, row.c[entity.location] == func.any(locations))
        return mine

    def _columns(self, owner: Row, picked: Iterable[Picked]) -> list[ColumnElement[Any]]:
        columns = [self._value(owner, part).label(part.key) for part in picked]
        return columns or [literal(None).label("")]

    def _value(self, owner: Row, part: Picked) -> ColumnElement[Any]:
        declared = part.declared
        match declared:
            case Leaf():
                value = declared.value(owner)
                return value if isinstance(value, ColumnElement) else literal_column(f"'{value}'")
            case Inside():
                made = self._object(owner, part.below)
                return made if declared.present is None else case((declared.present(owner), made))
            case One():
                entity = self._entities[declared.entity]
                row = self._row(entity)
                on = and_(self._mine(entity, row, owner), declared.on(owner, row))
                order = declared.order(row) if declared.order else ()
                return self._single(entity, row, part.below, on, owner, order)
            case Many():
                return self._many(owner, declared, part)
            case Connection():
                return self._connection(declared, part.below, part.site, owner)
            case _:
                raise UnplannedError(part.name)

    def _object(self, owner: Row, picked: Sequence[Picked]) -> ColumnElement[Any]:
        """row_to_json of the picked columns of a row that is in reach."""
        inner = select(*self._columns(owner, picked)).correlate(*self._outer(owner)).subquery(self._name("o"))
        whole = select(func.row_to_json(_whole(inner), type_=JSON())).select_from(inner)
        return whole.correlate(*self._outer(owner)).scalar_subquery()

    def _single(
        self,
        entity: Entity,
        row: Row,
        picked: Sequence[Picked],
        on: ColumnElement[bool],
        owner: Row | None = None,
        order: Sequence[Any] = (),
    ) -> ScalarSelect[Any]:
        outer = self._outer(owner)
        inner = select(*self._columns(row, picked)).select_from(row).where(on).correlate(*outer)
        if order:
            inner = inner.order_by(*order).limit(literal_column("1"))
        one = inner.subquery(self._name(entity.name.lower()))
        return select(func.row_to_json(_whole(one), type_=JSON())).select_from(one).correlate(*outer).scalar_subquery()

    def _many(self, owner: Row, declared: Many, part: Picked) -> ColumnElement[Any]:
        entity = self._entities[declared.entity]
        row = self._row(entity)
        on = and_(self._mine(entity, row, owner), declared.on(owner, row))
        outer = self._outer(owner)
        inner = select(*self._columns(row, part.below)).select_from(row).where(on).correlate(*outer)
        items = inner.order_by(*declared.order(row)).subquery(self._name("items"))
        listed = func.coalesce(func.json_agg(func.row_to_json(_whole(items))), _EMPTY, type_=JSON())
        return select(listed).select_from(items).correlate(*outer).scalar_subquery()

    def _connection(
        self, connection: Connection, picked: Sequence[Picked], site: int | None, owner: Row | None
    ) -> ColumnElement[Any]:
        if site is None:
            raise UnplannedError("a connection without arguments")
        page = self._page(connection, picked, site, owner)
        bind = self._bind(site)
        shape = self._shapes[site]
        columns = []
        for part in picked:
            match part.name:
                case "edges":
                    columns.append(self._edges(page, part, bind).label(part.key))
                case "pageInfo":
                    columns.append(_page_info(page, part, bind, connection.paging.starts_after(shape)).label(part.key))
                case "totalCount":
                    columns.append(self._count(connection, site, owner).label(part.key))
                case _:
                    columns.append(self._value(page, part).label(part.key))
        whole = select(*(columns or [literal(None).label("")])).select_from(page)
        made = whole.correlate(*self._outer(owner)).subquery(self._name("c"))
        answer = select(func.row_to_json(_whole(made), type_=JSON())).select_from(made)
        return answer.correlate(*self._outer(owner)).scalar_subquery()

    def _page(self, connection: Connection, picked: Sequence[Picked], site: int, owner: Row | None) -> Subquery:
        """The rows of one page, with one more where somebody asks whether there is one."""
        entity, paging, shape = self._entities[connection.entity], connection.paging, self._shapes[site]
        row, bind = self._row(entity), self._bind(site)
        columns: list[ColumnElement[Any]] = []
        for edges in (part for part in picked if part.name == "edges"):
            nodes = [part for part in edges.below if part.name == "node"]
            columns += [self._object(row, part.below).label(f"{edges.key}.{part.key}") for part in nodes]
        asked_info = any(part.name == "pageInfo" for part in picked)
        asked_cursor = any(part.name == "cursor" for edges in picked for part in edges.below)
        if asked_info or asked_cursor:
            columns.append(paging.cursor(row, shape).label("cursor"))
        if asked_info:
            columns.append(func.row_number().over(order_by=paging.order(row, shape)).label("number"))
        if not any(part.name in {"edges", "pageInfo"} for part in picked):
            return select(literal(None).label("nothing")).where(literal_column("false")).subquery(self._name("p"))
        outer = self._outer(owner)
        page = select(*(columns or [literal(1).label("one")])).select_from(row)
        page = page.where(*self._terms(connection, row, site, owner)).correlate(*outer)
        if (after := paging.after(row, shape, bind)) is not None:
            page = page.where(after)
        return (
            page.order_by(*paging.order(row, shape))
            .limit(bind("limit" if asked_info else "first"))
            .subquery(self._name("p"))
        )

    def _terms(self, connection: Connection, row: Row, site: int, owner: Row | None) -> list[ColumnElement[bool]]:
        terms = [self._mine(self._entities[connection.entity], row, owner)]
        if owner is not None and connection.on is not None:
            terms.append(connection.on(owner, row))
        return [*terms, *connection.paging.terms(row, self._shapes[site], self._bind(site))]

    def _edges(self, page: Subquery, part: Picked, bind: Bind) -> ColumnElement[Any]:
        columns: list[ColumnElement[Any]] = []
        for edge in part.below:
            if edge.name == "node":
                columns.append(page.c[f"{part.key}.{edge.key}"].label(edge.key))
            elif edge.name == "cursor":
                columns.append(page.c.cursor.label(edge.key))
            else:
                columns.append(self._value(page, edge).label(edge.key))
        made = self._edge(page, columns)
        listed = func.json_agg(made)
        kept = listed.filter(page.c.number <= bind("first")) if "number" in page.c else listed
        return func.coalesce(kept, _EMPTY, type_=JSON())

    def _edge(self, page: Subquery, columns: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
        edge = select(*(columns or [literal(None).label("")])).correlate(page).subquery(self._name("e"))
        return select(func.row_to_json(_whole(edge))).select_from(edge).correlate(page).scalar_subquery()

    def _count(self, connection: Connection, site: int, owner: Row | None) -> ColumnElement[Any]:
        row = self._row(self._entities[connection.entity])
        counted = select(func.count()).select_from(row).where(*self._terms(connection, row, site, owner))
        return counted.correlate(*self._outer(owner)).scalar_subquery()

    def _outer(self, owner: Row | None) -> tuple[Row, ...]:
        return (self._scope,) if owner is None else (self._scope, owner)

    def _name(self, prefix: str) -> str:
        self._aliases += 1
        return f"{prefix}_{self._aliases}"

    def _bind(self, site: int) -> Bind:
        return lambda name: self._bound(site, name, None)

    def _bound(self, origin: int | str, name: str, kind: Any) -> ColumnElement[Any]:
        key = f"{origin}_{name}"
        self._origins[key] = (origin, name)
        return bindparam(key, type_=kind) if kind is not None else bindparam(key)


def _page_info(page: Subquery, part: Picked, bind: Bind, follows: bool) -> ColumnElement[Any]:
    first, number = bind("first"), page.c.number
    last = func.max(page.c.cursor).filter(number == first)
    values: dict[str, Callable[[], Any]] = {
        "hasNextPage": lambda: func.coalesce(func.max(number) > first, literal_column("false")),
        "hasPreviousPage": lambda: literal_column("true" if follows else "false"),
        "startCursor": lambda: func.max(page.c.cursor).filter(number == 1),
        "endCursor": lambda: func.coalesce(last, _at_most(page)),
        "__typename": lambda: literal_column("'PageInfo'"),
    }
    pairs = [item for below in part.below for item in (literal_column(f"'{below.key}'"), values[below.name]())]
    return func.json_build_object(*pairs, type_=JSON())


def _at_most(page: Subquery) -> ColumnElement[Any]:
    """The cursor of the last row of a page that is not full."""
    return func.array_agg(page.c.cursor, type_=ARRAY(Text()))[func.count()]


def _whole(subquery: Subquery) -> ColumnElement[Any]:
    """The subquery's row as one value, for row_to_json."""
    return literal_column(subquery.name)
