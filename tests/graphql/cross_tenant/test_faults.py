"""The fuzz finds what it is there for: each of these faults is put in, and it says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from graphql import OperationType, build_schema

from lead_orchestrator.graphql.context import GraphQLServices
from lead_orchestrator.tenancy.sessions import ReadSession, Scope, Tenancy, WriteSession
from tests.database import Cluster, TestDatabase
from tests.graphql.cross_tenant.arena import Arena, Caller, open_arena
from tests.graphql.cross_tenant.calling import Calls
from tests.graphql.cross_tenant.conftest import ABANDONED
from tests.graphql.cross_tenant.documents import roots
from tests.graphql.cross_tenant.forging import example_of
from tests.graphql.cross_tenant.fuzz import STORED, Fuzz, operations
from tests.graphql.cross_tenant.pools import pools_of
from tests.graphql.cross_tenant.seeds import Seed
from tests.graphql.cross_tenant.subscribing import listen
from tests.graphql.cross_tenant.twins import tried
from tests.serving import serving

pytestmark = ABANDONED
LOCATION_POLICIES = """
SELECT policyname::text FROM pg_policies WHERE tablename = $1 AND permissive = 'RESTRICTIVE' AND 'lead_app' = ANY (roles)"""


class _WrongTenancy(Tenancy):
    """Sessions of the one franchise are opened as the other's."""

    def __init__(self, right: Tenancy, theirs: UUID, ours: UUID) -> None:
        super().__init__(right.engines)
        self._theirs, self._ours = theirs, ours

    @asynccontextmanager
    async def read(self, scope: Scope) -> AsyncIterator[ReadSession]:
        async with super().read(self._wrong(scope)) as session:
            yield session

    @asynccontextmanager
    async def write(self, scope: Scope) -> AsyncIterator[WriteSession]:
        async with super().write(self._wrong(scope)) as session:
            yield session

    def _wrong(self, scope: Scope) -> Scope:
        return replace(scope, tenant_id=self._ours) if scope.tenant_id == self._theirs else scope


class _WrongReader:
    """Plans are filled in with the other franchise."""

    def __init__(self, right: Any, theirs: UUID, ours: UUID) -> None:
        self._right = right
        self.connections = right.connections
        self._theirs, self._ours = str(theirs), str(ours)

    async def fetch(self, statement: str, values: Sequence[Any]) -> str | None:
        wrong = [self._ours if str(value) == self._theirs else value for value in values]
        found: str | None = await self._right.fetch(statement, wrong)
        return found


def _with_wrong_sessions(seed: Seed) -> Callable[[GraphQLServices], GraphQLServices]:
    ids = seed.theirs.tenant.id, seed.ours.tenant.id
    return lambda services: replace(services, tenancy=_WrongTenancy(services.tenancy, *ids), reader=None)


def _with_wrong_plans(seed: Seed) -> Callable[[GraphQLServices], GraphQLServices]:
    ids = seed.theirs.tenant.id, seed.ours.tenant.id
    return lambda services: replace(services, reader=_WrongReader(services.reader, *ids))  # type: ignore[arg-type]  # as much of a reader as is used


@pytest.fixture
async def database(cluster: Cluster, seed: Seed) -> AsyncIterator[TestDatabase]:
    async with cluster.clone("fault", template=seed.database.name) as database:
        yield database


async def _attacked(arena: Arena, caller: Caller, only: Collection[str]) -> Sequence[str]:
    """What the attacks of this caller on these operations find."""
    fuzz = Fuzz(arena, await operations(arena, *STORED, only=only), seed=1)
    await fuzz.run([caller], await pools_of(arena, [caller]), attempts=0)
    return fuzz.problems


async def _named(callers: Sequence[Caller], name: str) -> Caller:
    return next(caller for caller in callers if caller.name == name)


async def test_a_session_with_anothers_scope_is_found(database: TestDatabase, seed: Seed) -> None:
    async with open_arena(database, seed, fault=_with_wrong_sessions(seed)) as arena:
        owner = await _named(await arena.strangers(), "another's owner")
        live = await listen(arena, owner, seed=1)
        found = await _attacked(arena, owner, ["leads", "pauseTouches"])

    assert any("leads as another's owner was told" in problem for problem in found)
    assert any("pauseTouches as another's owner was not refused" in problem for problem in found)
    assert any(problem.startswith("rows were changed in") and "leads" in problem for problem in found)
    assert any("leadEvents as another's owner was told" in problem for problem in live.problems)


async def test_a_plan_filled_in_with_another_franchise_is_found(database: TestDatabase, seed: Seed) -> None:
    asked = ("leads", "lead", "locations", "messages")  # for whole ones, by plans
    async with open_arena(database, seed, fault=_with_wrong_plans(seed)) as arena:
        found = await _attacked(arena, await _named(await arena.strangers(), "another's owner"), asked)

    for name in asked:
        assert any(f"{name} as another's owner was told" in problem for problem in found), name


@pytest.mark.parametrize(
    ("table", "asked", "said"),
    [("leads", "lead", "was told"), ("service_catalog", "upsertService", "was not refused")],
)
async def test_a_location_policy_that_is_gone_is_found(
    database: TestDatabase, seed: Seed, table: str, asked: str, said: str
) -> None:
    async with open_arena(database, seed) as arena:
        for policy in await arena.admin.fetch(LOCATION_POLICIES, table):
            await arena.admin.execute(f"DROP POLICY {policy[0]} ON {table}")
        found = await _attacked(arena, await _named(await arena.colleagues(), "manager of one location"), [asked])

    assert any(f"{asked} as manager of one location {said}" in problem for problem in found)


async def test_location_policies_that_are_gone_are_found_by_the_routes(database: TestDatabase, seed: Seed) -> None:
    async with open_arena(database, seed) as arena, serving(arena.settings) as http:
        for table in arena.schema.tables:  # after the start: with such a fault no api starts
            for policy in await arena.admin.fetch(LOCATION_POLICIES, table):
                await arena.admin.execute(f"DROP POLICY {policy[0]} ON {table}")
        manager = await _named(await arena.colleagues(), "manager of one location")
        calls = Calls(arena, http, seed=1, only=["POST /api/schedule"])
        await calls.run([manager], await pools_of(arena, [manager]), attempts=0)

    assert any("POST /api/schedule as manager of one location was not refused" in problem for problem in calls.problems)
    changed = [problem for problem in calls.problems if problem.startswith("rows were changed in")]
    assert any("scheduled_messages" in problem.partition(":")[0] for problem in changed)


async def test_an_operation_without_a_twin_is_named(arena: Arena) -> None:
    [nothing] = await operations(arena, OperationType.MUTATION, only=["createLead"], registered={})

    told = (await tried(arena, nothing)).refused

    assert told is not None
    assert told.startswith("createLead has no positive twin")
    assert "EXAMPLES of tests/graphql/cross_tenant/examples.py" in told
    assert "ADDRESS_MISSING" in told


def test_an_id_of_no_known_kind_asks_for_an_example() -> None:
    schema = build_schema("type Query { it: Int } type Mutation { dissolve(id: ID!): Boolean }")
    [root] = roots(schema, OperationType.MUTATION)

    with pytest.raises(AssertionError, match=r"add 'dissolve' to EXAMPLES"):
        example_of(root)
