"""What was subscribed to: a validated document with its variables, which makes an event into JSON text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    execute,
    visit,
)
from graphql.execution.values import get_argument_values, get_variable_values
from sqlalchemy.exc import InterfaceError, OperationalError

from lead_orchestrator.errors import BadInputError, UnavailableError
from lead_orchestrator.graphql.chat.cursors import VERSION_PREFIX
from lead_orchestrator.graphql.context import Context
from lead_orchestrator.graphql.cursors import EVENT_PREFIX, position_of
from lead_orchestrator.graphql.errors import presented
from lead_orchestrator.graphql.events.feeds import FEEDS, Feed
from lead_orchestrator.graphql.events.repository import Wanted
from lead_orchestrator.graphql.gate import Gate
from lead_orchestrator.graphql.known import KnownDocument, known_documents
from lead_orchestrator.graphql.queries import MOST_LOCATION_IDS
from lead_orchestrator.graphql.scalars import checked_value
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.leads import models
from lead_orchestrator.tenancy.permissions import Who, operation_rule
from lead_orchestrator.tenancy.tokens import Claims

__all__ = ["Operation", "Operations", "RefusedError"]

_ANOTHER = "over a socket there are subscriptions only: send queries and mutations as POST"


class RefusedError(Exception):
    """The operation cannot be streamed, for these reasons."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__()
        self.errors = errors


@dataclass(frozen=True)
class _Prepared:
    """A valid document; `cursor_variable` is the variable whose only use is the field's `after`."""

    document: DocumentNode
    operation: OperationDefinitionNode
    feed: Feed | None
    field_name: str
    node: FieldNode
    cursor_variable: str | None


@dataclass(frozen=True)
class Operation:
    """`key` is equal for operations that answer an event with the same text; `after` is where this one goes on: a position, or a
    version of the conversation `chat_id`."""

    prepared: _Prepared
    schema: GraphQLSchema
    key: str
    variables: Mapping[str, Any]
    wanted: Wanted
    after: int | None
    chat_id: UUID | None = None

    @property
    def who(self) -> Who:
        """Who may subscribe to it."""
        return operation_rule(f"Subscription.{self.prepared.field_name}")

    async def render(self, event: models.LeadEvent, lead: models.Lead, context: Context) -> str | None:
        """The execution result of one event, as JSON; None if it is not for this feed."""
        source = self.prepared.feed.of(event, lead) if self.prepared.feed else None
        return None if source is None else await self.answer(source, context)

    async def answer(self, root: object, context: Context) -> str:
        """The execution result where the event is `root`, as JSON."""
        name = self.prepared.operation.name
        answer = execute(
            self.schema,
            self.prepared.document,
            root_value=root,
            context_value=context,
            variable_values=dict(self.variables),
            operation_name=name.value if name else None,
            hide_suggestions=True,
        )
        result = answer if isinstance(answer, ExecutionResult) else await answer
        shown: dict[str, Any] = {"data": result.data}
        if any(map(_is_outage, result.errors or ())):
            raise UnavailableError("the database went away while an event was read")
        if result.errors:
            shown["errors"] = [error.formatted for error in presented(result.errors) or ()]
        return json.dumps(shown, separators=(",", ":"))


