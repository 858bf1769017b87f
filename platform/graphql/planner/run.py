"""Answers an operation by its plan: what was prepared once is kept, the values of each request fill it in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from graphql import DocumentNode, ExecutionResult, GraphQLError, GraphQLSchema

from lead_orchestrator import metrics
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.errors import presented
from lead_orchestrator.graphql.known import Kept
from lead_orchestrator.graphql.planner.compile import Compiler, Statement
from lead_orchestrator.graphql.planner.declare import Entity, Root
from lead_orchestrator.graphql.planner.documents import Document, Documents, RootField
from lead_orchestrator.graphql.planner.registry import ENTITIES, MUTATIONS, ROOTS
from lead_orchestrator.graphql.planner.select import UnplannedError
from lead_orchestrator.graphql.planner.values import VariableValues
from lead_orchestrator.graphql.scalars import checked_value
from lead_orchestrator.tenancy.permissions import STAFF
from lead_orchestrator.tenancy.reader import Reach
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.tenancy.writer import Writer

__all__ = ["Execute", "Planner", "Reads"]

MOST_PLANS = 2000

Execute: TypeAlias = Callable[[DocumentNode], Awaitable[ExecutionResult]]
"""Runs a valid document by the ordinary executor, with the request's variables."""

_Part: TypeAlias = "tuple[str | None, list[GraphQLError]]"
"""The JSON of one root field, None for null, and what went wrong with it."""


_NOTHING: _Part = (None, [])


class Reads(Protocol):
    """Runs a statement that answers with one value."""

    async def fetch(self, statement: str, values: Sequence[Any]) -> str | None: ...


class _Made(NamedTuple):
    """One root field's statement with its parameters."""

    sql: str
    parameters: Sequence[Any]


