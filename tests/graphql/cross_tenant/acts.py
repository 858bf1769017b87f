"""Every mutation, done by whom it belongs to, and what it left behind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import jwt
from graphql import OperationType

from lead_orchestrator.graphql.schema import core_schema
from tests.database import Cluster
from tests.graphql.cross_tenant.arena import Arena, open_arena
from tests.graphql.cross_tenant.canaries import Fingerprint
from tests.graphql.cross_tenant.documents import Root, roots
from tests.graphql.cross_tenant.fuzz import operations
from tests.graphql.cross_tenant.seeds import Seed
from tests.graphql.cross_tenant.sides import Connection, Side
from tests.graphql.cross_tenant.twins import tried
from tests.tenancy.rows import Table

__all__ = ["MUTATIONS", "Act", "Line", "all_done"]

MUTATIONS: Mapping[str, Root] = {root.name: root for root in roots(core_schema(), OperationType.MUTATION)}
RECORDS = {"audit_log", "tenant_heads", "idempotency_keys"}
"""Tables that only tell of a change."""


class Line(NamedTuple):
    """Of an audit trail, whosever."""

    actor: str
    action: str
    target: str | None
    source: str | None
    detail: Any


@dataclass(frozen=True)
class Act:
    """`refused` says why nobody could do it; None when `subject` did, with `given`. `changed` names the tables of which any row
    is another one since, but those that only tell of a change, and `lines` are new in any trail."""

    name: str
    refused: str | None
    subject: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    changed: Sequence[str] = ()
    lines: Sequence[Line] = ()


async def all_done(cluster: Cluster, seed: Seed) -> Mapping[str, Act]:
    """All mutations in the schema's order, one after the other in one clone of the seed. Those that were refused there, because
    earlier ones had used up or ended what they are about, go on in a fresh one; who comes first in a clone has no such excuse."""
    done: dict[str, Act] = {}
    left = list(MUTATIONS)
    while left:
        async with cluster.clone("acts", template=seed.database.name) as database, open_arena(database, seed) as arena:
            watch = Fingerprint(_Everything(arena.admin, arena.schema, seed.ours.tenant.id))
            for name in left:
                done[name] = await _done(arena, watch, name)
        left = [name for name in left[1:] if done[name].refused is not None]
    return done


async def _done(arena: Arena, watch: Fingerprint, name: str) -> Act:
    before, heads = await watch.read(), await _heads(arena.admin)
    try:
        [operation] = await operations(arena, OperationType.MUTATION, only=[name])
    except AssertionError as error:
        return Act(name, str(error))
    it = await tried(arena, operation)
    if it.refused is not None:
        return Act(name, it.refused)
    after = await watch.read()
    changed = [table for table in after if after[table] != before.get(table) and table not in RECORDS]
    subject = jwt.decode(it.token, options={"verify_signature": False})["sub"]
    return Act(name, None, subject, it.variables or {}, changed, await _lines(arena.admin, heads))


class _Everything(Side):
    """All rows there are."""

    def rows_of(self, table: Table) -> str | None:  # noqa: ARG002 - of every table
        return "true"


async def _heads(admin: Connection) -> Mapping[UUID, int]:
    found = await admin.fetch("SELECT tenant_id, max(number) AS number FROM audit_log GROUP BY tenant_id")
    return {row["tenant_id"]: row["number"] for row in found}


async def _lines(admin: Connection, heads: Mapping[UUID, int]) -> Sequence[Line]:
    asked = "SELECT tenant_id, number, actor, action, target, source, detail FROM audit_log ORDER BY tenant_id, number"
    return [
        Line(actor, action, target, source, json.loads(detail) if detail else None)
        for tenant, number, actor, action, target, source, detail in await admin.fetch(asked)
        if number > heads.get(tenant, 0)
    ]
