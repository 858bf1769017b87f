"""Everything the planner knows: the declarations of every file, put together."""

from __future__ import annotations

from dataclasses import replace

from lead_orchestrator.graphql.planner import (
    assistant_types,
    booking_types,
    caller_types,
    catalog_types,
    chat_types,
    lead_types,
    message_types,
    mutations,
    operations_types,
    reporting_types,
    tenant_types,
    touch_types,
)
from lead_orchestrator.graphql.planner.declare import Entity, Root
from lead_orchestrator.graphql.planner.nodes import node_roots

__all__ = ["ENTITIES", "MUTATIONS", "ROOTS"]

_FEATURES = (
    tenant_types,
    lead_types,
    catalog_types,
    booking_types,
    chat_types,
    assistant_types,
    message_types,
    operations_types,
    touch_types,
    reporting_types,
    caller_types,
)


def _completed(entity: Entity) -> Entity:
    """The entity with the fields that features add to it."""
    more = {name: field for part in _FEATURES for name, field in part.MORE_FIELDS.get(entity.name, {}).items()}
    return replace(entity, fields={**entity.fields, **more}) if more else entity


_DECLARED: dict[str, Entity] = {name: entity for part in _FEATURES for name, entity in part.ENTITIES.items()}
TARGETS = {kind: target for part in _FEATURES for kind, target in part.TARGETS.items()}
ENTITIES = {name: _completed(entity) for name, entity in _DECLARED.items()}
ROOTS: dict[str, Root] = {
    **{name: root for part in _FEATURES for name, root in part.ROOTS.items()},
    **node_roots(TARGETS),
}
MUTATIONS: dict[str, Root] = mutations.ROOTS
