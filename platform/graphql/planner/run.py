"""Answers an operation by its plan: what was prepared once is kept, the values of each request fill it in."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    parse,
    specified_rules,
    validate,
)
from graphql.execution.values import VariableValues, get_argument_values, get_variable_values

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.limits import MOST_TOKENS, OperationSize, StorableText
from lead_orchestrator.graphql.planner.compile import CONSTANT, Compiler, Statement
from lead_orchestrator.graphql.planner.declare import Arguments, Connection, Read
from lead_orchestrator.graphql.planner.select import RootPicked, Selector, UnplannedError, directive_variables
from lead_orchestrator.graphql.planner.types import ENTITIES, ROOTS
from lead_orchestrator.graphql.scalars import checked_value
from lead_orchestrator.tenancy.reader import Reader, scope_values
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["Counts", "Planner"]

MOST_DOCUMENTS, MOST_PLANS = 1000, 2000
LONGEST_KEPT_DOCUMENT = 20_000
_RANK = {Role.AGENT: 1, Role.MANAGER: 2, Role.OWNER: 3}
_RULES = [*specified_rules, OperationSize, StorableText]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Kept(Generic[K, V]):
    """The most recently used entries, `most` at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: K, entry: V) -> V:
        self._entries[key] = entry
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)
        return entry

    def __len__(self) -> int:
        return len(self._entries)


@dataclass
class _Site:
    """One place of arguments: how they are read, and what they come to where no variable is in them."""

    definition: GraphQLField
    node: Any
    read: Read
    constant: Arguments | None = None


@dataclass
class _Selected:
    """What an operation asks for under one set of directive values."""

    roots: Sequence[RootPicked]
    sites: Sequence[_Site]


@dataclass
class _Document:
    """A valid operation; `flags` are the variables its directives depend on."""

    document: DocumentNode
    operation: OperationDefinitionNode
    flags: Sequence[str]
    selected: dict[tuple[Any, ...], _Selected | None] = field(default_factory=dict)


@dataclass
class Counts:
    """Operations by who answered them."""

    planned: int = 0
    left: int = 0


