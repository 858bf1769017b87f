"""Administration: how far a franchise's onboarding has come, and its limits."""

from __future__ import annotations

from alembic import op

from lead_orchestrator.tenancy.policies import protect

revision = "0016"
down_revision = "0015"

# `steps` names what is done; whoever takes the next one holds the row until it has committed.
ONBOARDINGS = """
CREATE TABLE onboardings (
  tenant_id uuid PRIMARY KEY REFERENCES tenants (id),
  subject text NOT NULL,
  idempotency_key text,
  request_hash bytea NOT NULL,
  steps text[] NOT NULL DEFAULT '{}',
  started_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz
)"""
# Null is what every franchise has.
LIMITS = """
ALTER TABLE tenants
  ADD COLUMN assistant_token_budget integer CHECK (assistant_token_budget >= 0),
  ADD COLUMN requests_per_minute integer CHECK (requests_per_minute >= 1),
  ADD COLUMN messages_per_day integer CHECK (messages_per_day >= 0)"""
ACCOUNTS = """
ALTER TABLE tenant_messaging_configs
  ADD COLUMN sms_checked_at timestamptz,
  ADD COLUMN email_checked_at timestamptz,
  ADD COLUMN whatsapp_checked_at timestamptz"""
# What waits of a suspended franchise is kept; what its customers wrote is read at once, so that no opt-out waits.
DUE_EVENTS = """
CREATE FUNCTION lookup_due_events() RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT t.id FROM tenants t WHERE EXISTS (
  SELECT FROM webhook_events e WHERE e.tenant_id = t.id AND e.status = 'RECEIVED' AND e.next_attempt_at <= now()
  AND (t.status = 'ACTIVE' OR e.source NOT LIKE 'shopmonkey%'))$$"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(ONBOARDINGS)
    for statement in protect("onboardings"):
        op.execute(statement)
    op.execute(LIMITS)
    op.execute(ACCOUNTS)
    op.execute("GRANT SELECT (source) ON webhook_events TO lead_lookup")
    op.execute("GRANT CREATE ON SCHEMA public TO lead_lookup")
    op.execute("DROP FUNCTION lookup_due_events()")
    op.execute(DUE_EVENTS)
    op.execute("REVOKE ALL ON FUNCTION lookup_due_events() FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION lookup_due_events() TO lead_app")
    op.execute("ALTER FUNCTION lookup_due_events() OWNER TO lead_lookup")
    op.execute("REVOKE CREATE ON SCHEMA public FROM lead_lookup")


def downgrade() -> None:
    raise NotImplementedError("0016 cannot be undone: restore the database from a backup instead")
