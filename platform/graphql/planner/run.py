"""Answers an operation by its plan: what was prepared once is kept, the values of each request fill it in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from graphql import DocumentNode, ExecutionResult, GraphQLError, GraphQLSchema
from graphql.execution.values import VariableValues, get_variable_values

from lead_orchestrator import metrics
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.errors import presented
from lead_orchestrator.graphql.planner.compile import SCOPE, Compiler, Statement
from lead_orchestrator.graphql.planner.declare import Arguments, Entity, Root
from lead_orchestrator.graphql.planner.documents import Document, Documents, Kept, RootField
from lead_orchestrator.graphql.planner.registry import ENTITIES, ROOTS
from lead_orchestrator.graphql.planner.select import UnplannedError
from lead_orchestrator.graphql.scalars import checked_value
from lead_orchestrator.tenancy.reader import Reach, scope_values
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["Execute", "Planner", "Reads"]

MOST_PLANS = 2000
_RANK = {Role.AGENT: 1, Role.MANAGER: 2, Role.OWNER: 3}

Execute: TypeAlias = Callable[[DocumentNode], Awaitable[ExecutionResult]]
"""Runs a valid document by the ordinary executor, with the request's variables."""

_Part: TypeAlias = "tuple[str | None, list[GraphQLError]]"
"""The JSON of one root field, None for null, and what went wrong with it."""


class Reads(Protocol):
    """Runs a statement that answers with one value."""

    async def fetch(self, statement: str, values: Sequence[Any]) -> str | None: ...


class Planner:
    """Plans and answers queries of staff."""

    def __init__(
        self,
        schema: GraphQLSchema,
        reader: Reads,
        *,
        entities: Mapping[str, Entity] = ENTITIES,
        roots: Mapping[str, Root] = ROOTS,
        most_plans: int = MOST_PLANS,
    ) -> None:
        self._schema = schema
        self._reader = reader
        self._entities = entities
        self._documents = Documents(schema, entities, roots)
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

    def _asked(
        self, query: object, variables: object, operation_name: str | None, scope: Scope
    ) -> tuple[Document, Sequence[RootField], VariableValues]:
        if not isinstance(query, str) or not isinstance(variables, dict | None) or scope.role not in _RANK:
            raise UnplannedError("not a query of staff")
        document = self._documents.document(query, operation_name)
        given = checked_value(variables or {})
        definitions = document.operation.variable_definitions or ()
        values = get_variable_values(self._schema, definitions, given)  # type: ignore[arg-type]  # a dict, as was checked
        if isinstance(values, list):
            raise values[0]
        return document, self._documents.roots(document, values), values

    def _statement(
        self, root: RootField, values: VariableValues, scope: Scope
    ) -> tuple[Statement, Sequence[Any]] | None:
        """The statement of one root field with its parameters; None where it is left to the executor."""
        if root.picked is None or scope.role is None or _RANK[scope.role] < _RANK[root.picked.root.lowest]:
            return None
        try:
            arguments = [site.arguments(values) for site in root.sites]
            statement = self._plan(root, [one.shape for one in arguments], reach=Reach.of(scope))
        except (UnplannedError, BadInputError, GraphQLError):
            return None
        given = scope_values(scope)
        return statement, [_value(place, name, given, arguments) for place, name in statement.parameters]

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

    async def _parts(
        self,
        document: Document,
        work: Sequence[tuple[RootField, tuple[Statement, Sequence[Any]] | None]],
        left: Sequence[RootField],
        execute: Execute | None,
    ) -> tuple[Sequence[_Part], list[GraphQLError]]:
        """Every root field's answer in its place: one statement for each that is planned, the others executed together."""
        if len(work) == 1 and work[0][1] is not None:
            return [await self._read(work[0][0], work[0][1])], []
        executed = asyncio.ensure_future(execute(document.reduced(left))) if left and execute else None
        parts = await asyncio.gather(*(self._read(root, made) if made else _of(root, executed) for root, made in work))
        return parts, list((await executed).errors or ()) if executed else []

    async def _read(self, root: RootField, made: tuple[Statement, Sequence[Any]]) -> _Part:
        try:
            return await self._reader.fetch(made[0].sql, made[1]), []
        except Exception as error:  # noqa: BLE001 - an outage or a defect: masked like any other
            failed = GraphQLError(str(error), root.nodes, path=[root.key], original_error=error)
            return None, presented([failed]) or []


async def _of(root: RootField, executed: asyncio.Future[ExecutionResult] | None) -> _Part:
    """One root field's part of what the executor answered."""
    if executed is None or root.is_typename:
        return '"Query"', []
    data = (await executed).data
    return (None if data is None or data[root.key] is None else json.dumps(data[root.key])), []


def _is_silent(root: RootField, part: _Part) -> bool:
    """Nothing where there must be something, and no word why: a location that is not there, say. The executor has the words."""
    return part == (None, []) and not root.nullable


def _joined(fields: Sequence[RootField], parts: Sequence[_Part], executed: Sequence[GraphQLError]) -> bytes:
    errors = [*executed, *(error for _, found in parts for error in found)]
    missing = any(text is None and not root.nullable for root, (text, _) in zip(fields, parts, strict=True))
    members = [f'"{root.key}":{text or "null"}' for root, (text, _) in zip(fields, parts, strict=True)]
    data = "null" if missing else f"{{{','.join(members)}}}"
    if not errors:
        return f'{{"data":{data}}}'.encode()
    return f'{{"data":{data},"errors":{json.dumps([error.formatted for error in errors])}}}'.encode()


def _value(place: int | str, name: Any, scope: Mapping[str, Any], arguments: Sequence[Arguments]) -> Any:
    if isinstance(place, int):
        return arguments[place].values[name]
    return scope[name] if place == SCOPE else name
