"""Shops as the public names them: by their id, and by the sites that may call for them."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"

LOOKUPS = {
    "lookup_place(location uuid)": (
        "TABLE (tenant_id uuid, active boolean)",
        (
            "SELECT r.tenant_id, t.status = 'ACTIVE' FROM routes r JOIN tenants t ON t.id = r.tenant_id"
            " WHERE r.kind = 'slug' AND r.location_id = location LIMIT 1"
        ),
    ),
    "lookup_origin(origin text)": (
        "boolean",
        (
            "SELECT EXISTS (SELECT FROM locations l JOIN tenants t ON t.id = l.tenant_id"
            " WHERE l.allowed_origins @> ARRAY[origin] AND t.status = 'ACTIVE')"
        ),
    ),
}


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("CREATE INDEX routes_slug_of_location ON routes (location_id) WHERE kind = 'slug'")
    op.execute("CREATE INDEX locations_origins ON locations USING gin (allowed_origins)")
    op.execute("DROP POLICY IF EXISTS lookup_reads ON locations")  # a new database has it from 0001
    op.execute("CREATE POLICY lookup_reads ON locations AS PERMISSIVE FOR SELECT TO lead_lookup USING (true)")
    op.execute("GRANT SELECT (tenant_id, allowed_origins) ON locations TO lead_lookup")
    op.execute("GRANT CREATE ON SCHEMA public TO lead_lookup")
    for signature, (returns, body) in LOOKUPS.items():
        op.execute(
            f"CREATE FUNCTION {signature} RETURNS {returns} LANGUAGE sql STABLE SECURITY DEFINER"
            f" SET search_path = pg_catalog, public, pg_temp AS $${body}$$"
        )
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO lead_app")
        op.execute(f"ALTER FUNCTION {signature} OWNER TO lead_lookup")
    op.execute("REVOKE CREATE ON SCHEMA public FROM lead_lookup")


def downgrade() -> None:
    raise NotImplementedError("0013 cannot be undone: restore the database from a backup instead")
