"""What an operation asks for: its selections merged, fragments and directives resolved, as a tree over the declarations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from graphql import (
    BooleanValueNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
)

from lead_orchestrator.graphql.planner.declare import Connection, Entity, Field, Inside, Leaf, Many, One, Payload, Root

__all__ = [
    "ERRORS",
    "TYPENAME",
    "Picked",
    "RootPicked",
    "Selector",
    "UnplannedError",
    "directive_variables",
    "reached_fragments",
    "root_type",
]

TYPENAME, ERRORS = "__typename", "errors"
LONGEST_KEY = 63  # Postgres cuts longer names
PLAIN_PARTS = frozenset({"totalCount", "cursor", "hasNextPage", "hasPreviousPage", "startCursor", "endCursor"})


class UnplannedError(Exception):
    """The planner does not answer this; the ordinary executor does."""


@dataclass(frozen=True)
class Picked:
    """One field of the answer: `key` is its name there, `site` the place of its arguments, `below` what is picked of it.

    `declared` is None for the parts of a connection (edges, node, pageInfo …), which `name` tells apart.
    """

    key: str
    name: str
    declared: Field | None = None
    site: int | None = None
    below: Sequence[Picked] = ()


@dataclass
class RootPicked:
    """A root field; `below` by entity, `sites` the type and field node of each place of arguments, the root's own first."""

    key: str
    root: Root
    sites: Sequence[tuple[str, FieldNode]]
    below: Mapping[str, Sequence[Picked]] = field(default_factory=dict)


def root_type(operation: OperationDefinitionNode) -> str:
    """Query or Mutation."""
    return operation.operation.value.title()


def directive_variables(document: DocumentNode) -> frozenset[str]:
    """The variables that @skip and @include depend on anywhere in the document."""
    return frozenset(
        argument.value.name.value
        for selection in _selections(_bodies(document.definitions))
        for directive in selection.directives or ()
        for argument in directive.arguments or ()
        if isinstance(argument.value, VariableNode)
    )


def reached_fragments(document: DocumentNode, nodes: Sequence[FieldNode]) -> list[FragmentDefinitionNode]:
    """The fragments that these fields spread, directly or through others."""
    known = _fragments(document)
    reached: dict[str, FragmentDefinitionNode] = {}
    waiting = _bodies(nodes)
    while waiting:
        for selection in _selections([waiting.pop()]):
            if isinstance(selection, FragmentSpreadNode) and (name := selection.name.value) not in reached:
                reached[name] = known[name]
                waiting.append(known[name].selection_set)
    return list(reached.values())


def _bodies(parts: Iterable[Node]) -> list[SelectionSetNode]:
    found = (getattr(part, "selection_set", None) for part in parts)
    return [selection_set for selection_set in found if selection_set is not None]


def _selections(bodies: Iterable[SelectionSetNode]) -> Iterator[SelectionNode]:
    waiting = list(bodies)
    while waiting:
        selections = waiting.pop().selections
        yield from selections
        waiting += _bodies(selections)


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {part.name.value: part for part in document.definitions if isinstance(part, FragmentDefinitionNode)}


