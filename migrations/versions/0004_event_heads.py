"""The look-up of where tenants' events are: one statement a second finds every wake-up that was lost."""

from __future__ import annotations

from alembic import op

from lead_orchestrator.tenancy.policies import TABLES, policies_of

revision = "0004"
down_revision = "0003"

LOOKUP = """
CREATE FUNCTION lookup_heads(tenants uuid[]) RETURNS TABLE (tenant_id uuid, "position" bigint) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
SELECT h.tenant_id, h.position FROM tenant_heads h WHERE h.tenant_id = ANY (tenants)
$$"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    # A database whose first revision ran with today's policies has this one already.
    for policy in policies_of("tenant_heads"):
        if policy.role == "lead_lookup":
            op.execute(f"DROP POLICY IF EXISTS {policy.name} ON tenant_heads")
            op.execute(policy.ddl("tenant_heads"))
    for privilege in TABLES["tenant_heads"].lookup:
        op.execute(f"GRANT {privilege} ON tenant_heads TO lead_lookup")
    op.execute("GRANT CREATE ON SCHEMA public TO lead_lookup")
    op.execute(LOOKUP)
    op.execute("REVOKE ALL ON FUNCTION lookup_heads(uuid[]) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION lookup_heads(uuid[]) TO lead_app")
    op.execute("ALTER FUNCTION lookup_heads(uuid[]) OWNER TO lead_lookup")
    op.execute("REVOKE CREATE ON SCHEMA public FROM lead_lookup")


def downgrade() -> None:
    op.execute("DROP FUNCTION lookup_heads(uuid[])")
