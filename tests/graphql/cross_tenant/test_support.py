"""Whoever is let in for support, and may only read, changes nothing by any operation of the schema."""

from __future__ import annotations

from graphql import OperationType

from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.cross_tenant.arena import Arena, Caller
from tests.graphql.cross_tenant.canaries import Canaries
from tests.graphql.cross_tenant.conftest import ABANDONED
from tests.graphql.cross_tenant.fuzz import Fuzz, operations
from tests.graphql.cross_tenant.pools import pools_of

pytestmark = ABANDONED
ATTEMPTS = 600


async def test_support_that_may_only_read_changes_nothing(arena: Arena) -> None:
    ours = arena.seed.ours
    token = arena.issuer.issue(
        subject="user_admin",
        role=Role.OWNER,
        tenant_id=ours.tenant.id,
        location_ids=None,
        actor="user_admin",
        read_only=True,
    )
    own = arena.side(ours)
    caller = Caller("support", lambda: token, own, own, Canaries({}))
    fuzz = Fuzz(arena, await operations(arena, OperationType.MUTATION), seed=1)

    await fuzz.run([caller], await pools_of(arena, [caller]), ATTEMPTS)

    assert fuzz.attempts >= ATTEMPTS
    assert not fuzz.problems, fuzz.told()