class Selector:
    """Picks from one valid document, where the variables of its directives have these values.

    Raises UnplannedError for whatever is not declared.
    """

    def __init__(self, document: DocumentNode, flags: Mapping[str, object], entities: Mapping[str, Entity]) -> None:
        self._fragments = _fragments(document)
        self._flags = flags
        self._entities = entities
        self._sites: list[tuple[str, FieldNode]] = []

    def root_fields(self, operation: OperationDefinitionNode) -> dict[str, list[FieldNode]]:
        """The operation's root fields by their name in the answer."""
        return self._collect([operation.selection_set], root_type(operation))

    def root(self, owner: str, key: str, nodes: Sequence[FieldNode], root: Root) -> RootPicked:
        """What is picked of one root field of `owner`."""
        self._sites = [(owner, nodes[0])]
        picked = RootPicked(key, root, self._sites)
        if root.payload is not None:
            picked.below = {root.payload.type_name: self._payload(root, root.payload, nodes)}
        elif root.connection is not None:
            picked.below = {root.connection.entity: self._connection(root.connection, nodes)}
        else:
            picked.below = dict(self._possible(sorted(root.entities), nodes))
        return picked

    def _payload(self, root: Root, payload: Payload, nodes: Sequence[FieldNode]) -> list[Picked]:
        [entity] = root.entities
        found = self._collect(_bodies(nodes), payload.type_name)
        return [self._payload_part(entity, payload, key, same) for key, same in found.items()]

    def _payload_part(self, entity: str, payload: Payload, key: str, nodes: Sequence[FieldNode]) -> Picked:
        name = nodes[0].name.value
        if name == payload.shown:
            return Picked(key, name, below=self._object(entity, nodes))
        return Picked(key, name) if name == ERRORS else self._field(payload.type_name, {}, key, nodes)

    def _possible(self, names: Sequence[str], nodes: Sequence[FieldNode]) -> Iterator[tuple[str, Sequence[Picked]]]:
        """What is picked of each type that the root's rows may have; one that is not planned matters once it comes up."""
        for name in names:
            try:
                yield name, self._object(name, nodes)
            except UnplannedError:
                if len(names) == 1:
                    raise

    def _object(self, name: str, nodes: Sequence[FieldNode]) -> list[Picked]:
        entity = self._entities[name]
        found = self._collect(_bodies(nodes), entity.name, entity.interfaces)
        return [self._field(entity.name, entity.fields, key, same) for key, same in found.items()]

    def _inside(self, inside: Inside, nodes: Sequence[FieldNode]) -> list[Picked]:
        found = self._collect(_bodies(nodes), inside.type_name)
        return [self._field(inside.type_name, inside.fields, key, same) for key, same in found.items()]

    def _field(self, owner: str, fields: Mapping[str, Field], key: str, nodes: Sequence[FieldNode]) -> Picked:
        name = nodes[0].name.value
        declared = Leaf(lambda _row: owner) if name == TYPENAME else fields.get(name)
        match declared:
            case None:
                raise UnplannedError(f"{owner}.{name}")
            case Leaf():
                return Picked(key, name, declared)
            case Inside():
                return Picked(key, name, declared, below=self._inside(declared, nodes))
            case One() | Many(read=None):
                return Picked(key, name, declared, below=self._object(declared.entity, nodes))
            case Many():
                self._sites.append((owner, nodes[0]))
                return Picked(key, name, declared, len(self._sites) - 1, self._object(declared.entity, nodes))
            case Connection():
                self._sites.append((owner, nodes[0]))
                return Picked(key, name, declared, len(self._sites) - 1, self._connection(declared, nodes))

    def _connection(self, connection: Connection, nodes: Sequence[FieldNode]) -> list[Picked]:
        return self._parts(connection, f"{connection.entity}Connection", nodes)

    def _parts(self, connection: Connection, owner: str, nodes: Sequence[FieldNode]) -> list[Picked]:
        found = self._collect(_bodies(nodes), owner)
        return [self._part(connection, owner, key, same) for key, same in found.items()]

    def _part(self, connection: Connection, owner: str, key: str, nodes: Sequence[FieldNode]) -> Picked:
        match name := nodes[0].name.value:
            case "edges":
                return Picked(key, name, below=self._parts(connection, f"{connection.entity}Edge", nodes))
            case "node":
                return Picked(key, name, below=self._object(connection.entity, nodes))
            case "pageInfo":
                return Picked(key, name, below=self._parts(connection, "PageInfo", nodes))
            case _ if name in PLAIN_PARTS:
                return Picked(key, name)
            case _:
                return self._field(owner, {}, key, nodes)

    def _collect(
        self, bodies: Sequence[SelectionSetNode], type_name: str, interfaces: frozenset[str] = frozenset()
    ) -> dict[str, list[FieldNode]]:
        """CollectFields of the specification, section 6.3.2."""
        fields: dict[str, list[FieldNode]] = {}
        visited: set[str] = set()
        for selection_set in bodies:
            self._gather(selection_set, frozenset({type_name}) | interfaces, fields, visited)
        return fields

    def _gather(
        self,
        selection_set: SelectionSetNode,
        types: frozenset[str],
        fields: dict[str, list[FieldNode]],
        visited: set[str],
    ) -> None:
        for selection in filter(self._included, selection_set.selections):
            if isinstance(selection, FieldNode):
                key = (selection.alias or selection.name).value
                if len(key) > LONGEST_KEY:
                    raise UnplannedError(key)
                fields.setdefault(key, []).append(selection)
                continue
            part = self._fragment(selection, visited)
            if part is not None and (part.type_condition is None or part.type_condition.name.value in types):
                self._gather(part.selection_set, types, fields, visited)

    def _fragment(
        self, selection: SelectionNode, visited: set[str]
    ) -> FragmentDefinitionNode | InlineFragmentNode | None:
        """What is spread here; None if it was before."""
        if isinstance(selection, InlineFragmentNode):
            return selection
        if not isinstance(selection, FragmentSpreadNode):
            raise UnplannedError(selection.kind)
        if selection.name.value in visited:
            return None
        visited.add(selection.name.value)
        return self._fragments[selection.name.value]

    def _included(self, selection: SelectionNode) -> bool:
        for directive in selection.directives or ():
            name = directive.name.value
            if name not in {"skip", "include"}:
                raise UnplannedError(f"@{name}")
            if any(self._flag(argument.value) == (name == "skip") for argument in directive.arguments or ()):
                return False
        return True

    def _flag(self, node: object) -> bool:
        if isinstance(node, BooleanValueNode):
            return node.value
        if isinstance(node, VariableNode) and isinstance(value := self._flags.get(node.name.value), bool):
            return value
        raise UnplannedError("a directive without a truth value")
