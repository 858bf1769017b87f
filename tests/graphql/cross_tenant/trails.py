"""What the audit trail has to say of a mutation that changed anything, and what it must not say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from graphql import GraphQLEnumType

from lead_orchestrator.graphql.schema import core_schema
from lead_orchestrator.ids import kind_of
from lead_orchestrator.tenancy.permissions import ADMINISTRATORS, OPERATIONS
from tests.graphql.cross_tenant.acts import Act, Line
from tests.tenancy.rows import Schema

__all__ = ["FROM", "SILENT", "Vocabulary", "faults"]

SILENT: Mapping[str, str] = {
    "markChatRead": "that somebody has looked at a conversation is no change to it",
    "setTyping": "is told to whoever listens, and kept nowhere",
    "startBooking": "hands out a token, and keeps nothing",
    "startChat": "begins a visitor's own conversation, which says so itself; with it its visitor's address is to go",
}
"""Mutations without a line, and why."""

FROM = "127.0.0.1"
"""Where the tests ask from."""
ACTION = re.compile(r"[a-z_]+\.[a-z_]+")
SMALL = 40
"""Numbers below it are counts, which an argument may equal by chance."""


class Vocabulary:
    """The words that a line's detail may have: values of enums and names of fields, as the API or as the database calls them."""

    def __init__(self, schema: Schema) -> None:
        kinds = core_schema().type_map.values()
        self._words = {value for kind in kinds if isinstance(kind, GraphQLEnumType) for value in kind.values}
        for table in schema.tables.values():
            self._words.update(table.types)

    def __contains__(self, text: str) -> bool:
        return text in self._words or kind_of(text) is not None


def faults(act: Act, known: Vocabulary) -> list[str]:
    """What is wrong with what the act left; nothing where all is well."""
    if act.name in SILENT:
        return [f"left {line}, and stands in SILENT" for line in act.lines]
    if not act.lines:
        return [f"changed {', '.join(act.changed) or 'nothing'} and left no line in any audit trail"]
    return [f"{line} {fault}" for line in act.lines for fault in _of(line, act, known)]


def _of(line: Line, act: Act, known: Vocabulary) -> Iterator[str]:
    if line.actor != act.subject:
        yield f"is not by {act.subject}, who did it"
    if line.source != FROM:
        yield f"is not from {FROM}, where it was asked"
    if not ACTION.fullmatch(line.action):
        yield "does not say what was done, as in lead.added"
    if line.target is None or kind_of(line.target) is None:
        yield "does not say to what"
    given = set(_leaves(act.given))
    for path, leaf in _details(line.detail):
        if path == "reason" and OPERATIONS[f"Mutation.{act.name}"] == ADMINISTRATORS:
            continue  # written for the trail, by the platform's own people
        if isinstance(leaf, str) and leaf not in known:
            yield f"says {leaf!r}, which is no id, status or name of a field"
        if isinstance(leaf, int | float) and leaf >= SMALL and leaf in given:
            yield f"says {leaf}, which was an argument"


def _details(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _details(item, f"{path}.{name}".removeprefix("."))
    elif isinstance(value, list):
        for item in value:
            yield from _details(item, path)
    else:
        yield path, value


def _leaves(value: Any) -> Iterator[Any]:
    return (leaf for _, leaf in _details(value))
