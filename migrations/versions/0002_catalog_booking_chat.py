"""The catalog, closures, bays and appointments, and the conversations of the chat, each behind its policies."""

from __future__ import annotations

import re

from alembic import op

from lead_orchestrator.tenancy.policies import protect

revision = "0002"
down_revision = "0001"

CHANNELS = "('SMS', 'EMAIL', 'WHATSAPP', 'WEB_CHAT')"

SCHEDULE = """
ALTER TABLE touch_templates ADD COLUMN whatsapp_template text;
ALTER TABLE touch_templates ADD COLUMN version integer NOT NULL DEFAULT 1 CHECK (version >= 1);
"""

TABLES = f"""
CREATE TABLE service_catalog (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid,
  shopmonkey_id text,
  name text NOT NULL CHECK (name <> ''),
  description text,
  category text,
  price_cents bigint CHECK (price_cents >= 0),
  currency text NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z]{{3}}$'),
  duration_minutes integer NOT NULL CHECK (duration_minutes >= 1 AND duration_minutes <= 10080),
  duration_is_set boolean NOT NULL DEFAULT false,
  bookable boolean NOT NULL DEFAULT true,
  switched_off boolean NOT NULL DEFAULT false,
  active boolean NOT NULL GENERATED ALWAYS AS (bookable AND NOT switched_off) STORED,
  display_order integer NOT NULL DEFAULT 0,
  synced_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id)
);
CREATE UNIQUE INDEX service_catalog_shopmonkey ON service_catalog (tenant_id, location_id, shopmonkey_id) NULLS NOT DISTINCT
  WHERE shopmonkey_id IS NOT NULL;
CREATE UNIQUE INDEX service_catalog_own_name ON service_catalog (tenant_id, location_id, lower(name)) NULLS NOT DISTINCT
  WHERE shopmonkey_id IS NULL;
CREATE INDEX service_catalog_order ON service_catalog (tenant_id, location_id, display_order, id);

CREATE TABLE location_closures (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  reason text,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  CHECK (ends_at > starts_at),
  FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id)
);
CREATE INDEX location_closures_at ON location_closures (tenant_id, location_id, starts_at, id);

CREATE TABLE bays (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  number smallint NOT NULL CHECK (number >= 1 AND number <= 100),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, location_id, number),
  FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE appointments (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  lead_id uuid,
  bay smallint NOT NULL,
  during tstzrange NOT NULL CHECK (NOT isempty(during) AND lower_inc(during) AND NOT upper_inc(during)),
  starts_at timestamptz NOT NULL GENERATED ALWAYS AS (lower(during)) STORED,
  ends_at timestamptz NOT NULL GENERATED ALWAYS AS (upper(during)) STORED,
  status text NOT NULL CHECK (status IN ('CONFIRMED', 'HELD', 'CANCELLED', 'COMPLETED', 'NO_SHOW')),
  hold_expires_at timestamptz,
  notes text,
  total_cents bigint CHECK (total_cents >= 0),
  currency text NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z]{{3}}$'),
  cancel_reason text,
  manage_token_hash bytea,
  shopmonkey_appointment_id text,
  sync_status text NOT NULL DEFAULT 'NOT_NEEDED' CHECK (sync_status IN ('NOT_NEEDED', 'PENDING', 'SYNCED', 'FAILED')),
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, location_id, id),
  CHECK (status <> 'HELD' OR hold_expires_at IS NOT NULL),
  FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id),
  FOREIGN KEY (tenant_id, location_id, lead_id) REFERENCES leads (tenant_id, location_id, id),
  FOREIGN KEY (tenant_id, location_id, bay) REFERENCES bays (tenant_id, location_id, number),
  CONSTRAINT appointments_do_not_overlap EXCLUDE USING gist (tenant_id WITH =, location_id WITH =, bay WITH =, during WITH &&)
    WHERE (status IN ('HELD', 'CONFIRMED'))
);
CREATE UNIQUE INDEX appointments_shopmonkey ON appointments (tenant_id, shopmonkey_appointment_id)
  WHERE shopmonkey_appointment_id IS NOT NULL;
CREATE UNIQUE INDEX appointments_manage ON appointments (tenant_id, manage_token_hash) WHERE manage_token_hash IS NOT NULL;
CREATE INDEX appointments_latest ON appointments (tenant_id, starts_at DESC, id DESC);
CREATE INDEX appointments_at_location ON appointments (tenant_id, location_id, starts_at DESC, id DESC);
CREATE INDEX appointments_lead ON appointments (tenant_id, lead_id, starts_at DESC, id DESC);
CREATE INDEX appointments_holds ON appointments (tenant_id, location_id, hold_expires_at) WHERE status = 'HELD';

CREATE TABLE appointment_services (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  appointment_id uuid NOT NULL,
  service_id uuid NOT NULL,
  position smallint NOT NULL,
  name text NOT NULL,
  price_cents bigint,
  duration_minutes integer NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, appointment_id, position),
  FOREIGN KEY (tenant_id, location_id, appointment_id) REFERENCES appointments (tenant_id, location_id, id),
  FOREIGN KEY (tenant_id, service_id) REFERENCES service_catalog (tenant_id, id)
);
CREATE INDEX appointment_services_service ON appointment_services (tenant_id, service_id);

CREATE TABLE chat_sessions (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  lead_id uuid,
  channel text NOT NULL CHECK (channel IN {CHANNELS}),
  state text NOT NULL DEFAULT 'ASSISTANT' CHECK (state IN ('ASSISTANT', 'HUMAN', 'CLOSED')),
  assigned_to uuid,
  version bigint NOT NULL DEFAULT 0,
  unread integer NOT NULL DEFAULT 0 CHECK (unread >= 0),
  created_at timestamptz NOT NULL,
  last_message_at timestamptz,
  active_at timestamptz NOT NULL GENERATED ALWAYS AS (coalesce(last_message_at, created_at)) STORED,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, location_id, id),
  FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id),
  FOREIGN KEY (tenant_id, location_id, lead_id) REFERENCES leads (tenant_id, location_id, id),
  FOREIGN KEY (tenant_id, assigned_to) REFERENCES users (tenant_id, id)
);
CREATE INDEX chat_sessions_latest ON chat_sessions (tenant_id, active_at DESC, id DESC);
CREATE INDEX chat_sessions_at_location ON chat_sessions (tenant_id, location_id, active_at DESC, id DESC);
CREATE INDEX chat_sessions_lead ON chat_sessions (tenant_id, lead_id, active_at DESC, id DESC);

CREATE TABLE chat_messages (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  session_id uuid NOT NULL,
  version bigint NOT NULL,
  role text NOT NULL CHECK (role IN ('USER', 'ASSISTANT', 'SYSTEM', 'STAFF')),
  text text NOT NULL,
  client_id text,
  slots jsonb,
  services jsonb,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, session_id, version),
  FOREIGN KEY (tenant_id, location_id, session_id) REFERENCES chat_sessions (tenant_id, location_id, id)
);
CREATE UNIQUE INDEX chat_messages_client ON chat_messages (tenant_id, session_id, client_id) WHERE client_id IS NOT NULL;
"""

