"""Documents that were sent before: parsed once and validated once, with what each of their readers found out about them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from functools import cached_property
from typing import Any, Generic, TypeVar

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from lead_orchestrator.graphql.limits import MOST_TOKENS, OperationSize, StorableText

__all__ = ["Kept", "KnownDocument", "KnownDocuments", "ReadOnce", "known_documents"]

LONGEST_KEPT, MOST_CHARACTERS = 20_000, 1_000_000  # a document takes up to 300 times its text
_BESIDE = 100
_NAME = "lead-known-documents"
_RULES = (*specified_rules, OperationSize, StorableText, MaybeNullValidationRule, OneOfInputValidationRule)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """The most recently used entries, of `most` weight in all."""

    def __init__(self, most: int, weight: Callable[[K], int] = lambda _key: 1) -> None:
        self._most = most
        self._weight = weight
        self._held = 0
        self._entries: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: K, entry: V) -> V:
        """Keep `entry` as the one of `key`."""
        self._held += 0 if key in self._entries else self._weight(key)
        self._entries[key] = entry
        while self._held > self._most:
            self._held -= self._weight(self._entries.popitem(last=False)[0])
        return entry

    def __len__(self) -> int:
        return len(self._entries)


class KnownDocument:
    """What was parsed, with its operations in their order."""

    def __init__(self, text: str, schema: GraphQLSchema, *, development: bool) -> None:
        self.node: DocumentNode = parse(text, max_tokens=MOST_TOKENS)
        self.operations = [node for node in self.node.definitions if isinstance(node, OperationDefinitionNode)]
        self._schema = schema
        self._development = development
        self._found: dict[tuple[object, str | None], Any] = {}

    @cached_property
    def errors(self) -> list[GraphQLError]:
        """What is wrong with it, by the schema and by our limits."""
        rules = _RULES if self._development else (*_RULES, NoSchemaIntrospectionCustomRule)
        return validate(self._schema, self.node, rules, hide_suggestions=not self._development)

    def named(self, name: str | None) -> OperationDefinitionNode | None:
        """The operation that is meant; None where there is none, or `name` is and there are several."""
        named = [node for node in self.operations if name is None or (node.name and node.name.value == name)]
        return named[0] if len(named) == 1 else None

    def found(self, by: Callable[[KnownDocument, str | None], V], name: str | None) -> V:
        """What `by` finds out about the operation of this name, which it is asked once."""
        key = (by, name)
        if key in self._found:
            known: V = self._found[key]
            return known
        found = by(self, name)
        if name is None or self.named(name):  # nobody fills this by names that are none
            self._found[key] = found
        return found


class KnownDocuments:
    """Those of one schema."""

    def __init__(self, schema: GraphQLSchema, *, development: bool = False) -> None:
        self._schema = schema
        self._development = development
        self._known: Kept[str, KnownDocument | GraphQLError] = Kept(MOST_CHARACTERS, lambda text: len(text) + _BESIDE)

    def __len__(self) -> int:
        return len(self._known)

    def read(self, text: str) -> KnownDocument:
        """Raises GraphQLError: it is no document, or has too many tokens; RecursionError: it is nested too deep to be read."""
        known = self._known.get(text)
        if known is None:
            try:
                known = KnownDocument(text, self._schema, development=self._development)
            except GraphQLError as error:
                known = error
            if len(text) <= LONGEST_KEPT:
                self._known.put(text, known)
        if isinstance(known, GraphQLError):
            raise known.with_traceback(None)
        return known


def known_documents(schema: GraphQLSchema, *, development: bool = False) -> KnownDocuments:
    """The one place where documents of this schema are known; `development`, of the first who asks: it may be asked about
    itself and suggests names."""
    known: KnownDocuments | None = schema.extensions.get(_NAME)
    if known is None:
        known = schema.extensions[_NAME] = KnownDocuments(schema, development=development)
    return known


class ReadOnce(SchemaExtension):
    """Makes the library take the documents from here."""

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        if context.query:
            context.graphql_document = self._known(context.query).node
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        if context.query:
            context.pre_execution_errors = self._known(context.query).errors
        yield

    def _known(self, text: str) -> KnownDocument:
        return known_documents(self.execution_context.schema._schema).read(text)  # noqa: SLF001 - the library offers no other way
