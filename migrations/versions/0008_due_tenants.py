"""Finding the tenants with due messages: a walk over the index that takes as many steps as tenants are asked for."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"

SIGNATURE = "lookup_due_messages(after uuid, most integer)"
# Each step is one descent into the index (tenant_id, due_at): PostgreSQL 18 skips tenants whose messages only wait.
LOOKUP = """
CREATE FUNCTION lookup_due_messages(after uuid, most integer) RETURNS TABLE (tenant_id uuid) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
WITH RECURSIVE walk (tenant_id, active) AS (
  SELECT coalesce(after, '00000000-0000-0000-0000-000000000000'), false
  UNION ALL
  SELECT step.tenant_id, (SELECT t.status = 'ACTIVE' FROM tenants t WHERE t.id = step.tenant_id)
  FROM walk, LATERAL (
    SELECT m.tenant_id FROM scheduled_messages m
    WHERE m.tenant_id > walk.tenant_id AND m.status = 'SCHEDULED' AND m.due_at <= app_now()
    ORDER BY m.tenant_id LIMIT 1) step)
SELECT w.tenant_id FROM walk w WHERE w.active LIMIT most
$$"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("GRANT CREATE ON SCHEMA public TO lead_lookup")
    op.execute(LOOKUP)
    op.execute(f"REVOKE ALL ON FUNCTION {SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {SIGNATURE} TO lead_app")
    op.execute(f"ALTER FUNCTION {SIGNATURE} OWNER TO lead_lookup")
    op.execute("REVOKE CREATE ON SCHEMA public FROM lead_lookup")
    op.execute("DROP FUNCTION lookup_due_messages()")


def downgrade() -> None:
    raise NotImplementedError("0008 replaces a function; restore the database from a backup instead")
