"""Whatever the schema offers at its root is one statement, or is in a short list of what Python answers, each with its reason."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import graphql
import pytest

from lead_orchestrator.graphql.planner.registry import ENTITIES, ROOTS, TARGETS
from lead_orchestrator.graphql.planner.run import Planner
from lead_orchestrator.graphql.schema import make_schema
from lead_orchestrator.ids import Kind
from tests.graphql.planner.test_statements import Counting
from tests.graphql.planner.world import World

_ADMINISTRATORS = "platform administrators ask as another database role, and have no tenant to set in the statement"
PYTHON_ROOTS = {
    "tenants": _ADMINISTRATORS,
    "unroutedWebhooks": _ADMINISTRATORS,
    "availableSlots": "free times are worked out in Python",
    "simulateTouches": "the gate decides, which is Python",
    "previewTemplate": "words are rendered, counted and laid out in Python",
}
PYTHON_FIELDS = {
    "Tenant.readiness": "what it checks has words for people, which are written in Python",
    "Appointment.manageUrl": "the customer's link is signed with a key that the database does not have",
    "Viewer.expiresAt": "only the token knows",
}
SCHEMA: graphql.GraphQLSchema = make_schema(development=False)._schema  # noqa: SLF001 - the library's own schema is walked
DEEPEST = 6


def _fields(name: str) -> dict[str, graphql.GraphQLField]:
    kind = _type(name)
    assert isinstance(kind, graphql.GraphQLObjectType)
    fields: dict[str, graphql.GraphQLField] = kind.fields
    return fields


def test_every_root_field_is_planned_or_has_a_reason() -> None:
    assert set(_fields("Query")) == ROOTS.keys() | PYTHON_ROOTS.keys()
    assert not ROOTS.keys() & PYTHON_ROOTS.keys()


def test_every_field_of_a_planned_type_is_declared_or_has_a_reason() -> None:
    missing = {
        f"{entity.name}.{name}"
        for entity in ENTITIES.values()
        for name in _fields(entity.name)
        if name not in entity.fields
    }

    assert missing == PYTHON_FIELDS.keys()


def test_every_kind_of_id_is_found_by_node_without_python() -> None:
    assert {kind.value for kind in Kind} == TARGETS.keys()


# One statement

ARGUMENTS = {
    "chatSession": ("ChatSession", "id: $id"),
    "lead": ("Lead", "id: $id"),
    "location": ("Location", "id: $id"),
    "node": ("Lead", "id: $id"),
    "nodes": ("Lead", "ids: $ids"),
    "report": ("Location", 'from: "2026-03-01", to: "2026-03-31"'),
    "services": ("Location", "locationId: $id, activeOnly: false"),
    "touchSchedule": ("Location", "locationId: $id"),
}
VARIABLES = {"n": "Int", "id": "ID!", "ids": "[ID!]!"}
EMPTY = {"webhookEvents", "jobExecutions", "auditLog"}
"""The world has none of these."""


def _everything(kind: graphql.GraphQLNamedType, path: tuple[str, ...] = ()) -> str:
    """All fields of a type, and of what is below it, but no type within itself: lists have `$n` entries."""
    if not isinstance(kind, graphql.GraphQLObjectType):
        return "" if graphql.is_leaf_type(kind) else f"{{ id ... on Lead {_everything(_type('Lead'), path)} }}"
    if kind.name in path or len(path) == DEEPEST:
        return "{ __typename }"
    below = [
        f"{name}{'(first: $n)' if 'first' in found.args else ''} {_everything(graphql.get_named_type(found.type), (*path, kind.name))}"
        for name, found in kind.fields.items()
        if f"{kind.name}.{name}" not in PYTHON_FIELDS
    ]
    return f"{{ {' '.join(below)} }}"


def _type(name: str) -> graphql.GraphQLNamedType:
    found = SCHEMA.get_type(name)
    assert found is not None
    return found


def _operation(root: str) -> str:
    found = _fields("Query")[root]
    arguments = [ARGUMENTS[root][1]] if root in ARGUMENTS else []
    arguments += ["first: $n"] if "first" in found.args else []
    given = f"({', '.join(arguments)})" if arguments else ""
    below = _everything(graphql.get_named_type(found.type))
    needed = [f"${name}: {kind}" for name, kind in VARIABLES.items() if re.search(rf"\${name}\b", given + below)]
    return f"query{'(' + ', '.join(needed) + ')' if needed else ''} {{ {root}{given} {below} }}"


def _entries(answer: Any) -> int:
    """How many entries the lists of an answer have, all together."""
    if isinstance(answer, list):
        return len(answer) + sum(map(_entries, answer))
    return sum(map(_entries, answer.values())) if isinstance(answer, dict) else 0


@pytest.mark.parametrize("root", sorted(ROOTS))
async def test_every_root_field_is_one_statement_whatever_the_length_of_its_lists(world: World, root: str) -> None:
    counting = Counting(world.reader)
    planner = Planner(world.core, counting)
    ids = world.samples.ids[ARGUMENTS[root][0] if root in ARGUMENTS else "Lead"][1:]
    operation, lengths = _operation(root), []

    async def entries(variables: Mapping[str, Any]) -> int:
        given = {name: value for name, value in variables.items() if f"${name}:" in operation}
        answer = await planner.answer(operation, given, None, world.callers[0].scope)
        assert answer is not None
        read = json.loads(answer)
        assert "errors" not in read
        return _entries(read["data"])

    for length in (1, 10, 100):
        many = [*ids] * length
        lengths.append(sum([await entries({"n": length, "id": one, "ids": many[:length]}) for one in ids[:5]]))

    assert len(counting.statements) == 3 * len(ids[:5])
    assert len({statement for statement, _ in counting.statements}) == 1
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1] or "$n" not in operation or root in EMPTY
