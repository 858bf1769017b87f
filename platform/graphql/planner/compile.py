"""Writes the statement of one root field: built with SQLAlchemy Core, its JSON made by Postgres."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    Boolean,
    ColumnElement,
    Dialect,
    Integer,
    Select,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    not_,
    select,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.selectable import Subquery

from lead_orchestrator.graphql.planner.declare import (
    Arguments,
    Bind,
    Connection,
    Entity,
    Inside,
    Leaf,
    Many,
    One,
    Paging,
    Payload,
    Root,
    Row,
    Target,
)
from lead_orchestrator.graphql.planner.select import ERRORS, Picked, RootPicked, UnplannedError
from lead_orchestrator.tenancy.reader import Reach
from lead_orchestrator.tenancy.sessions import FOLDED, Scope

__all__ = ["CONSTANT", "SCOPE", "Compiler", "Statement"]

SCOPE, CONSTANT = "scope", "constant"
_ANSWERS = "answers"
_DIALECT: Dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]  # the library's constructor has no types
_LIST: ColumnElement[Any] = literal_column("'[]'::json", JSON)
_OBJECT: ColumnElement[Any] = literal_column("'{}'::json", JSON)
_NULL: ColumnElement[Any] = literal_column("NULL::json", JSON)
_ONE: ColumnElement[Any] = literal_column("1", Integer)


@dataclass(frozen=True)
class Statement:
    """`sql` with its parameters, in order: (SCOPE, name), (number of a site, name) or (CONSTANT, value), then the settings.

    That of a mutation has one more, before them (see `tenancy.writer`).
    """

    sql: str
    parameters: Sequence[tuple[int | str, Any]]

    def values(self, scope: Scope, arguments: Sequence[Arguments]) -> list[Any]:
        """Of all parameters: for this caller, and the arguments of each site."""
        found = [_value(place, name, scope, arguments) for place, name in self.parameters]
        found += scope.folded
        return found


class Compiler:
    """Compiles one root field for one shape of its arguments and of the caller's scope.

    What a client may name are only columns of rows made for row_to_json: our own names have a dot, which no name of GraphQL
    has, so that none can be taken for another.
    """

    def __init__(self, entities: Mapping[str, Entity], shapes: Sequence[Any], *, reach: Reach) -> None:
        self._entities = entities
        self._shapes = shapes
        self._reach = reach
        self._origins: dict[str, tuple[int | str, str]] = {}
        self._labels: dict[int, str] = {}
        self._names = 0
        # Its one row carries the tenant that every scan below joins with: nothing can be read before it is set.
        settings = [
            func.set_config(
                literal_column(f"'app.{name}'"), self._bound(SCOPE, name, Text()), literal_column("true")
            ).label(name)
            for name in FOLDED
        ]
        self._scope = select(*settings).offset(literal_column("0")).subquery(SCOPE)

    def statement(self, picked: RootPicked) -> Statement:
        """The whole statement: one row, in it the JSON of this root field."""
        answer, payload = self._root(picked).label("json"), picked.root.payload
        columns = [answer] if payload is None else self._changing(payload, answer)
        compiled = select(*columns).select_from(self._scope).compile(dialect=_DIALECT)
        constants = compiled.params
        names = [name for name in compiled.positiontup or () if name != _ANSWERS]
        own = names[: -len(FOLDED)]  # the settings are in the FROM at the end
        return Statement(str(compiled), [self._origins.get(name) or (CONSTANT, constants[name]) for name in own])

    def _changing(self, payload: Payload, answer: ColumnElement[Any]) -> list[ColumnElement[Any]]:
        """What a mutation's statement does when it runs first, and when it runs again."""
        answers = bindparam(_ANSWERS, type_=Boolean())
        return [
            case((not_(answers), payload.change(self._scope, self._bind(0)))).label("done"),
            case((answers, answer)).label("json"),
            case((answers, func.append_recorded())).label("position"),
        ]

    def _root(self, picked: RootPicked) -> ColumnElement[Any]:
        root, shape = picked.root, self._shapes[0]
        if root.payload is not None:
            return self._payload(root, root.payload.shown, picked.below[root.payload.type_name])
        if root.connection is not None:
            return self._connection(root.connection, picked.below[root.connection.entity], 0, None)
        if root.nodes is not None:
            return self._nodes(root.nodes, picked.below)
        if root.many is not None:
            return self._many(None, root.many, picked.below[root.many.entity], 0)
        if root.entity_of is None:
            raise UnplannedError(picked.key)
        name = root.entity_of(shape)
        return self._named(root, name, _of_type(picked.below, name))

    def _named(self, root: Root, name: str, picked: Sequence[Picked]) -> ColumnElement[Any]:
        """The one row that the root's arguments name."""
        shape, bind = self._shapes[0], self._bind(0)
        row = self._row(name, root.made(bind) if root.made else None)
        return self._one(row, picked, and_(self._mine(name, row, None), root.by(row, shape, bind)), None)

    def _payload(self, root: Root, shown: str, picked: Sequence[Picked]) -> ColumnElement[Any]:
        """A mutation's answer: its row, and no errors."""
        columns = [self._payload_part(root, shown, part).label(part.key) for part in picked]
        return self._scalar(select(*columns), picked, None)

    def _payload_part(self, root: Root, shown: str, part: Picked) -> ColumnElement[Any]:
        if part.name == shown:
            [entity] = root.entities
            return self._named(root, entity, part.below)
        return _LIST if part.name == ERRORS else self._value(self._scope, part)

    def _nodes(self, targets: Mapping[str, Target], below: Mapping[str, Sequence[Picked]]) -> ColumnElement[Any]:
        """A list of rows by their kinds and ids, in the order of these."""
        if not self._shapes[0]:
            return _LIST
        ids, kinds = self._bound(0, "ids", ARRAY(Uuid())), self._bound(0, "kinds", ARRAY(Text()))
        unnested = func.unnest(ids, kinds).table_valued(
            "id", "kind", with_ordinality="place", name=self._name("wanted")
        )
        wanted = unnested.render_derived()
        found = [
            (wanted.c.kind == literal_column(f"'{kind}'"), self._node(targets[kind], below, wanted))
            for kind in self._shapes[0]
        ]
        listed = func.json_agg(aggregate_order_by(case(*found), wanted.c.place))
        return select(func.coalesce(listed, _LIST)).select_from(wanted).correlate(self._scope).scalar_subquery()

    def _node(self, target: Target, below: Mapping[str, Sequence[Picked]], wanted: Row) -> ColumnElement[Any]:
        row = self._row(target.entity)
        on = and_(self._mine(target.entity, row, None), row.c.id == wanted.c.id, target.where(row))
        return self._one(row, _of_type(below, target.entity), on, wanted)

    def _row(self, name: str, made: Row | None = None) -> Row:
        source = self._entities[name].source
        rows = source() if made is None and source is not None else made
        if rows is None:
            raise UnplannedError(name)
        return rows.alias(self._name(name.lower()))

    def _mine(self, name: str, row: Row, parent: Row | None) -> ColumnElement[bool]:
        """The tenant, and for a limited caller its locations: written out, since a policy alone is no index condition."""
        if parent is not None:
            return row.c.tenant_id == parent.c.tenant_id
        entity = self._entities[name]
        mine: ColumnElement[bool] = row.c.tenant_id == cast(self._scope.c.tenant_id, Uuid())
        if entity.location is not None and self._reach is not Reach.ALL:
            mine = and_(mine, self._reached(row.c[entity.location]))
        return and_(mine, entity.visible(row, self._scope)) if entity.visible is not None else mine

    def _reached(self, location: ColumnElement[Any]) -> ColumnElement[bool]:
        if self._reach is Reach.ONE:  # an index gives the rows of one location in order, of several it cannot
            return location == self._bound(SCOPE, "location", Uuid())
        return location == func.any(self._bound(SCOPE, "locations", ARRAY(Uuid())))

    def _value(self, owner: Row, part: Picked) -> ColumnElement[Any]:
        match declared := part.declared:
            case Leaf():
                value = declared.value(owner)
                return literal_column(f"'{value}'") if isinstance(value, str) else value
            case Inside():
                made = self._object(owner, part.below)
                return made if declared.present is None else case((declared.present(owner), made))
            case One():
                row = self._row(declared.entity)
                on = and_(self._mine(declared.entity, row, owner), declared.on(owner, row))
                return self._one(row, part.below, on, owner, declared.order(row) if declared.order else ())
            case Many():
                listed = self._many(owner, declared, part.below, part.site)
                return listed if declared.present is None else case((declared.present(owner), listed))
            case Connection() if part.site is not None:
                return self._connection(declared, part.below, part.site, owner)
            case _:
                raise UnplannedError(part.name)

    def _columns(self, owner: Row, picked: Sequence[Picked]) -> list[ColumnElement[Any]]:
        return [self._value(owner, part).label(part.key) for part in picked] or [_ONE.label("nothing")]

    def _json(self, rows: Subquery, picked: Sequence[Picked]) -> ColumnElement[Any]:
        """Each of the rows as an object."""
        return func.row_to_json(literal_column(f'"{rows.name}"'), type_=JSON()) if picked else _OBJECT

    def _object(self, owner: Row, picked: Sequence[Picked]) -> ColumnElement[Any]:
        """An object of a row that is in reach."""
        return self._scalar(select(*self._columns(owner, picked)), picked, owner)

    def _one(
        self, row: Row, picked: Sequence[Picked], on: ColumnElement[bool], owner: Row | None, order: Sequence[Any] = ()
    ) -> ColumnElement[Any]:
        found = select(*self._columns(row, picked)).select_from(row).where(on)
        return self._scalar(found.order_by(*order).limit(_ONE) if order else found, picked, owner)

    def _scalar(self, rows: Select[Any], picked: Sequence[Picked], owner: Row | None) -> ColumnElement[Any]:
        made = rows.correlate(*self._outer(owner)).subquery(self._name("object"))
        return self._within(select(self._json(made, picked)).select_from(made), owner)

    def _many(
        self, owner: Row | None, declared: Many, picked: Sequence[Picked], site: int | None
    ) -> ColumnElement[Any]:
        made = None if owner is None or declared.of is None else declared.of(owner)
        row = self._row(declared.entity, made)
        tied = [] if owner is None or declared.on is None else [declared.on(owner, row)]
        wanted = [] if site is None else declared.terms(row, self._shapes[site], self._bind(site))
        on = and_(self._mine(declared.entity, row, owner), *tied, *wanted)
        found = select(*self._columns(row, picked)).select_from(row).where(on).order_by(*declared.order(row))
        found = found.limit(literal_column(str(declared.most))) if declared.most else found
        rows = found.correlate(*self._outer(owner)).subquery(self._name("items"))
        listed = func.coalesce(func.json_agg(self._json(rows, picked)), _LIST, type_=JSON())
        return self._within(select(listed).select_from(rows), owner)

    def _connection(
        self, connection: Connection, picked: Sequence[Picked], site: int, owner: Row | None
    ) -> ColumnElement[Any]:
        page = self._page(connection, picked, site, owner)
        columns = [self._part(connection, part, page, site, owner).label(part.key) for part in picked]
        answer = select(*(columns or [_ONE.label("nothing")]))
        # HAVING makes one row of any page, even where no aggregate is asked for.
        whole = answer if page is None else answer.select_from(page).having(literal_column("true"))
        return self._scalar(whole, picked, owner)

    def _part(
        self, connection: Connection, part: Picked, page: Subquery | None, site: int, owner: Row | None
    ) -> ColumnElement[Any]:
        if part.name == "edges" and page is not None:
            return self._edges(page, part, site, backwards=connection.paging.backwards(self._shapes[site]))
        if part.name == "pageInfo" and page is not None:
            return self._page_info(page, part, site, connection.paging)
        if part.name == "totalCount":
            row = self._row(connection.entity)
            counted = select(func.count()).select_from(row).where(*self._terms(connection, row, site, owner))
            return self._within(counted, owner)
        return self._value(self._scope, part)

    def _page(self, connection: Connection, picked: Sequence[Picked], site: int, owner: Row | None) -> Subquery | None:
        """The nodes and cursors of one page, with one row more where somebody asks whether there is one."""
        asked, nodes = _asked(picked), [edge for part in picked for edge in part.below if edge.name == "node"]
        if not any(part.name in {"edges", "pageInfo"} for part in picked):
            return None
        paging, shape, row = connection.paging, self._shapes[site], self._row(connection.entity)
        columns = [self._object(row, node.below).label(self._label(node)) for node in nodes]
        if asked & {"cursor", "startCursor", "endCursor"}:
            columns.append(paging.cursor(row, shape).label("cursor"))
        after = paging.after(row, shape, self._bind(site))
        terms = [*self._terms(connection, row, site, owner), *([] if after is None else [after])]
        found = select(*(columns or [_ONE.label("nothing")])).select_from(row).where(*terms)
        limit = self._bound(site, "limit" if "pageInfo" in asked else "first", Integer())
        rows = found.order_by(*paging.order(row, shape)).limit(limit)
        return rows.correlate(*self._outer(owner)).subquery(self._name("page"))

    def _terms(self, connection: Connection, row: Row, site: int, owner: Row | None) -> list[ColumnElement[bool]]:
        tied = [] if owner is None or connection.on is None else [connection.on(owner, row)]
        wanted = connection.paging.terms(row, self._shapes[site], self._bind(site))
        return [self._mine(connection.entity, row, owner), *tied, *wanted]

    def _edges(self, page: Subquery, part: Picked, site: int, *, backwards: bool) -> ColumnElement[Any]:
        columns = [self._edge(page, edge).label(edge.key) for edge in part.below]
        edge = self._scalar(select(*(columns or [_ONE.label("nothing")])), part.below, page)
        cut = func.array_agg(edge, type_=ARRAY(JSON()))[_ONE : self._bound(site, "first", Integer())]
        return func.coalesce(func.array_to_json(func.array_reverse(cut) if backwards else cut), _LIST, type_=JSON())

    def _edge(self, page: Subquery, edge: Picked) -> ColumnElement[Any]:
        if edge.name == "node":
            return page.c[self._label(edge)]
        return page.c.cursor if edge.name == "cursor" else self._value(page, edge)

    def _page_info(self, page: Subquery, part: Picked, site: int, paging: Paging) -> ColumnElement[Any]:
        first, backwards = self._bound(site, "first", Integer()), paging.backwards(self._shapes[site])
        cursors = func.array_agg(page.c.cursor, type_=ARRAY(Text())) if "cursor" in page.c else _NULL
        ahead: tuple[Callable[[], Any], Callable[[], Any]] = (
            lambda: cursors[func.least(func.count(), first)],
            lambda: func.count() > first,
        )
        behind: tuple[Callable[[], Any], Callable[[], Any]] = (
            lambda: cursors[_ONE],
            lambda: literal_column("true" if paging.starts_after(self._shapes[site]) else "false"),
        )
        start, end = (ahead, behind) if backwards else (behind, ahead)
        values: Mapping[str, Callable[[], Any]] = {
            "hasNextPage": end[1],
            "hasPreviousPage": start[1],
            "startCursor": start[0],
            "endCursor": end[0],
            "__typename": lambda: literal_column("'PageInfo'"),
        }
        parts: list[Any] = []
        for below in part.below:
            parts += [literal_column(f"'{below.key}'"), values[below.name]()]
        return func.json_build_object(*parts, type_=JSON())

    def _within(self, statement: Select[Any], owner: Row | None) -> ColumnElement[Any]:
        return statement.correlate(*self._outer(owner)).scalar_subquery()

    def _outer(self, owner: Row | None) -> tuple[Row, ...]:
        return (self._scope,) if owner is None else (self._scope, owner)

    def _label(self, node: Picked) -> str:
        """The column of a page that holds these nodes; edges may be asked for twice, by different names."""
        return self._labels.setdefault(id(node), f"node.{len(self._labels) + 1}")

    def _name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}.{self._names}"

    def _bind(self, site: int) -> Bind:
        return lambda name: self._bound(site, name)

    def _bound(self, origin: int | str, name: str, kind: Any = None) -> ColumnElement[Any]:
        key = f"{origin}_{name}"
        self._origins[key] = (origin, name)
        return bindparam(key, type_=kind)


def _asked(picked: Sequence[Picked]) -> set[str]:
    """The names of a connection's parts and of what is below them."""
    return {part.name for part in picked} | {below.name for part in picked for below in part.below}


def _of_type(below: Mapping[str, Sequence[Picked]], name: str) -> Sequence[Picked]:
    if name not in below:
        raise UnplannedError(name)
    return below[name]


def _value(place: int | str, name: Any, scope: Scope, arguments: Sequence[Arguments]) -> Any:
    if isinstance(place, int):
        return arguments[place].values[name]
    return scope.places[name] if place == SCOPE else name
