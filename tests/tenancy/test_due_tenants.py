"""What it takes to find the tenants with due messages does not depend on how many messages wait, or tenants there are."""

from __future__ import annotations

import json

import asyncpg

from tests.database import TestDatabase

PAGE = 10
FILL = """
  INSERT INTO scheduled_messages (tenant_id, location_id, lead_id, kind, channel, touch_number, due_at, created_at)
  SELECT t.id, uuidv7(), uuidv7(), 'TOUCH', 'SMS', 1, app_now() + (n - 2) * interval '1 hour', now()
  FROM tenants t, generate_series(1, $1::int) n"""
LOOK = "SELECT * FROM lookup_due_messages(NULL, 10)"


async def pages_read(connection: asyncpg.Connection, tenants: int, messages: int) -> int:
    """Pages of the database that one page of due tenants takes, among so many tenants with so many messages each."""
    await connection.execute("DELETE FROM scheduled_messages")
    await connection.execute("DELETE FROM tenants")
    added = "INSERT INTO tenants (name, slug) SELECT 'Due', 'due-' || n FROM generate_series(1, $1::int) n"
    await connection.execute(added, tenants)
    await connection.execute(FILL, messages)
    await connection.execute("VACUUM ANALYZE scheduled_messages")
    assert len(await connection.fetch(LOOK)) == PAGE
    [plan] = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {LOOK}"))
    return int(plan["Plan"]["Shared Hit Blocks"]) + int(plan["Plan"]["Shared Read Blocks"])


async def test_finding_due_tenants_costs_the_same_among_many_as_among_few(fresh_database: TestDatabase) -> None:
    connection = await asyncpg.connect(fresh_database.admin_url)
    try:
        await connection.execute("SET session_replication_role = replica")  # rows of no lead will do
        few = await pages_read(connection, PAGE, 10)
        many = await pages_read(connection, 20 * PAGE, 200)
    finally:
        await connection.close()

    assert many <= 2 * few