# A location has as many bays as it says; one that is given up keeps its row, for the appointments that were in it.
BAYS = """
CREATE FUNCTION number_bays() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO bays (tenant_id, location_id, number) SELECT NEW.tenant_id, NEW.id, n FROM generate_series(1, NEW.bays) n
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION number_bays() FROM PUBLIC;
CREATE TRIGGER number_bays AFTER INSERT OR UPDATE OF bays ON locations FOR EACH ROW EXECUTE FUNCTION number_bays();
"""

# The owner sees no row of a table that is under FORCE, and this one it has to read.
EXISTING_BAYS = [
    "ALTER TABLE locations NO FORCE ROW LEVEL SECURITY",
    "INSERT INTO bays (tenant_id, location_id, number) SELECT tenant_id, id, n FROM locations, generate_series(1, bays) n",
    "ALTER TABLE locations FORCE ROW LEVEL SECURITY",
]

PROTECTED = [
    "service_catalog",
    "location_closures",
    "bays",
    "appointments",
    "appointment_services",
    "chat_sessions",
    "chat_messages",
]


def statements(script: str) -> list[str]:
    """The statements of a script whose statements begin in the first column: the driver takes one at a time."""
    return [part for part in re.split(r";\n+(?=(?:CREATE|REVOKE|ALTER)\b|\Z)", script.strip() + "\n") if part.strip()]


def upgrade() -> None:
    for statement in (*statements(SCHEDULE), *statements(TABLES), *statements(BAYS), *EXISTING_BAYS):
        op.execute(statement)
    for table in PROTECTED:
        for statement in protect(table):
            op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("0002 cannot be undone: restore the database from a backup instead")
