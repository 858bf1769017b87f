"""What an operation may cost, counted before anything is read: the number of objects its answer can have.

An object counts 1 where it can appear, a connection 1 and each object of its page 1 more (`first`, 25 where it is left out),
a total 1, a mutation's root field 10, a list without pages as in `LISTS`; what is below a list counts for each of its entries.
Fields of the same name in the answer count once, of an interface or a union the dearest of its types counts.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeAlias

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    ListValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    TypeInfo,
    ValidationContext,
    ValueNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_object_type,
    value_from_ast_untyped,
)

from lead_orchestrator.errors import AppError
from lead_orchestrator.graphql.cursors import DEFAULT_FIRST, LARGEST_FIRST
from lead_orchestrator.graphql.known import KnownDocument, known_documents
from lead_orchestrator.graphql.limits import OperationSize
from lead_orchestrator.graphql.planner.select import directive_variables

__all__ = ["LISTS", "MOST_COST", "Costs", "TooComplexError"]

MOST_COST = 5_000
"""Objects one operation may ask for: 50 leads with their location and their last 90 messages, say."""

LIST = 5
MUTATION = 10
LISTS: Mapping[str, int] = {
    "Location.hours": 14,
    "Location.services": 25,
    "Query.availableSlots": 500,
    "Report.byDay": 31,
    "Report.byLocation": 200,
    "Report.byService": 25,
    "Report.byTouch": 14,
    "TouchSchedule.touches": 14,
    "User.locations": 20,
    "Viewer.locations": 100,
}
"""Entries counted for a list without pages, where it is not `LIST`."""

MOST_ANSWERS = 64
_PAGE_SIZES = ("first", "last")
_Part: TypeAlias = "_Cost | _Dearest"


class TooComplexError(AppError):
    """The operation asks for more objects than one may."""

    code = "QUERY_TOO_COMPLEX"
    http_status = 400

    def __init__(self, cost: int) -> None:
        shown = cost if cost < 10**9 else "more than a billion"
        super().__init__(
            f"the operation costs {shown} where {MOST_COST} is the most: ask for smaller pages (first), or in several requests"
        )
        self.extensions = {"cost": min(cost, 10**9), "maximum": MOST_COST}


@dataclass
class _Cost:
    """`own` for each entry of a list, and what is below it; `size` is a number, or a variable that is `unset` if not given."""

    own: int
    size: int | str = 1
    unset: int = 1
    below: Sequence[_Part] = ()

    def count(self, sizes: Mapping[str, int]) -> int:
        size = self.size if isinstance(self.size, int) else sizes.get(self.size, self.unset)
        return size * (self.own + sum(part.count(sizes) for part in self.below))


@dataclass
class _Dearest:
    """One object of one of several types."""

    choices: Sequence[Sequence[_Part]]

    def count(self, sizes: Mapping[str, int]) -> int:
        return max((sum(part.count(sizes) for part in choice) for choice in self.choices), default=0)


@dataclass
class _Document:
    """An operation; `flags` are the variables of its directives. `counter` is None where one count is all there is, and
    `always` is that count where no variable changes it."""

    defaults: Mapping[str, object]
    flags: Sequence[str]
    always: int | None = None
    counter: _Counter | None = None
    counted: dict[Hashable, tuple[Sequence[_Part], Sequence[str]]] = field(default_factory=dict)
    answers: dict[Hashable, int] = field(default_factory=dict)


class Costs:
    """Counts operations; what was found out about a document is kept with it."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._documents = known_documents(schema)

    def of(self, query: object, variables: object, operation_name: str | None) -> int | None:
        """What the operation costs; None where it is none, which its execution says in words.

        Raises:
            GraphQLError: the document cannot be read, or is too large.
            RecursionError: it is nested too deep to be read.
            TooComplexError: the cost is above MOST_COST.
        """
        if not isinstance(query, str):
            return None
        document = self._documents.read(query).found(self._read, operation_name)
        if document is None:
            return None
        if isinstance(document, GraphQLError):
            raise document.with_traceback(None)
        cost = document.always
        if cost is None:
            cost = self._counted(document, variables if isinstance(variables, dict) else {})
        if cost > MOST_COST:
            raise TooComplexError(cost)
        return cost

    def _read(self, known: KnownDocument, name: str | None) -> _Document | GraphQLError | None:
        wrong = _wrong_size(self._schema, known.node)
        if wrong is not None:
            return wrong
        operation = known.named(name)
        if operation is None:
            return None
        read = _Document(_defaults(operation), sorted(directive_variables(known.node)))
        counter = _Counter(self._schema, known.node, operation)
        if read.flags:
            read.counter = counter
        else:
            parts, sized = read.counted[()] = counter.parts({})
            read.always = None if sized else sum(part.count({}) for part in parts)
        return read

    def _counted(self, document: _Document, variables: Mapping[str, object]) -> int:
        given = {**document.defaults, **variables} if document.defaults else variables
        flags = tuple(given.get(flag) is True for flag in document.flags)
        if document.counter and flags not in document.counted:
            _make_room(document.counted)
            document.counted[flags] = document.counter.parts(dict(zip(document.flags, flags, strict=True)))
        parts, sized = document.counted[flags]
        sizes = {name: _size(given[name]) for name in sized if name in given}
        key = (flags, *sizes.items())
        cost = document.answers.get(key)
        if cost is None:
            _make_room(document.answers)
            cost = document.answers[key] = sum(part.count(sizes) for part in parts)
        return cost


