"""Calendars outside: permissions at Google, and the times that are taken there and in ShopMonkey."""

from __future__ import annotations

from alembic import op

from lead_orchestrator.tenancy.policies import protect

revision = "0012"
down_revision = "0011"

CREDENTIALS = """
CREATE TABLE google_credentials (
  tenant_id uuid NOT NULL,
  location_id uuid NOT NULL,
  status text NOT NULL CHECK (status IN ('PENDING', 'CONNECTED', 'ERROR', 'DISCONNECTED', 'ENDING')),
  generation integer NOT NULL DEFAULT 0 CHECK (generation >= 0),
  email text,
  refresh_token bytea,
  access_token bytea,
  access_expires_at timestamptz,
  consent_hash bytea,
  consent_verifier bytea,
  consent_by text,
  sync_token text,
  synced_at timestamptz,
  next_sync_at timestamptz NOT NULL DEFAULT now(),
  failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
  error text,
  channel_id text,
  channel_resource_id text,
  channel_expires_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, location_id),
  FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id)
)"""
EVENTS = """
CREATE TABLE google_calendar_events (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  event_id text NOT NULL,
  during tstzrange NOT NULL CHECK (NOT isempty(during)),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, location_id, event_id),
  FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id)
)"""
APPOINTMENTS = """
CREATE TABLE shopmonkey_appointments (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  external_id text NOT NULL,
  bay smallint NOT NULL,
  during tstzrange NOT NULL CHECK (NOT isempty(during)),
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id)
)"""
INDEXES = (
    "CREATE INDEX google_credentials_due ON google_credentials (tenant_id, next_sync_at)",
    "CREATE INDEX google_calendar_events_busy ON google_calendar_events USING gist (tenant_id, location_id, during)",
    "CREATE INDEX shopmonkey_appointments_busy ON shopmonkey_appointments USING gist (tenant_id, location_id, during)",
)
COLUMNS = (
    """ALTER TABLE locations ADD COLUMN calendar_connected boolean NOT NULL DEFAULT false,
       ADD COLUMN crm_calendar_at timestamptz, ADD COLUMN crm_calendar_next timestamptz NOT NULL DEFAULT now()""",
    "ALTER TABLE appointments ADD COLUMN sync_error text",
)

SIGNATURE = "lookup_due_calendars()"
LOOKUP = """
CREATE FUNCTION lookup_due_calendars() RETURNS TABLE (tenant_id uuid) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
SELECT t.id FROM tenants t WHERE t.status = 'ACTIVE' AND EXISTS (
SELECT FROM google_credentials c WHERE c.tenant_id = t.id AND c.status IN ('CONNECTED', 'ERROR', 'ENDING')
AND c.next_sync_at <= now())
$$"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statement in (CREDENTIALS, EVENTS, APPOINTMENTS, *INDEXES, *COLUMNS):
        op.execute(statement)
    for table in ("google_credentials", "google_calendar_events", "shopmonkey_appointments"):
        for statement in protect(table):
            op.execute(statement)
    op.execute("GRANT CREATE ON SCHEMA public TO lead_lookup")
    op.execute(LOOKUP)
    op.execute(f"REVOKE ALL ON FUNCTION {SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {SIGNATURE} TO lead_app")
    op.execute(f"ALTER FUNCTION {SIGNATURE} OWNER TO lead_lookup")
    op.execute("REVOKE CREATE ON SCHEMA public FROM lead_lookup")


def downgrade() -> None:
    raise NotImplementedError("0012 cannot be undone: restore the database from a backup instead")
