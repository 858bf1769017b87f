"""What has to be said to other systems about appointments: written with the change, sent after its commit."""

from __future__ import annotations

from alembic import op

from lead_orchestrator.tenancy.policies import protect

revision = "0009"
down_revision = "0008"

TABLE = """
CREATE TABLE outbox (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  appointment_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('SHOPMONKEY_APPOINTMENT', 'GOOGLE_EVENT')),
  version integer NOT NULL DEFAULT 1 CHECK (version >= 1),
  payload jsonb NOT NULL DEFAULT '{}',
  status text NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'DONE', 'FAILED')),
  attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  lease_until timestamptz,
  last_error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, appointment_id, kind),
  FOREIGN KEY (tenant_id, location_id, appointment_id) REFERENCES appointments (tenant_id, location_id, id)
)"""
DUE = "CREATE INDEX outbox_due ON outbox (tenant_id, next_attempt_at) WHERE status = 'PENDING'"

SIGNATURE = "lookup_due_outbox()"
LOOKUP = """
CREATE FUNCTION lookup_due_outbox() RETURNS TABLE (tenant_id uuid) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
SELECT t.id FROM tenants t WHERE t.status = 'ACTIVE' AND EXISTS (
SELECT FROM outbox o WHERE o.tenant_id = t.id AND o.status = 'PENDING' AND o.next_attempt_at <= now())
$$"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(TABLE)
    op.execute(DUE)
    for statement in protect("outbox"):
        op.execute(statement)
    op.execute("GRANT CREATE ON SCHEMA public TO lead_lookup")
    op.execute(LOOKUP)
    op.execute(f"REVOKE ALL ON FUNCTION {SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {SIGNATURE} TO lead_app")
    op.execute(f"ALTER FUNCTION {SIGNATURE} OWNER TO lead_lookup")
    op.execute("REVOKE CREATE ON SCHEMA public FROM lead_lookup")


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {SIGNATURE}")
    op.execute("DROP TABLE outbox")