@dataclass
class Operations:
    """Reads what clients subscribe to. `gate` lets in and charges, as over HTTP."""

    schema: GraphQLSchema
    gate: Gate

    async def enter(self, request: dict[str, Any], claims: Claims) -> Operation:
        """The operation of `request` (query, variables, operationName, extensions), charged to the caller.

        Raises:
            RefusedError: it is not valid, or no subscription.
            AppError: the caller may not send it, it costs too much, or the caller's budget is spent.
        """
        try:
            request = self.gate.document(request, claims)
            await self.gate.enter(request, claims)
        except GraphQLError as error:
            raise RefusedError([error]) from None
        except RecursionError as error:
            raise RefusedError([GraphQLError(str(error), original_error=error)]) from None
        return self._read(request["query"] or "", request["variables"], request["operationName"])

    def _read(self, query: str, variables: Mapping[str, Any], operation_name: str | None) -> Operation:
        try:
            prepared = known_documents(self.schema).read(query).found(self._prepare, operation_name)
            return self._operation(prepared, query, variables, operation_name)
        except GraphQLError as error:
            raise RefusedError([error]) from None
        except (BadInputError, RecursionError) as error:
            raise RefusedError([GraphQLError(str(error), original_error=error)]) from None

    def _prepare(self, known: KnownDocument, operation_name: str | None) -> _Prepared:
        if known.errors:
            raise RefusedError(known.errors)
        operation = _operation_of(known, operation_name)
        if operation.operation is not OperationType.SUBSCRIPTION:
            raise BadInputError(_ANOTHER)
        node = _root_field(operation)
        return _Prepared(
            known.node, operation, FEEDS.get(node.name.value), node.name.value, node, _cursor_variable(known.node, node)
        )

    def _operation(
        self, prepared: _Prepared, query: str, variables: Mapping[str, Any], operation_name: str | None
    ) -> Operation:
        checked_value(variables)
        definitions = prepared.operation.variable_definitions or ()
        values = get_variable_values(self.schema, definitions, dict(variables), hide_suggestions=True)
        if isinstance(values, list):
            raise RefusedError(values)
        root = self.schema.subscription_type
        if root is None:
            raise BadInputError(_ANOTHER)
        arguments = get_argument_values(root.fields[prepared.field_name], prepared.node, values)
        shared = {name: value for name, value in variables.items() if name != prepared.cursor_variable}
        about = arguments.get("sessionId")
        return Operation(
            prepared,
            self.schema,
            json.dumps([query, operation_name, shared], sort_keys=True),
            variables,
            Wanted(_locations(arguments.get("locationIds")), prepared.feed.prefix if prepared.feed else ""),
            position_of(arguments.get("after"), VERSION_PREFIX if about else EVENT_PREFIX),
            decode(Kind.CHAT_SESSION, about, field="sessionId") if about else None,
        )


def _is_outage(error: GraphQLError) -> bool:
    """Whether reading the event again later may do."""
    return isinstance(error.original_error, InterfaceError | OperationalError | OSError)


def _operation_of(known: KnownDocument, name: str | None) -> OperationDefinitionNode:
    if name is None and len(known.operations) > 1:
        raise BadInputError("the document has several operations: name one of them by operationName")
    found = known.named(name)
    if found is None:
        raise BadInputError(f"the document has no operation {name!r:.60}")
    return found


def _root_field(operation: OperationDefinitionNode) -> FieldNode:
    node, *more = operation.selection_set.selections
    if more or not isinstance(node, FieldNode) or node.directives:
        raise BadInputError("name the subscribed field directly and once: neither in a fragment nor with a directive")
    return node


def _cursor_variable(document: DocumentNode, node: FieldNode) -> str | None:
    """The variable that `after` is given by, if that is its only use."""
    given = [argument.value for argument in node.arguments or () if argument.name.value == "after"]
    if not given or not isinstance(given[0], VariableNode):
        return None
    name = given[0].name.value
    uses = _VariableUses()
    visit(document, uses)
    return name if uses.names.count(name) == 2 else None  # noqa: PLR2004 - its definition and this use


class _VariableUses(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.names.append(node.name.value)


def _locations(ids: list[str] | None) -> frozenset[UUID] | None:
    if ids is None:
        return None
    if len(ids) > MOST_LOCATION_IDS:
        message = f"locationIds has {len(ids)} ids: send {MOST_LOCATION_IDS} at most, or leave it out for all"
        raise BadInputError(message, field=("locationIds",))
    return frozenset(decode(Kind.LOCATION, text, field="locationIds") for text in ids)
