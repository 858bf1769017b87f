"""One statement for each root field, however long its lists; and nothing without a tenant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import make_url

from lead_orchestrator.db import Timeouts
from lead_orchestrator.graphql.planner.registry import ROOTS
from lead_orchestrator.graphql.planner.run import Planner
from lead_orchestrator.tenancy.reader import Reader
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Scope, Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.database import TestDatabase
from tests.factories import make_tenant
from tests.graphql.planner.world import World

EVERYTHING = """query($n: Int, $ids: [ID!]!) {
  leads(first: $n) { totalCount pageInfo { hasNextPage endCursor } edges { cursor node { id name
    location { name hours { opensAt } } nextTouch { day localTime } consents { at }
    messages(first: 3) { totalCount edges { node { body lead { id } } } } timeline { edges { node { kind } } } } } }
  locations { edges { node { id } } }
  nodes(ids: $ids) { id }
}"""


@dataclass
class Counting:
    """Counts what it hands on, or keeps it to itself."""

    reader: Reader | None = None
    statements: list[tuple[str, Sequence[Any]]] = field(default_factory=list)

    async def fetch(self, statement: str, values: Sequence[Any]) -> str | None:
        self.statements.append((statement, values))
        return await self.reader.fetch(statement, values) if self.reader else "{}"


@pytest.mark.parametrize("length", [1, 10, 100])
async def test_each_root_field_is_one_statement_whatever_the_length_of_its_lists(world: World, length: int) -> None:
    counting = Counting(world.reader)
    planner = Planner(world.core, counting)
    ids = [*world.samples.ids["Lead"]] * 100

    answer = await planner.answer(EVERYTHING, {"n": length, "ids": ids[:length]}, None, world.callers[0].scope)

    assert answer is not None
    assert len(json.loads(answer)["data"]["nodes"]) == length
    assert len(counting.statements) == 3


async def test_a_plan_is_compiled_once_for_all_values(world: World) -> None:
    counting = Counting()
    planner = Planner(world.core, counting)

    for length in (1, 50, 100):
        await planner.answer(EVERYTHING, {"n": length, "ids": ["lead_" + str(uuid4())]}, None, world.callers[0].scope)

    assert len({statement for statement, _ in counting.statements}) == 3


async def test_what_is_not_asked_for_is_not_counted(world: World) -> None:
    counting = Counting()
    planner = Planner(world.core, counting)
    list_ = "{ edges { node { id messages { %s edges { node { id } } } } } }"

    for document in ("leads " + list_ % "", "leads " + list_ % "totalCount", "leads { totalCount }"):
        await planner.answer("{ " + document + " }", {}, None, world.callers[0].scope)

    assert [statement.lower().count("count(") for statement, _ in counting.statements] == [0, 1, 1]


def _figures() -> tuple[float, float]:
    """How many statements were written, and how many are kept."""
    compiled = REGISTRY.get_sample_value("lead_plans_compiled_total")
    kept = REGISTRY.get_sample_value("lead_plans_kept")
    assert compiled is not None
    assert kept is not None
    return compiled, kept


async def test_plans_are_bounded_and_measured(world: World) -> None:
    planner = Planner(world.core, Counting(), most_plans=2)
    fields, before = ("id", "name", "email"), _figures()[0]

    async def ask(name: str) -> None:
        await planner.answer(f"{{ leads {{ edges {{ node {{ {name} }} }} }} }}", {}, None, world.callers[0].scope)

    for name in (*fields, fields[-1], fields[-2]):
        await ask(name)
    assert _figures() == (before + 3, 2)
    await ask(fields[0])

    assert _figures() == (before + 4, 2)


async def test_a_limited_caller_has_plans_of_its_own(world: World) -> None:
    counting = Counting()
    planner = Planner(world.core, counting)

    for caller in world.callers[:4]:
        await planner.answer("{ leads { totalCount } }", {}, None, caller.scope)

    found = [statement.partition("set_config")[0] for statement, _ in counting.statements]
    assert ["location_id" in statement for statement in found] == [False, True, True, True]
    assert ["location_id = any(" in statement for statement in found] == [False, False, True, True]


class _Away:
    async def fetch(self, statement: str, values: Sequence[Any]) -> str | None:  # noqa: ARG002 - the protocol's signature
        raise asyncpg.QueryCanceledError("secret words")


async def test_a_database_that_is_away_is_a_masked_error_at_its_field(world: World) -> None:
    planner = Planner(world.core, _Away())
    scope = world.callers[0].scope

    nullable = await planner.answer("{ t: tenant { slug } }", {}, None, scope)
    needed = await planner.answer("{ tenant { slug } leads { totalCount } }", {}, None, scope)

    assert nullable is not None
    assert needed is not None
    [error] = json.loads(nullable)["errors"]
    assert (json.loads(nullable)["data"], json.loads(needed)["data"]) == ({"t": None}, None)
    assert (error["path"], error["extensions"]["code"]) == (["t"], "INTERNAL")
    assert error["extensions"]["id"] in error["message"]
    assert "secret" not in str(error)


async def test_a_statement_that_takes_too_long_leaves_the_connection_usable(database: TestDatabase) -> None:
    reader = Reader(database.urls.app, size=1, timeouts=Timeouts(statement=50))
    try:
        with pytest.raises(asyncpg.QueryCanceledError):
            await reader.fetch("SELECT pg_sleep(5)::text", ())
        assert await reader.fetch("SELECT 'still here'", ()) == "still here"
    finally:
        await reader.close()


# Fail closed

ARGUMENTS = {
    "lead": ("Lead", "(id: $id)"),
    "location": ("Location", "(id: $id)"),
    "node": ("Lead", "(id: $id)"),
    "nodes": ("Lead", "(ids: [$id])"),
    "appointment": ("Appointment", "(id: $id)"),
    "chatSession": ("ChatSession", "(id: $id)"),
    "services": ("Location", "(locationId: $id)"),
    "touchSchedule": ("Location", "(locationId: $id)"),
    "report": ("Location", '(from: "2026-03-01", to: "2026-03-31", locationIds: [$id])'),
}
SELECTIONS = {"report": "{ byLocation { leads } }"}


async def _statement(world: World, root: str, scope: Scope) -> tuple[str, Sequence[Any]]:
    """The statement that reads the owner's own rows by this root field."""
    counting = Counting()
    kind, arguments = ARGUMENTS.get(root, ("Lead", ""))
    head = "query($id: ID!)" if arguments else "query"
    answered = world.core.query_type.fields[root].type  # type: ignore[union-attr]  # there is a query type
    below = "{ totalCount edges { node { __typename } } }" if "Connection" in str(answered) else "{ __typename }"
    below = SELECTIONS.get(root, below)
    mine = world.samples.ids[kind][1]
    variables = {"id": mine} if arguments else {}
    text = f"{head} {{ {root}{arguments} {below} }}"
    await Planner(world.core, counting).answer(text, variables, None, scope)
    [statement] = counting.statements
    return statement


