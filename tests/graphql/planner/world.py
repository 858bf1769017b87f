"""Two franchises with everything in them, two ways to ask about it, and how their answers are compared."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import graphql
import strawberry
from graphql import DocumentNode, ExecutionResult

from lead_orchestrator.graphql.context import Context, GraphQLServices
from lead_orchestrator.graphql.errors import presented
from lead_orchestrator.graphql.planner.run import Planner
from lead_orchestrator.tenancy.reader import Reader
from lead_orchestrator.tenancy.sessions import Scope
from tests.graphql.planner.writer import Operation, Samples

__all__ = ["Caller", "World", "canonical", "readable"]


@dataclass(frozen=True)
class Caller:
    name: str
    scope: Scope
    authorization: str


@dataclass(frozen=True)
class World:
    """`samples` are values that find something."""

    schema: strawberry.Schema
    services: GraphQLServices
    reader: Reader
    planner: Planner
    callers: Sequence[Caller]
    samples: Samples

    @property
    def core(self) -> graphql.GraphQLSchema:
        return self.schema._schema  # noqa: SLF001 - the library's own schema is what is walked

    async def planned(self, operation: Operation, caller: Caller, planner: Planner | None = None) -> Any:
        """The planner's answer, None where it leaves the operation."""

        async def execute(document: DocumentNode) -> ExecutionResult:
            context = Context(self.services, caller.authorization)
            try:
                executing = graphql.execute(
                    self.core, document, context_value=context, variable_values=dict(operation.variables)
                )
                result = executing if isinstance(executing, ExecutionResult) else await executing
            finally:
                await context.finish(commit=False)
            return ExecutionResult(result.data, presented(result.errors))

        answer = await (planner or self.planner).answer(
            operation.text, dict(operation.variables), None, caller.scope, execute
        )
        return None if answer is None else json.loads(answer)

    async def executed(self, operation: Operation, caller: Caller) -> Any:
        """The ordinary executor's answer."""
        context = Context(self.services, caller.authorization)
        try:
            result = await self.schema.execute(operation.text, dict(operation.variables), context_value=context)
        finally:
            await context.finish(commit=False)
        errors = presented(result.errors)
        answer = {"data": result.data, **({"errors": [error.formatted for error in errors]} if errors else {})}
        return json.loads(json.dumps(answer))


_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)")


def canonical(answer: Any) -> Any:
    """The answer with its members in order, moments and cursors read, errors sorted."""
    read = dict(answer)
    errors = sorted(read.pop("errors", []), key=lambda error: json.dumps(error, sort_keys=True))
    return _canonical(read["data"]), errors


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, _canonical(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> Any:
    if _MOMENT.fullmatch(value):
        return datetime.fromisoformat(value)
    try:
        parts = json.loads(base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        return value
    is_cursor = isinstance(parts, list) and len(parts) == 3 and all(isinstance(part, str) for part in parts)
    return [_text(part) for part in parts] if is_cursor and "_" in parts[2] else value


def readable(operation: Operation, caller: Caller, planned: Any, executed: Any) -> str:
    shown: Mapping[str, Any] = {"variables": operation.variables, "planned": planned, "executed": executed}
    return f"{caller.name} asks\n{operation.text}\n{json.dumps(shown, indent=1, ensure_ascii=False)}"