class Planner:
    """Plans and answers; None where the ordinary executor has to."""

    def __init__(self, schema: GraphQLSchema, reader: Reader) -> None:
        self._schema = schema
        self._reader = reader
        self._documents: _Kept[tuple[str, str | None], _Document | bool] = _Kept(MOST_DOCUMENTS)
        self._plans: _Kept[Hashable, Sequence[Statement]] = _Kept(MOST_PLANS)
        self.counts = Counts()

    async def answer(self, query: object, variables: object, operation_name: str | None, scope: Scope) -> bytes | None:
        """The whole answer as JSON, or None: not planned, or wrong in a way that the executor has the words for."""
        try:
            statements = self._statements(query, variables, operation_name, scope)
        except (UnplannedError, BadInputError, GraphQLError):
            self.counts.left += 1
            return None
        self.counts.planned += 1
        texts = await self._fetch([(statement, values) for _, statement, values in statements])
        parts = [f"{json.dumps(key)}:{text or 'null'}" for (key, *_), text in zip(statements, texts, strict=True)]
        return f'{{"data":{{{",".join(parts)}}}}}'.encode()

    async def _fetch(self, statements: Sequence[tuple[Statement, Sequence[Any]]]) -> Sequence[str | None]:
        if len(statements) == 1:
            return [await self._reader.fetch(statements[0][0].sql, statements[0][1])]
        return await asyncio.gather(*(self._reader.fetch(statement.sql, values) for statement, values in statements))

    def _statements(
        self, query: object, variables: object, operation_name: str | None, scope: Scope
    ) -> list[tuple[str, Statement, Sequence[Any]]]:
        if not isinstance(query, str) or not isinstance(variables, dict | None) or scope.role not in _RANK:
            raise UnplannedError("not a query of staff")
        document = self._document(query, operation_name)
        values = self._variables(document, checked_value(variables or {}))
        selected = self._selected(document, values)
        if any(_RANK[scope.role] < _RANK[root.root.lowest] for root in selected.roots):
            raise UnplannedError("not for this role")
        arguments = [_arguments(site, values) for site in selected.sites]
        plan = self._plan(document, selected, arguments, limited=scope.location_ids is not None)
        given = scope_values(scope)
        return [
            (root.key, statement, [_value(origin, given, arguments) for origin in statement.parameters])
            for root, statement in zip(selected.roots, plan, strict=True)
        ]

    def _document(self, query: str, operation_name: str | None) -> _Document:
        key = (query, operation_name)
        kept = self._documents.get(key)
        if kept is None:
            kept = self._prepare(query, operation_name) or False
            if len(query) <= LONGEST_KEPT_DOCUMENT:
                self._documents.put(key, kept)
        if not isinstance(kept, _Document):
            raise UnplannedError("not a valid query")
        return kept

    def _prepare(self, query: str, operation_name: str | None) -> _Document | None:
        document = parse(query, max_tokens=MOST_TOKENS)
        if validate(self._schema, document, _RULES):
            return None
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        named = [
            node for node in operations if operation_name is None or (node.name and node.name.value == operation_name)
        ]
        if len(named) != 1 or named[0].operation is not OperationType.QUERY:
            return None
        return _Document(document, named[0], sorted(directive_variables(document)))

    def _variables(self, document: _Document, given: Any) -> VariableValues:
        definitions = document.operation.variable_definitions or ()
        values = get_variable_values(self._schema, definitions, given)
        if isinstance(values, list):
            raise values[0]
        return values

    def _selected(self, document: _Document, values: VariableValues) -> _Selected:
        flags = tuple(values.coerced.get(name) for name in document.flags)
        if flags not in document.selected:
            try:
                document.selected[flags] = self._select(document, dict(zip(document.flags, flags, strict=True)))
            except UnplannedError:
                document.selected[flags] = None
        selected = document.selected[flags]
        if selected is None:
            raise UnplannedError("a field is answered in Python")
        return selected

    def _select(self, document: _Document, flags: Mapping[str, object]) -> _Selected:
        selector = Selector(document.document, flags, ENTITIES)
        roots = []
        for key, nodes in selector.root_fields(document.operation).items():
            root = ROOTS.get(nodes[0].name.value)
            if root is None:
                raise UnplannedError(nodes[0].name.value)
            roots.append(selector.root(key, nodes, root))
        if not roots:
            raise UnplannedError("nothing is asked for")
        return _Selected(roots, [self._site(owner, node) for owner, node in selector.sites])

    def _site(self, owner: str, node: Any) -> _Site:
        kind = self._schema.get_type(owner)
        if not isinstance(kind, GraphQLObjectType):
            raise UnplannedError(owner)
        name = node.name.value
        declared = ROOTS[name].read if owner == "Query" else _paging(owner, name)
        if declared is None:
            raise UnplannedError(name)
        site = _Site(kind.fields[name], node, declared)
        if not _has_variable(node):
            site.constant = declared(get_argument_values(site.definition, node, None))
        return site

    def _plan(
        self, document: _Document, selected: _Selected, arguments: Sequence[Arguments], *, limited: bool
    ) -> Sequence[Statement]:
        shapes = tuple(argument.shape for argument in arguments)
        key = (id(document), id(selected), limited, shapes)
        plan = self._plans.get(key)
        if plan is None:
            plan = [Compiler(ENTITIES, shapes, limited=limited).statement(root) for root in selected.roots]
            self._plans.put(key, plan)
        return plan


def _paging(owner: str, name: str) -> Read | None:
    declared = ENTITIES[owner].fields.get(name)
    return declared.paging.read if isinstance(declared, Connection) else None


def _has_variable(node: Any) -> bool:
    stack = [argument.value for argument in node.arguments or ()]
    while stack:
        value = stack.pop()
        if value.kind == "variable":
            return True
        stack += getattr(value, "values", None) or ()
        stack += [part.value for part in getattr(value, "fields", None) or ()]
    return False


def _arguments(site: _Site, values: VariableValues) -> Arguments:
    return site.constant or site.read(get_argument_values(site.definition, site.node, values))


def _value(origin: tuple[int | str, Any], scope: Mapping[str, Any], arguments: Sequence[Arguments]) -> Any:
    place, name = origin
    if place == CONSTANT:
        return name
    return scope[name] if isinstance(place, str) else arguments[place].values[name]
