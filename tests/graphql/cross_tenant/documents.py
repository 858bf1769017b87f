"""Documents that ask for one root field several times over, each with arguments of its own, and for much of what it answers."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    OperationType,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
)

from lead_orchestrator.graphql.cost import Costs, TooComplexError

__all__ = ["LONGEST_LIST", "SIZES", "Document", "Place", "Root", "Writer", "roots"]

SIZES = ((2, 5), (2, 4), (1, 4), (1, 3), (0, 3))
"""How many relations of a type are asked for, and how deep: the first that is within the limits of an operation."""
MOST_FIELDS = 40
VARIANTS, MUTATIONS_VARIANTS = 4, 2
LONGEST_LIST = 6
WHOLE = ("Connection", "Edge", "Payload")
"""Types of which every field is asked for."""


@dataclass(frozen=True)
class Root:
    """A field of one of the schema's three roots."""

    operation: OperationType
    name: str
    definition: GraphQLField


@dataclass(frozen=True)
class Place:
    """An argument, and the variable that fills it."""

    variable: str
    name: str
    definition: GraphQLArgument
    path: str
    of_root: bool


@dataclass(frozen=True)
class Document:
    root: Root
    text: str
    copies: int
    places: Sequence[Place]


def roots(schema: GraphQLSchema, *operations: OperationType) -> Sequence[Root]:
    """Every field of these roots."""
    found = []
    for operation in operations:
        kind = schema.get_root_type(operation)
        found += [Root(operation, name, definition) for name, definition in (kind.fields.items() if kind else ())]
    return found


@dataclass
class Writer:
    """Writes documents, each another choice of what is asked for below the root field; `sizes` are tried in their order."""

    schema: GraphQLSchema
    rng: random.Random
    sizes: Sequence[tuple[int, int]] = SIZES
    costs: Costs = field(init=False)

    def __post_init__(self) -> None:
        self.costs = Costs(self.schema)

    def variants(self, root: Root, copies: int) -> Sequence[Document]:
        """Several, and of a field that answers with one of several types one for each of these."""
        kind = get_named_type(root.definition.type)
        usual = MUTATIONS_VARIANTS if root.operation is OperationType.MUTATION else VARIANTS
        number = len(self.schema.get_possible_types(kind)) if is_abstract_type(kind) else usual
        return [self.write(root, variant, copies) for variant in range(number)]

    def write(self, root: Root, variant: int, copies: int) -> Document:
        """As many copies as the limits of an operation leave room for."""
        for breadth, deepest in self.sizes:
            for number in (copies, max(copies // 2, 1), 1):
                written = _Draft(self.schema, self.rng, variant, breadth, deepest).document(root, number)
                if self._is_allowed(written):
                    return written
        raise AssertionError(f"{root.name} costs too much even by itself")

    def _is_allowed(self, document: Document) -> bool:
        """With lists as long as they are ever given; a page without a size is the largest."""
        lists = [place.variable for place in document.places if is_list_type(get_nullable_type(place.definition.type))]
        try:
            self.costs.of(document.text, dict.fromkeys(lists, [""] * LONGEST_LIST), None)
        except (GraphQLError, TooComplexError):
            return False
        return True


@dataclass
class _Draft:
    schema: GraphQLSchema
    rng: random.Random
    variant: int
    breadth: int
    deepest: int
    places: list[Place] = field(default_factory=list)
    left: int = MOST_FIELDS

    def document(self, root: Root, copies: int) -> Document:
        """The copies share what is asked for below them, and its arguments."""
        kind: Any = get_named_type(root.definition.type)
        below = fragment = ""
        if not is_leaf_type(kind):
            below, fragment = " { ...Below }", f" fragment Below on {kind.name} {{ {self._selection(kind, 1)} }}"
        owner = root.operation.value.title()
        parts = [
            f"a{n}: {root.name}{self._arguments(owner, root.name, root.definition, of_root=True)}{below}"
            for n in range(copies)
        ]
        variables = ", ".join(f"${place.variable}: {place.definition.type}" for place in self.places)
        head = f"{root.operation.value} {f'({variables})' if variables else ''}"
        return Document(root, f"{head} {{ {' '.join(parts)} }}{fragment}", copies, self.places)

    def _arguments(self, owner: str, name: str, found: GraphQLField, *, of_root: bool = False) -> str:
        given = []
        for argument, definition in found.args.items():
            variable = f"v{len(self.places)}"
            self.places.append(Place(variable, argument, definition, f"{owner}.{name}", of_root))
            given.append(f"{argument}: ${variable}")
        return f"({', '.join(given)})" if given else ""

    def _field(self, owner: str, name: str, found: GraphQLField, depth: int) -> str:
        self.left -= 1
        arguments = self._arguments(owner, name, found)
        kind: Any = get_named_type(found.type)
        return (
            f"{name}{arguments}"
            if is_leaf_type(kind)
            else f"{name}{arguments} {{ {self._selection(kind, depth + 1)} }}"
        )

    def _selection(self, kind: GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType, depth: int) -> str:
        if not isinstance(kind, GraphQLObjectType):
            return self._one_of(kind, depth)
        names = list(self._chosen(kind, depth))
        return " ".join(self._field(kind.name, name, kind.fields[name], depth) for name in names) or "__typename"

    def _chosen(self, kind: GraphQLObjectType, depth: int) -> Iterator[str]:
        below = []
        for name, found in kind.fields.items():
            if is_leaf_type(get_named_type(found.type)) or kind.name.endswith(WHOLE):
                yield name
            else:
                below.append(name)
        if depth < self.deepest and self.left > 0:
            yield from self.rng.sample(below, min(self.breadth, len(below)))

    def _one_of(self, kind: GraphQLInterfaceType | GraphQLUnionType, depth: int) -> str:
        """One of its types for each variant: of two, fields of one name may not be of one type."""
        possible = sorted(self.schema.get_possible_types(kind), key=lambda one: one.name)
        one = possible[self.variant % len(possible)]
        return f"__typename ... on {one.name} {{ {self._selection(one, depth)} }}"
