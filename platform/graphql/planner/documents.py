"""What is known of a document after its first request: its operation, what it asks for, and the arguments that never change."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
)

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.known import Kept, KnownDocument, known_documents
from lead_orchestrator.graphql.planner.declare import Arguments, Connection, Entity, Many, Read, Root
from lead_orchestrator.graphql.planner.select import (
    TYPENAME,
    RootPicked,
    Selector,
    UnplannedError,
    directive_variables,
    reached_fragments,
    root_type,
)
from lead_orchestrator.graphql.planner.values import ArgumentReader, VariableReader, VariableValues
from lead_orchestrator.tenancy.permissions import NOBODY, Who, operation_rule

__all__ = ["Document", "Documents", "RootField", "Site"]

MOST_SELECTIONS = 16  # of one document, by the values of its directives
_numbers = itertools.count()


@dataclass(frozen=True)
class Site:
    """One place of arguments: how they are read, and what they come to where no variable is in them."""

    given: ArgumentReader
    read: Read
    constant: Arguments | None

    def arguments(self, values: VariableValues) -> Arguments:
        """Raises GraphQLError or BadInputError: the executor has the words for it."""
        return self.constant or self.read(self.given.read(values))


@dataclass(frozen=True)
class RootField:
    """A root field of an operation; `picked` is None where it is answered in Python, `who` may ask for it. `number` is
    never used again."""

    key: str
    nodes: Sequence[FieldNode]
    nullable: bool
    who: Who = NOBODY
    picked: RootPicked | None = None
    sites: Sequence[Site] = ()
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def is_typename(self) -> bool:
        return self.nodes[0].name.value == TYPENAME


@dataclass(frozen=True)
class Document:
    """A valid query or mutation; `flags` are the variables that its directives depend on, `root_type` Query or Mutation."""

    document: DocumentNode
    operation: OperationDefinitionNode
    variables: VariableReader
    flags: Sequence[str]
    root_type: str
    selected: Kept[tuple[object, ...], Sequence[RootField]]

    def reduced(self, fields: Sequence[RootField]) -> DocumentNode:
        """The document with these root fields only; places in it are still those of the whole."""
        nodes = [node for root in fields for node in root.nodes]
        operation = OperationDefinitionNode(
            operation=self.operation.operation,
            name=self.operation.name,
            variable_definitions=self.operation.variable_definitions,
            directives=self.operation.directives,
            selection_set=type(self.operation.selection_set)(selections=tuple(nodes)),
            loc=self.operation.loc,
        )
        return DocumentNode(definitions=(operation, *reached_fragments(self.document, nodes)), loc=self.document.loc)


class Documents:
    """Reads documents once. `roots` are the planned root fields of Query, `mutations` those of Mutation."""

    def __init__(
        self,
        schema: GraphQLSchema,
        entities: Mapping[str, Entity],
        roots: Mapping[str, Root],
        mutations: Mapping[str, Root],
    ) -> None:
        self._schema = schema
        self._entities = entities
        self._roots = {"Query": roots, "Mutation": mutations}
        self._known = known_documents(schema)

    def document(self, query: str, operation_name: str | None) -> Document:
        """Raises UnplannedError: it is no valid query or mutation, or several of which none is named."""
        try:
            document = self._known.read(query).found(self._read, operation_name)
        except (GraphQLError, RecursionError):
            document = None
        if document is None:
            raise UnplannedError("no valid query or mutation")
        return document

    def roots(self, document: Document, values: VariableValues) -> Sequence[RootField]:
        """The root fields that are asked for with these values of the variables."""
        flags = tuple(values.coerced.get(name) for name in document.flags)
        known = document.selected.get(flags)
        if known is None:
            known = document.selected.put(flags, self._select(document, dict(zip(document.flags, flags, strict=True))))
        return known

    def _read(self, known: KnownDocument, name: str | None) -> Document | None:
        operation = known.named(name)
        if known.errors or operation is None or operation.operation is OperationType.SUBSCRIPTION:
            return None
        variables = VariableReader(self._schema, operation.variable_definitions or ())
        flags = sorted(directive_variables(known.node))
        return Document(known.node, operation, variables, flags, root_type(operation), Kept(MOST_SELECTIONS))

    def _select(self, document: Document, flags: Mapping[str, object]) -> Sequence[RootField]:
        selector = Selector(document.document, flags, self._entities)
        fields = selector.root_fields(document.operation)
        return [self._root(document.root_type, selector, key, nodes) for key, nodes in fields.items()]

    def _root(self, owner: str, selector: Selector, key: str, nodes: Sequence[FieldNode]) -> RootField:
        name, roots = nodes[0].name.value, self._roots[owner]
        if name == TYPENAME:
            return RootField(key, nodes, nullable=False)
        definition = self._type(owner).fields.get(name)
        if definition is None:  # the schema's own: whether it may be asked for is not decided here
            raise UnplannedError(name)
        nullable, who = not str(definition.type).endswith("!"), operation_rule(f"{owner}.{name}")
        try:
            if name not in roots:
                raise UnplannedError(name)
            picked = selector.root(owner, key, nodes, roots[name])
            sites = [self._site(place, node) for place, node in picked.sites]
        except (UnplannedError, BadInputError, GraphQLError):
            return RootField(key, nodes, nullable, who)
        return RootField(key, nodes, nullable, who, picked, sites)

    def _site(self, owner: str, node: FieldNode) -> Site:
        name = node.name.value
        definition = self._type(owner).fields[name]
        read = self._roots[owner][name].read if owner in self._roots else self._paged(owner, name)
        if read is None:
            raise UnplannedError(name)
        given = ArgumentReader(definition, node)
        return Site(given, read, None if given.constant is None else read(given.constant))

    def _paged(self, owner: str, name: str) -> Read | None:
        declared = self._entities[owner].fields.get(name)
        if isinstance(declared, Many):
            return declared.read
        return declared.paging.read if isinstance(declared, Connection) else None

    def _type(self, name: str) -> GraphQLObjectType:
        kind = self._schema.get_type(name)
        if not isinstance(kind, GraphQLObjectType):
            raise UnplannedError(name)
        return kind