OURS = {
    *(
        "leads",
        "locations",
        "tenant",
        "messages",
        "lead",
        "location",
        "node",
        "nodes",
        "services",
        "appointments",
        "users",
    ),
    *("chatSessions", "chatSession", "report", "touchSchedule", "viewer", "mySessions"),
}
"""Root fields that find something of the seed."""


def _with_tenant(statement: tuple[str, Sequence[Any]], scope: Scope, tenant: str) -> list[Any]:
    return [tenant if value == str(scope.tenant_id) else value for value in statement[1]]


def _is_nothing(text: str | None) -> bool:
    """Null, an empty page, a report of nobody, or a list of nulls."""
    read = json.loads(text) if text else None
    return read in (None, [], [None], {"byLocation": []}) or (
        isinstance(read, dict) and read.get("edges") == [] and read["totalCount"] == 0
    )


@pytest.mark.parametrize("root", sorted(ROOTS))
async def test_without_a_tenant_nothing_is_read(world: World, database: TestDatabase, root: str) -> None:
    """As on a connection of its own: no setting is left from anybody."""
    scope = world.callers[0].scope
    statement = await _statement(world, root, scope)
    connection = await asyncpg.connect(make_url(database.urls.app).render_as_string(hide_password=False))
    try:
        own = await connection.fetchval(*_call(statement))
        foreign = await connection.fetchval(
            statement[0], *_with_tenant(statement, scope, str(world.callers[-1].scope.tenant_id))
        )
        unknown = await connection.fetchval(statement[0], *_with_tenant(statement, scope, str(uuid4())))
        for garbage in ("", "nobody", "*"):
            with suppress(asyncpg.InvalidTextRepresentationError):
                found = await connection.fetchval(statement[0], *_with_tenant(statement, scope, garbage))
                assert _is_nothing(found)
        left = await connection.fetchval("SELECT coalesce(current_setting('app.tenant_id', true), '')")
    finally:
        await connection.close()

    assert root not in OURS or not _is_nothing(own)
    assert root not in ARGUMENTS or _is_nothing(foreign)
    assert _is_nothing(unknown)
    assert left == ""


@pytest.mark.parametrize("root", sorted(ROOTS))
async def test_what_another_left_in_the_session_does_not_count(world: World, database: TestDatabase, root: str) -> None:
    """The statement's own tenant is set before anything is read, also once Postgres has a generic plan of it."""
    scope = world.callers[0].scope
    statement = await _statement(world, root, scope)
    connection = await asyncpg.connect(make_url(database.urls.app).render_as_string(hide_password=False))
    try:
        own = await connection.fetchval(*_call(statement))
        await connection.execute(f"SET app.tenant_id = '{world.callers[-1].scope.tenant_id}'")
        again = [await connection.fetchval(*_call(statement)) for _ in range(8)]
    finally:
        await connection.close()

    assert {own} == set(again)


MANY_LEADS = """INSERT INTO leads (tenant_id, location_id, source, enrolled_at, created_at, last_activity_at)
SELECT $1, ($2::uuid[])[1 + n % 4], 'API', now(), now() - n * interval '1 minute', now() FROM generate_series(1, 20000) AS n"""


async def test_the_first_page_of_one_location_is_read_in_the_order_of_its_index(
    world: World, database: TestDatabase, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    tenant = await make_tenant(tenancy, secret_box, locations=4)
    counting = Counting()
    scope = Scope(tenant.id, frozenset({tenant.location}), "agent", Role.AGENT)
    await Planner(world.core, counting).answer("{ leads { edges { node { id name } } } }", {}, None, scope)
    connection = await asyncpg.connect(database.admin_url)
    try:
        await connection.execute(MANY_LEADS, tenant.id, list(tenant.locations))
        await connection.execute("ANALYZE leads; SET ROLE lead_app; SET plan_cache_mode = force_generic_plan")
        plan = await connection.fetch(f"EXPLAIN (VERBOSE) {_with_literals(*counting.statements[0])}")
    finally:
        await connection.close()

    text = "\n".join(row[0] for row in plan)
    assert text.startswith("Subquery Scan on scope")
    assert "using leads_at_location" in text
    assert "Sort" not in text


def _call(statement: tuple[str, Sequence[Any]]) -> tuple[Any, ...]:
    return (statement[0], *statement[1])


def _with_literals(sql: str, values: Sequence[Any]) -> str:
    for number in range(len(values), 0, -1):
        value = values[number - 1]
        sql = sql.replace(f"${number}:", f"'{value}':")
    return sql
