"""What one document may be: so deep, so many aliases and fields, and no text that cannot be stored.

Counted once per fragment, however often it is spread: a document of fragments that spread each other twice would otherwise
take exponential time to count (as the library's own limiters do), and one that spreads an unknown fragment would crash them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    ValidationContext,
    ValidationRule,
)
from strawberry.extensions import SchemaExtension

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.scalars import checked_value

__all__ = ["LARGEST_BODY", "MOST_TOKENS", "NamedOperation", "OperationSize", "StorableText"]

LARGEST_BODY = 128 * 1024
MOST_TOKENS = 2000
DEEPEST = 12
MOST_ALIASES = 30
MOST_FIELDS = 1000
TOO_COMPLEX = {"code": "QUERY_TOO_COMPLEX"}


@dataclass(frozen=True)
class _Size:
    depth: int = 0
    aliases: int = 0
    fields: int = 0

    def beside(self, other: _Size) -> _Size:
        return _Size(max(self.depth, other.depth), self.aliases + other.aliases, self.fields + other.fields)


class OperationSize(ValidationRule):
    """Refuses documents that are too deep or too wide, with every fragment put in its place."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        definitions = context.document.definitions
        self._fragments = {d.name.value: d for d in definitions if isinstance(d, FragmentDefinitionNode)}
        self._known: dict[str, _Size] = {}
        operations = [self._of(d.selection_set) for d in definitions if isinstance(d, OperationDefinitionNode)]
        whole = _Size()
        for size in operations:
            whole = whole.beside(size)
        self._compare("levels deep", whole.depth, DEEPEST)
        self._compare("aliases", whole.aliases, MOST_ALIASES)
        self._compare("fields, counting fragments each time they are spread,", whole.fields, MOST_FIELDS)

    def _compare(self, what: str, found: int, most: int) -> None:
        if found > most:
            shown = found if found < 10**6 else "more than a million"
            message = f"the document is too large: {shown} {what} where {most} are allowed; ask in several requests"
            self.report_error(GraphQLError(message, extensions=TOO_COMPLEX))

    def _of(self, selections: SelectionSetNode | None) -> _Size:
        size = _Size()
        for selection in selections.selections if selections else ():
            size = size.beside(self._of_one(selection))
        return size

    def _of_one(self, selection: Any) -> _Size:
        if isinstance(selection, FragmentSpreadNode):
            return self._of_fragment(selection.name.value)
        if isinstance(selection, InlineFragmentNode):
            return self._of(selection.selection_set)
        return self._of_field(selection)

    def _of_field(self, field: FieldNode) -> _Size:
        below = _Size() if field.name.value.startswith("__") else self._of(field.selection_set)
        return _Size(below.depth + 1, below.aliases + (field.alias is not None), below.fields + 1)

    def _of_fragment(self, name: str) -> _Size:
        if name not in self._known:
            self._known[name] = _Size()  # a cycle adds nothing here: another rule refuses it
            fragment = self._fragments.get(name)
            self._known[name] = self._of(fragment.selection_set) if fragment else _Size()
        return self._known[name]


class StorableText(ValidationRule):
    """Refuses string literals that Postgres cannot keep."""

    def enter_string_value(self, node: StringValueNode, *_: object) -> None:
        try:
            checked_value(node.value)
        except BadInputError as error:
            self.report_error(GraphQLError(error.message, node))


class NamedOperation(SchemaExtension):
    """A document of several operations says which one is meant; the library would take the first."""

    def on_execute(self) -> Iterator[None]:
        document = self.execution_context.graphql_document
        definitions = document.definitions if document else ()
        operations = [definition for definition in definitions if isinstance(definition, OperationDefinitionNode)]
        if len(operations) > 1 and self.execution_context.context.operation_name is None:
            raise GraphQLError("the document has several operations: name one of them by operationName")
        yield
