"""What attackers and victims have: ids, cursors and texts to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import graphql
from graphql import OperationType

from lead_orchestrator.ids import Kind
from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.cross_tenant.arena import Arena, Caller
from tests.graphql.cross_tenant.documents import roots
from tests.graphql.cross_tenant.forging import Pool
from tests.graphql.cross_tenant.fuzz import ask
from tests.graphql.cross_tenant.sides import Side

__all__ = ["pool_of", "pools_of"]


async def pools_of(arena: Arena, callers: Sequence[Caller]) -> Mapping[str, tuple[Pool, Pool]]:
    """By caller: his own, and his victim's."""
    known: dict[tuple[UUID, UUID | None], Pool] = {}
    for side in [side for caller in callers for side in (caller.own, caller.victim)]:
        if side.key not in known:
            franchise = next(one for one in (arena.seed.ours, arena.seed.theirs) if one.tenant.id == side.tenant_id)
            held = [side.location_id] if side.location_id else []
            token = arena.token(franchise, Role.MANAGER if held else Role.OWNER, *held)
            known[side.key] = await pool_of(arena, side, token)
    return {caller.name: (known[caller.own.key], known[caller.victim.key]) for caller in callers}


async def pool_of(arena: Arena, side: Side, token: str) -> Pool:
    """What `side` has; its cursors as they are told to the holder of `token`."""
    ids = {kind: await side.ids(kind) for kind in Kind}
    texts = [text for table in ("leads", "locations") for text in await _texts(side, table)]
    return Pool(ids, await _cursors(arena, token), texts)


async def _texts(side: Side, table: str) -> Sequence[str]:
    columns = {"leads": "ARRAY[phone, email, first_name]", "locations": "ARRAY[slug, name, shopmonkey_location_id]"}[
        table
    ]
    rows = side.rows_of(side.schema.tables[table])
    found = await side.admin.fetch(f"SELECT unnest({columns}) FROM {table} WHERE {rows}")  # noqa: S608 - the tests' own names
    return [row[0] for row in found if row[0]]


async def _cursors(arena: Arena, token: str) -> dict[str, Sequence[str]]:
    """By the field they are of, the lists of the roots and those within their rows."""
    known: dict[str, Sequence[str]] = {}
    for root in roots(arena.core, OperationType.QUERY):
        node = arena.core.get_type(graphql.get_named_type(root.definition.type).name.removesuffix("Connection"))
        paged = "after" in root.definition.args and isinstance(node, graphql.GraphQLObjectType)
        if not paged or not isinstance(node, graphql.GraphQLObjectType):
            continue
        known[f"Query.{root.name}"] = await _found(
            arena, token, f"{{ {root.name}(first: 5) {{ edges {{ cursor }} }} }}"
        )
        for name, inner in node.fields.items():
            if "after" in inner.args:
                below = f"edges {{ node {{ {name}(first: 5) {{ edges {{ cursor }} }} }} }}"
                asked = f"{{ {root.name}(first: 5) {{ {below} }} }}"
                known[f"{node.name}.{name}"] = await _found(arena, token, asked)
    for root in roots(arena.core, OperationType.SUBSCRIPTION):
        known[f"Subscription.{root.name}"] = ["lev_0", *known.get("Lead.timeline", ())]
    return known


async def _found(arena: Arena, token: str, text: str) -> Sequence[str]:
    return sorted(_values(await ask(arena.planned, token, text, {}), "cursor"))


def _values(answer: Any, key: str) -> set[str]:
    if isinstance(answer, list):
        return {text for item in answer for text in _values(item, key)}
    if not isinstance(answer, dict):
        return set()
    own = {answer[key]} if isinstance(answer.get(key), str) else set()
    return own | {text for item in answer.values() for text in _values(item, key)}
