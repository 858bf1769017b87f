"""What an operation asks for: its selections merged, fragments and directives resolved, as a tree over the declarations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphql import (
    BooleanValueNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

from lead_orchestrator.graphql.planner.declare import Connection, Entity, Field, Inside, Leaf, Many, One, Root

__all__ = ["Picked", "RootPicked", "Selector", "UnplannedError", "directive_variables"]

TYPENAME = "__typename"


class UnplannedError(Exception):
    """The planner does not answer this; the ordinary executor does."""


@dataclass
class Picked:
    """One field of the answer: `key` is its name there, `site` the place of its arguments, `below` what is picked of it.

    `declared` is None for __typename and for the parts of a connection (edges, pageInfo …), which `name` tells apart.
    """

    key: str
    name: str
    declared: Field | None
    site: int | None = None
    below: Sequence[Picked] = ()


@dataclass
class RootPicked:
    key: str
    name: str
    root: Root
    site: int
    below: Mapping[str, Sequence[Picked]] = field(default_factory=dict)


def directive_variables(document: DocumentNode) -> frozenset[str]:
    """The variables that @skip and @include depend on anywhere in the document."""
    found: set[str] = set()
    stack: list[SelectionSetNode | None] = [
        definition.selection_set
        for definition in document.definitions
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    while stack:
        selection_set = stack.pop()
        for selection in selection_set.selections if selection_set else ():
            for directive in selection.directives or ():
                for argument in directive.arguments or ():
                    if isinstance(argument.value, VariableNode):
                        found.add(argument.value.name.value)
            stack.append(getattr(selection, "selection_set", None))
    return frozenset(found)


class Selector:
    """Picks from one operation; `sites` collects the field nodes whose arguments matter, in the order of their numbers."""

    def __init__(
        self,
        document: DocumentNode,
        flags: Mapping[str, object],
        entities: Mapping[str, Entity],
    ) -> None:
        self._fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._flags = flags
        self._entities = entities
        self.sites: list[tuple[str, FieldNode]] = []

    def root_fields(self, operation: OperationDefinitionNode) -> dict[str, list[FieldNode]]:
        """The operation's root fields by their name in the answer."""
        return self._collect([operation.selection_set], "Query", frozenset())

    def root(self, key: str, nodes: Sequence[FieldNode], root: Root) -> RootPicked:
        """What is picked of one root field."""
        picked = RootPicked(key, nodes[0].name.value, root, self._site("Query", nodes[0]))
        if root.connection is not None:
            picked.below = {"": self._connection(root.connection, nodes)}
        else:
            picked.below = {name: self._object(self._entities[name], nodes) for name in sorted(root.entities)}
        return picked

    def _object(self, entity: Entity, nodes: Sequence[FieldNode]) -> list[Picked]:
        collected = self._collect(_below(nodes), entity.name, entity.interfaces)
        return [self._field(entity.name, entity.fields, key, found) for key, found in collected.items()]

    def _inside(self, inside: Inside, nodes: Sequence[FieldNode]) -> list[Picked]:
        collected = self._collect(_below(nodes), inside.type_name, frozenset())
        return [self._field(inside.type_name, inside.fields, key, found) for key, found in collected.items()]

    def _field(self, owner: str, fields: Mapping[str, Field], key: str, nodes: Sequence[FieldNode]) -> Picked:
        name = nodes[0].name.value
        if name == TYPENAME:
            return Picked(key, name, Leaf(lambda _row: owner))
        declared = fields.get(name)
        if declared is None:
            raise UnplannedError(f"{owner}.{name}")
        match declared:
            case Leaf():
                return Picked(key, name, declared)
            case Inside():
                return Picked(key, name, declared, below=self._inside(declared, nodes))
            case One() | Many():
                return Picked(key, name, declared, below=self._object(self._entities[declared.entity], nodes))
            case Connection():
                site = self._site(owner, nodes[0])
                return Picked(key, name, declared, site, self._connection(declared, nodes))

    def _connection(self, connection: Connection, nodes: Sequence[FieldNode]) -> list[Picked]:
        type_name = f"{connection.entity}Connection"
        parts = []
        for key, found in self._collect(_below(nodes), type_name, frozenset()).items():
            name = found[0].name.value
            if name == "edges":
                parts.append(Picked(key, name, None, below=self._edges(connection, found)))
            elif name == "pageInfo":
                info = self._collect(_below(found), "PageInfo", frozenset())
                parts.append(Picked(key, name, None, below=[Picked(k, n[0].name.value, None) for k, n in info.items()]))
            elif name == "totalCount":
                parts.append(Picked(key, name, None))
            elif name == TYPENAME:
                parts.append(Picked(key, name, Leaf(lambda _row: type_name)))
            else:
                raise UnplannedError(f"{type_name}.{name}")
        return parts

    def _edges(self, connection: Connection, nodes: Sequence[FieldNode]) -> list[Picked]:
        type_name = f"{connection.entity}Edge"
        parts = []
        for key, found in self._collect(_below(nodes), type_name, frozenset()).items():
            name = found[0].name.value
            if name == "node":
                parts.append(Picked(key, name, None, below=self._object(self._entities[connection.entity], found)))
            elif name == "cursor":
                parts.append(Picked(key, name, None))
            elif name == TYPENAME:
                parts.append(Picked(key, name, Leaf(lambda _row: type_name)))
            else:
                raise UnplannedError(f"{type_name}.{name}")
        return parts

    def _site(self, owner: str, node: FieldNode) -> int:
        self.sites.append((owner, node))
        return len(self.sites) - 1

    def _collect(
        self, selection_sets: Sequence[SelectionSetNode], type_name: str, interfaces: frozenset[str]
    ) -> dict[str, list[FieldNode]]:
        """CollectFields of the specification, section 6.3.2."""
        fields: dict[str, list[FieldNode]] = {}
        visited: set[str] = set()
        for selection_set in selection_sets:
            self._gather(selection_set, type_name, interfaces, fields, visited)
        return fields

    def _gather(
        self,
        selection_set: SelectionSetNode,
        type_name: str,
        interfaces: frozenset[str],
        fields: dict[str, list[FieldNode]],
        visited: set[str],
    ) -> None:
        for selection in selection_set.selections:
            if not self._included(selection):
                continue
            if isinstance(selection, FieldNode):
                key = selection.alias.value if selection.alias else selection.name.value
                fields.setdefault(key, []).append(selection)
                continue
            part: FragmentDefinitionNode | InlineFragmentNode
            if isinstance(selection, FragmentSpreadNode):
                if selection.name.value in visited:
                    continue
                visited.add(selection.name.value)
                part = self._fragments[selection.name.value]
            elif isinstance(selection, InlineFragmentNode):
                part = selection
            else:
                raise UnplannedError("an unknown kind of selection")
            condition = part.type_condition.name.value if part.type_condition else type_name
            if condition == type_name or condition in interfaces:
                self._gather(part.selection_set, type_name, interfaces, fields, visited)

    def _included(self, selection: object) -> bool:
        for directive in getattr(selection, "directives", None) or ():
            name = directive.name.value
            if name not in {"skip", "include"}:
                raise UnplannedError(f"@{name}")
            if self._flag(directive.arguments[0].value) == (name == "skip"):
                return False
        return True

    def _flag(self, node: object) -> bool:
        if isinstance(node, BooleanValueNode):
            return node.value
        if isinstance(node, VariableNode) and isinstance(value := self._flags.get(node.name.value), bool):
            return value
        raise UnplannedError("a directive without a truth value")


def _below(nodes: Sequence[FieldNode]) -> list[SelectionSetNode]:
    return [node.selection_set for node in nodes if node.selection_set is not None]