class Planner:
    """Plans and answers what staff ask: queries, and with a `writer` the mutations that are declared."""

    def __init__(
        self,
        schema: GraphQLSchema,
        reader: Reads,
        writer: Writer | None = None,
        *,
        entities: Mapping[str, Entity] = ENTITIES,
        roots: Mapping[str, Root] = ROOTS,
        mutations: Mapping[str, Root] = MUTATIONS,
        most_plans: int = MOST_PLANS,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._entities = entities
        self._documents = Documents(schema, entities, roots, mutations)
        self._plans: Kept[Hashable, Statement] = Kept(most_plans)
        self._planned = metrics.PLANNED.labels("planner")
        self._left = metrics.PLANNED.labels("executor")

    async def answer(
        self, query: object, variables: object, operation_name: str | None, scope: Scope, execute: Execute | None = None
    ) -> bytes | None:
        """The whole answer as JSON; None where no root field is planned, or the operation is wrong as a whole.

        Root fields that are answered in Python are left to `execute`, without which one of them leaves the operation.
        """
        try:
            document, fields, values = self._asked(query, variables, operation_name, scope)
        except (UnplannedError, BadInputError, GraphQLError):
            self._left.inc()
            return None
        if document.root_type == "Mutation":
            return await self._changed(fields, values, scope)
        if len(fields) == 1:
            return await self._alone(fields[0], self._statement(fields[0], values, scope))
        work = [(root, self._statement(root, values, scope)) for root in fields]
        left = [root for root, made in work if made is None and not root.is_typename]
        if left and (execute is None or not any(made for _, made in work)):
            self._left.inc()
            return None
        parts, errors = await self._parts(document, work, left, execute)
        if any(made and _is_silent(root, part) for (root, made), part in zip(work, parts, strict=True)):
            self._left.inc()
            return None
        self._planned.inc()
        return _joined(fields, parts, errors)

    async def _alone(self, root: RootField, made: _Made | None) -> bytes | None:
        """The answer where one root field is all there is."""
        part: _Part = await self._read(root, made) if made else (None, [])
        if made is None or _is_silent(root, part):
            self._left.inc()
            return None
        self._planned.inc()
        return _joined([root], [part])

    def _asked(
        self, query: object, variables: object, operation_name: str | None, scope: Scope
    ) -> tuple[Document, Sequence[RootField], VariableValues]:
        if not isinstance(query, str) or not isinstance(variables, dict | None) or scope.role not in STAFF:
            raise UnplannedError("not asked by staff")
        document = self._documents.document(query, operation_name)
        given = variables or {}
        checked_value(given)
        values = document.variables.read(given)
        return document, self._documents.roots(document, values), values

    def _statement(self, root: RootField, values: VariableValues, scope: Scope) -> _Made | None:
        """The statement of one root field with its parameters; None where it is left to the executor."""
        if root.picked is None or scope.role not in root.who:
            return None
        try:
            arguments = [site.arguments(values) for site in root.sites]
            statement = self._plan(root, [one.shape for one in arguments], reach=Reach.of(scope))
        except (UnplannedError, BadInputError, GraphQLError):
            return None
        return _Made(statement.sql, statement.values(scope, arguments))

    def _plan(self, root: RootField, shapes: Sequence[Hashable], *, reach: Reach) -> Statement:
        key = (root.number, reach, *shapes)
        plan = self._plans.get(key)
        if plan is None and root.picked is not None:
            compiler = Compiler(self._entities, shapes, reach=reach)
            plan = self._plans.put(key, compiler.statement(root.picked))
            metrics.PLANS_COMPILED.inc()
            metrics.PLANS_KEPT.set(len(self._plans))
        if plan is None:
            raise UnplannedError(root.key)
        return plan

    async def _changed(self, fields: Sequence[RootField], values: VariableValues, scope: Scope) -> bytes | None:
        """The answer to a mutation of one field, which is done and read in one transaction; None where it is left."""
        made = self._statement(fields[0], values, scope) if len(fields) == 1 else None
        if self._writer is None or made is None or scope.read_only:  # the executor has the words of the refusal
            self._left.inc()
            return None
        try:
            part: _Part = await self._writer.change(scope, made.sql, made.parameters), []
        except Exception as error:  # noqa: BLE001 - an outage or a defect: masked like any other
            part = _failed(fields[0], error)
        if part == _NOTHING:
            self._left.inc()
            return None
        self._planned.inc()
        return _joined(fields, [part])

    async def _parts(
        self,
        document: Document,
        work: Sequence[tuple[RootField, _Made | None]],
        left: Sequence[RootField],
        execute: Execute | None,
    ) -> tuple[Sequence[_Part], list[GraphQLError]]:
        """Every root field's answer in its place: one statement for each that is planned, the others executed together."""
        executed = asyncio.ensure_future(execute(document.reduced(left))) if left and execute else None
        parts = await asyncio.gather(*(self._read(root, made) if made else _of(root, executed) for root, made in work))
        return parts, list((await executed).errors or ()) if executed else []

    async def _read(self, root: RootField, made: _Made) -> _Part:
        try:
            return await self._reader.fetch(made.sql, made.parameters), []
        except Exception as error:  # noqa: BLE001 - an outage or a defect: masked like any other
            return _failed(root, error)


async def _of(root: RootField, executed: asyncio.Future[ExecutionResult] | None) -> _Part:
    """One root field's part of what the executor answered."""
    if executed is None or root.is_typename:
        return '"Query"', []
    data = (await executed).data
    return (None if data is None or data[root.key] is None else json.dumps(data[root.key])), []


def _is_silent(root: RootField, part: _Part) -> bool:
    """Nothing where there must be something, and no word why: a location that is not there, say. The executor has the words."""
    return part == _NOTHING and not root.nullable


def _failed(root: RootField, error: Exception) -> _Part:
    failed = GraphQLError(str(error), root.nodes, path=[root.key], original_error=error)
    return None, presented([failed]) or []


def _joined(fields: Sequence[RootField], parts: Sequence[_Part], executed: Sequence[GraphQLError] = ()) -> bytes:
    errors, members, missing = list(executed), [], False
    for root, (text, found) in zip(fields, parts, strict=True):
        errors += found
        missing = missing or (text is None and not root.nullable)
        members.append(f'"{root.key}":{text or "null"}')
    data = "null" if missing else f"{{{','.join(members)}}}"
    if not errors:
        return f'{{"data":{data}}}'.encode()
    return f'{{"data":{data},"errors":{json.dumps([error.formatted for error in errors])}}}'.encode()
