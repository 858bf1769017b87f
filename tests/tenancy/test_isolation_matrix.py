"""Nobody reaches a row that is not theirs, on any table that exists, and the tests would notice if somebody did."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from tests.database import Cluster
from tests.tenancy.matrix import ATTACKERS, DENIED, TWINS, Caller, Matrix, open_matrix
from tests.tenancy.rows import Table, make_row

UNIQUE_VIOLATED = "23505"
REFERENCE_VIOLATED = "23503"

# Those of the look-up functions' role are used by the functions only, whose tests would fail without them.
POLICIES = """
SELECT tablename::text, policyname::text, permissive, roles[1]::text AS role, cmd, qual, with_check FROM pg_policies
WHERE NOT 'lead_lookup' = ANY (roles)"""


@pytest_asyncio.fixture(scope="module")
async def matrix(cluster: Cluster) -> AsyncIterator[Matrix]:
    async with cluster.clone("matrix") as database, open_matrix(database) as matrix:
        yield matrix


def _of_tenant(matrix: Matrix) -> list[Table]:
    return [table for table in matrix.schema.tables.values() if table.tenant_column == "tenant_id"]


def _service(tenant: object) -> dict[str, str]:
    return {"tenant_id": str(tenant), "location_ids": "*"}


async def test_rows_of_the_whole_tenant_are_among_the_targets(matrix: Matrix) -> None:
    assert "touch_templates" in matrix.shared


async def test_no_role_is_above_the_policies(matrix: Matrix) -> None:
    above = """SELECT rolsuper OR rolbypassrls OR rolcreaterole OR EXISTS (
      SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND pg_has_role(current_user, relowner, 'MEMBER'))
      FROM pg_roles WHERE rolname = current_user"""

    for role in ("lead_app", "lead_visitor", "lead_platform"):
        connection = matrix.roles[role]
        assert await connection.fetchval("SELECT current_user = $1 AND session_user = $1", role)
        assert await connection.fetchval(above) is False


async def test_the_matrix_covers_every_table_with_a_policy(matrix: Matrix) -> None:
    rows = await matrix.admin.fetch("SELECT DISTINCT tablename::text FROM pg_policies")

    assert {row["tablename"] for row in rows} == set(matrix.schema.tables)


@pytest.mark.parametrize("twin", TWINS, ids=lambda caller: caller.name)
async def test_whom_it_belongs_to_may(matrix: Matrix, twin: Caller) -> None:
    assert await matrix.violations([twin]) == []


@pytest.mark.parametrize("attacker", ATTACKERS, ids=lambda caller: caller.name)
async def test_nobody_else_may(matrix: Matrix, attacker: Caller) -> None:
    assert await matrix.violations([attacker]) == []


async def test_a_row_is_not_moved_to_another_tenant(matrix: Matrix) -> None:
    foreign = matrix.foreign.rows["tenants"]["id"]

    for table in _of_tenant(matrix):
        if await matrix.may("lead_app", "UPDATE", table):
            row = matrix.targets[table.name].row
            verb = f"UPDATE {table.name} SET tenant_id = '{foreign}'"  # noqa: S608 - names of the catalog
            assert await matrix.change("lead_app", _service(row["tenant_id"]), table, row, verb) == DENIED, table.name


async def test_a_row_is_not_moved_to_a_location_of_others(matrix: Matrix) -> None:
    elsewhere = matrix.other_location.rows["locations"]["id"]

    for table in _of_tenant(matrix):
        column = table.location_column
        if column and await matrix.may("lead_app", "UPDATE", table):
            row = matrix.targets[table.name].row
            settings = {"tenant_id": row["tenant_id"], "location_ids": row[column]}
            verb = f"UPDATE {table.name} SET {column} = '{elsewhere}'"  # noqa: S608 - names of the catalog
            assert await matrix.change("lead_app", settings, table, row, verb) == DENIED, table.name


async def test_an_upsert_onto_a_hidden_row_is_refused_aloud(matrix: Matrix) -> None:
    tried = 0
    for table in _of_tenant(matrix):
        column = table.location_column
        if column is None or not all([await matrix.may("lead_app", c, table) for c in ("INSERT", "UPDATE")]):
            continue
        hidden = matrix.targets[table.name].row
        beside = [unique for unique in table.unique if column not in unique]
        if not beside:  # one row a location: there is no room for another one
            continue
        own = await make_row(matrix.admin, matrix.schema, matrix.other_location, table.name, keep=False)
        agent = {"tenant_id": own["tenant_id"], "location_ids": own[column]}
        for unique in beside:
            tried += 1
            row = own | {name: hidden[name] for name in unique}
            upsert = f"ON CONFLICT ({', '.join(unique)}) DO UPDATE SET tenant_id = excluded.tenant_id"
            assert await matrix.insert("lead_app", agent, table, row, upsert) == DENIED, (table.name, unique)
            service = await matrix.insert("lead_app", _service(own["tenant_id"]), table, row, upsert)
            assert service == 1, (table.name, unique)
    assert tried


async def test_an_upsert_onto_another_tenants_row_is_refused_aloud(matrix: Matrix) -> None:
    for table in _of_tenant(matrix):
        if all([await matrix.may("lead_app", c, table) for c in ("INSERT", "UPDATE")]):
            upsert = f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET tenant_id = excluded.tenant_id"
            row, stranger = matrix.targets[table.name].row, _service(matrix.foreign.rows["tenants"]["id"])
            assert await matrix.insert("lead_app", stranger, table, row, upsert) == DENIED, table.name
            assert await matrix.insert("lead_app", _service(row["tenant_id"]), table, row, upsert) == 1, table.name


async def test_a_row_of_another_tenant_is_not_referenced(matrix: Matrix) -> None:
    tried = 0
    for table in _of_tenant(matrix):
        if not await matrix.may("lead_app", "INSERT", table):
            continue
        new = matrix.targets[table.name].new
        tenant = new["tenant_id"]
        for key in table.foreign_keys:
            parent = matrix.foreign.rows[key.target]
            pairs = zip(key.columns, key.target_columns, strict=True)
            forged = {mine: parent[theirs] for mine, theirs in pairs if mine != "tenant_id"}
            if forged:
                tried += 1
                assert await matrix.insert("lead_app", _service(tenant), table, new | forged) == REFERENCE_VIOLATED, (
                    table.name
                )
    assert tried


async def test_a_unique_key_does_not_tell_of_another_tenants_row(matrix: Matrix) -> None:
    tried = 0
    for table in _of_tenant(matrix):
        if not await matrix.may("lead_app", "INSERT", table):
            continue
        referencing = {column for key in table.foreign_keys for column in key.columns}
        taken, tenant = matrix.targets[table.name].row, matrix.foreign.rows["tenants"]["id"]
        for unique in table.unique:
            if set(unique) <= referencing and "id" not in table.types:  # a row for each parent: the parents differ
                continue
            own = await make_row(matrix.admin, matrix.schema, matrix.foreign, table.name, keep=False)
            same = {name: taken[name] for name in unique if name not in referencing}
            tried += 1
            assert await matrix.insert("lead_app", _service(tenant), table, own | same) == 1, (table.name, unique)
    assert tried


@pytest.mark.parametrize("fault", ["dropped", "always true"])
async def test_the_matrix_finds_every_broken_policy(matrix: Matrix, fault: str) -> None:
    locks, unnoticed = await _locks(matrix), []
    callers = (*TWINS, *ATTACKERS) if fault == "dropped" else (*ATTACKERS, *TWINS)
    for policy in await matrix.admin.fetch(POLICIES):
        if fault == "always true" and policy["qual"] == "true":
            continue
        table, name = policy["tablename"], policy["policyname"]
        await matrix.admin.execute(f"DROP POLICY {name} ON {table}")
        if fault == "always true":
            await matrix.admin.execute(_remade(policy, "true", "true"))
        if not await matrix.notices((c for c in callers if c.role == policy["role"]), table):
            unnoticed.append((table, name))
        await matrix.admin.execute(f"DROP POLICY IF EXISTS {name} ON {table}")
        await matrix.admin.execute(_remade(policy, policy["qual"], policy["with_check"]))

    assert unnoticed == []
    assert await _locks(matrix) == locks


async def _locks(matrix: Matrix) -> list[tuple[object, ...]]:
    """Every policy, and what is in force on every table: they are as before once a fault is mended."""
    policies = "SELECT * FROM pg_policies ORDER BY tablename, policyname"
    tables = "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relkind = 'r' ORDER BY relname"
    return [tuple(row) for statement in (policies, tables) for row in await matrix.admin.fetch(statement)]


def _remade(policy: asyncpg.Record, using: str, check: str) -> str:
    """The statement that makes `policy`, with these expressions where it has any."""
    return (
        f"CREATE POLICY {policy['policyname']} ON {policy['tablename']} AS {policy['permissive']} FOR {policy['cmd']}"
        f" TO {policy['role']}"
        + (f" USING ({using})" if policy["qual"] else "")
        + (f" WITH CHECK ({check})" if policy["with_check"] else "")
    )


@pytest.mark.parametrize(
    ("break_it", "mend_it"),
    [
        ("ALTER TABLE {} NO FORCE ROW LEVEL SECURITY", "ALTER TABLE {} FORCE ROW LEVEL SECURITY"),
        ("ALTER TABLE {} DISABLE ROW LEVEL SECURITY", "ALTER TABLE {} ENABLE ROW LEVEL SECURITY"),
        ("CREATE POLICY extra ON {} TO PUBLIC USING (true)", "DROP POLICY extra ON {}"),
    ],
    ids=["not forced", "disabled", "one policy too many"],
)
async def test_the_matrix_finds_an_open_table(matrix: Matrix, break_it: str, mend_it: str) -> None:
    locks, unnoticed = await _locks(matrix), []
    for table in matrix.schema.tables:
        await matrix.admin.execute(break_it.format(table))
        if not await matrix.notices(reversed(ATTACKERS), table):  # the owner, whom force alone holds, is the last
            unnoticed.append(table)
        await matrix.admin.execute(mend_it.format(table))

    assert unnoticed == []
    assert await _locks(matrix) == locks


async def test_a_new_table_is_covered_by_itself(cluster: Cluster) -> None:
    async with cluster.clone("matrix") as database:
        async with open_matrix(database) as before:
            await before.admin.execute(
                "CREATE TABLE novelty (tenant_id uuid NOT NULL REFERENCES tenants (id), id uuid NOT NULL, note text NOT NULL,"
                " PRIMARY KEY (tenant_id, id)); GRANT SELECT, INSERT ON novelty TO lead_app"
            )
        async with open_matrix(database) as after:
            found = await after.violations(tables=["novelty"])

    assert "SELECT on novelty as another tenant: 1, not 0" in found


async def test_a_new_table_that_cannot_be_filled_says_what_to_add(cluster: Cluster) -> None:
    async with cluster.clone("matrix") as database:
        async with open_matrix(database) as before:
            await before.admin.execute(
                "CREATE TABLE novelty (id uuid PRIMARY KEY, note text NOT NULL CHECK (note = 'a b'))"
            )
        with pytest.raises(AssertionError, match=r"(?s)no row of novelty .* add what it needs to OVERRIDES"):
            async with open_matrix(database):
                pass
