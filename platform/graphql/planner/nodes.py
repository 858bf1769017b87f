"""Any row by its id: `node` and `nodes`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import and_

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.planner.declare import Arguments, Root, Target
from lead_orchestrator.graphql.queries import MOST_NODES
from lead_orchestrator.ids import decode, kind_of

__all__ = ["node_roots"]


def node_roots(targets: Mapping[str, Target]) -> dict[str, Root]:
    """The two root fields, over the rows that these kinds of ids name."""

    def key_of(text: str) -> tuple[str, UUID]:
        kind = kind_of(text)
        if kind is None or kind.value not in targets:
            raise BadInputError("an id of no kind that is planned")
        return kind.value, decode(kind, text)

    def read_one(arguments: Mapping[str, Any]) -> Arguments:
        kind, key = key_of(arguments["id"])
        return Arguments(kind, {"id": key})

    def read_many(arguments: Mapping[str, Any]) -> Arguments:
        found = [key_of(text) for text in arguments["ids"]]
        if len(found) > MOST_NODES:
            raise BadInputError("more ids than one may ask for")
        kinds = [kind for kind, _ in found]
        return Arguments(tuple(sorted(set(kinds))), {"ids": [key for _, key in found], "kinds": kinds})

    entities = frozenset(target.entity for target in targets.values())
    one = Root(
        read=read_one,
        entity_of=lambda kind: targets[kind].entity,
        by=lambda row, kind, bind: and_(row.c.id == bind("id"), targets[kind].where(row)),
        entities=entities,
    )
    return {"node": one, "nodes": Root(read=read_many, entities=entities, nodes=targets)}