class _Counter:
    """Reads one operation under the values of its directives."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self._operation = operation
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._flags: Mapping[str, bool] = {}
        self._sized: set[str] = set()

    def parts(self, flags: Mapping[str, bool]) -> tuple[Sequence[_Part], Sequence[str]]:
        """What there is to count, and the variables that are sizes of lists."""
        self._flags, self._sized = flags, set()
        root = self._schema.get_root_type(self._operation.operation)
        if root is None:
            return (), ()
        fields = self._grouped([self._operation.selection_set], root)
        found = [self._field(root, nodes, None) for nodes in fields]
        if self._operation.operation is OperationType.MUTATION:
            return [_Cost(MUTATION, below=[part] if part else ()) for part in found], sorted(self._sized)
        return [part for part in found if part], sorted(self._sized)

    def _object(
        self, selections: Sequence[SelectionSetNode], owner: GraphQLObjectType, page: int | str | None = None
    ) -> Sequence[_Part]:
        found = (self._field(owner, nodes, page) for nodes in self._grouped(selections, owner))
        return [part for part in found if part]

    def _grouped(
        self, selections: Sequence[SelectionSetNode], owner: GraphQLObjectType
    ) -> Iterable[Sequence[FieldNode]]:
        """The fields by their name in the answer."""
        fields: dict[str, list[FieldNode]] = {}
        for selection_set in selections:
            for node in self._fields(selection_set, owner, frozenset()):
                fields.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
        return fields.values()

    def _field(self, owner: GraphQLObjectType, nodes: Sequence[FieldNode], page: int | str | None) -> _Cost | None:
        """`page` is the size of the page, for the fields of a connection."""
        name = nodes[0].name.value
        definition = owner.fields.get(name)
        kind = get_named_type(definition.type) if definition else None
        if definition is None or name == "pageInfo":
            return None
        if not is_composite_type(kind):
            return _Cost(1) if name == "totalCount" else None
        selections = [node.selection_set for node in nodes if node.selection_set]
        if is_object_type(kind) and _is_connection(kind):
            return _Cost(1, below=self._object(selections, kind, self._page(nodes[0])))
        below = self._below(kind, selections)
        if page is not None and _is_list(definition.type):
            return _Cost(1, page, DEFAULT_FIRST, below)
        if not _is_list(definition.type):
            return _Cost(0 if owner.name.endswith("Edge") else 1, below=below)
        return _Cost(1, self._entries(f"{owner.name}.{name}", nodes[0]), 0, below)

    def _page(self, node: FieldNode) -> int | str:
        asked = [self._size(value) for name in _PAGE_SIZES if (value := _argument(node, name))]
        return asked[0] if asked else DEFAULT_FIRST

    def _entries(self, name: str, node: FieldNode) -> int | str:
        """Of a list without pages: as many as the ids that are given, if that is how it is asked for."""
        ids = _argument(node, "ids")
        return self._size(ids) if ids else LISTS.get(name, LIST)

    def _size(self, value: ValueNode) -> int | str:
        if isinstance(value, VariableNode):
            self._sized.add(value.name.value)
            return value.name.value
        if isinstance(value, ListValueNode):
            return min(len(value.values), LARGEST_FIRST)
        return _size(value_from_ast_untyped(value))

    def _below(self, kind: Any, selections: Sequence[SelectionSetNode]) -> Sequence[_Part]:
        if is_abstract_type(kind):
            return [_Dearest([self._object(selections, one) for one in self._schema.get_possible_types(kind)])]
        return self._object(selections, kind) if is_object_type(kind) else ()

    def _fields(
        self, selection_set: SelectionSetNode, owner: GraphQLObjectType, within: frozenset[str]
    ) -> Iterator[FieldNode]:
        for selection in selection_set.selections:
            if not self._included(selection):
                continue
            if isinstance(selection, FieldNode):
                if not selection.name.value.startswith("__"):
                    yield selection
            elif isinstance(selection, InlineFragmentNode):
                if self._concerns(selection.type_condition, owner):
                    yield from self._fields(selection.selection_set, owner, within)
            elif isinstance(selection, FragmentSpreadNode):
                yield from self._spread(selection.name.value, owner, within)

    def _spread(self, name: str, owner: GraphQLObjectType, within: frozenset[str]) -> Iterator[FieldNode]:
        fragment = self._fragments.get(name)
        if fragment and name not in within and self._concerns(fragment.type_condition, owner):
            yield from self._fields(fragment.selection_set, owner, within | {name})

    def _concerns(self, condition: Any, owner: GraphQLObjectType) -> bool:
        kind = self._schema.get_type(condition.name.value) if condition else owner
        return kind is owner or (is_abstract_type(kind) and self._schema.is_sub_type(kind, owner))

    def _included(self, selection: Any) -> bool:
        for directive in selection.directives or ():
            value = directive.arguments[0].value if directive.arguments else None
            given = (
                self._flags.get(value.name.value) if isinstance(value, VariableNode) else getattr(value, "value", None)
            )
            if (directive.name.value, given) in {("skip", True), ("include", False)}:
                return False
        return True


def _size(value: object) -> int:
    """Of a page or of a list of ids; what is out of range is refused by whoever executes it."""
    if value is None:
        return DEFAULT_FIRST
    if isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return min(max(int(value), 1), LARGEST_FIRST)
    return min(len(value), LARGEST_FIRST) if isinstance(value, list) else 1


def _argument(node: FieldNode, name: str) -> ValueNode | None:
    return next((argument.value for argument in node.arguments or () if argument.name.value == name), None)


def _is_list(kind: Any) -> bool:
    return isinstance(kind.of_type if isinstance(kind, GraphQLNonNull) else kind, GraphQLList)


def _is_connection(kind: GraphQLObjectType) -> bool:
    return kind.name.endswith("Connection") and "edges" in kind.fields


def _defaults(operation: OperationDefinitionNode) -> Mapping[str, object]:
    return {
        node.variable.name.value: value_from_ast_untyped(node.default_value)
        for node in operation.variable_definitions or ()
        if node.default_value
    }


def _wrong_size(schema: GraphQLSchema, document: DocumentNode) -> GraphQLError | None:
    found: list[GraphQLError] = []
    OperationSize(ValidationContext(schema, document, TypeInfo(schema), found.append))
    return found[0] if found else None


def _make_room(kept: dict[Any, Any]) -> None:
    if len(kept) >= MOST_ANSWERS:
        kept.clear()
