"""The spine: tenants, locations, leads, messages and the inbox of webhooks, each behind its policies."""

from __future__ import annotations

import re

from alembic import op

from lead_orchestrator.tenancy.policies import protect

revision = "0001"
down_revision = None

CHANNELS = "('SMS', 'EMAIL', 'WHATSAPP', 'WEB_CHAT')"

TABLES = f"""
CREATE TABLE tenants (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  name text NOT NULL CHECK (name <> ''),
  slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9-]{{0,62}}$'),
  status text NOT NULL DEFAULT 'ACTIVE' CHECK (status IN ('ACTIVE', 'SUSPENDED')),
  status_changed_at timestamptz NOT NULL DEFAULT now(),
  demo_mode boolean NOT NULL DEFAULT true,
  demo_allowlist text[] NOT NULL DEFAULT '{{}}',
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tenant_heads (
  tenant_id uuid PRIMARY KEY REFERENCES tenants (id),
  position bigint NOT NULL DEFAULT 0,
  audit_hash bytea NOT NULL DEFAULT '\\x'
);

CREATE TABLE locations (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  name text NOT NULL CHECK (name <> ''),
  slug text NOT NULL CHECK (slug ~ '^[a-z0-9][a-z0-9-]{{0,62}}$'),
  shopmonkey_location_id text,
  timezone text NOT NULL,
  phone text,
  address text,
  bays integer NOT NULL DEFAULT 1 CHECK (bays BETWEEN 1 AND 100),
  buffer_minutes integer NOT NULL DEFAULT 0 CHECK (buffer_minutes BETWEEN 0 AND 1440),
  lead_time_minutes integer NOT NULL DEFAULT 120 CHECK (lead_time_minutes BETWEEN 0 AND 43200),
  horizon_days integer NOT NULL DEFAULT 60 CHECK (horizon_days BETWEEN 1 AND 365),
  allowed_origins text[] NOT NULL DEFAULT '{{}}',
  survey jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, slug),
  UNIQUE (tenant_id, shopmonkey_location_id)
);

CREATE TABLE location_hours (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  day_of_week smallint NOT NULL CHECK (day_of_week BETWEEN 0 AND 6),
  opens_at time NOT NULL,
  closes_at time NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, location_id, day_of_week, opens_at),
  FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id)
);

CREATE TABLE routes (
  kind text NOT NULL CHECK (kind IN ('shopmonkey_location', 'phone_number', 'whatsapp_number', 'slug', 'mail_host')),
  key text NOT NULL CHECK (key <> ''),
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  location_id uuid,
  PRIMARY KEY (kind, key),
  FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id)
);
CREATE INDEX routes_tenant ON routes (tenant_id);

CREATE TABLE platform_users (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  email text NOT NULL UNIQUE CHECK (email = lower(email)),
  name text,
  password_hash text,
  active boolean NOT NULL DEFAULT true,
  generation integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE unrouted_webhooks (
  id uuid PRIMARY KEY DEFAULT uuidv7(),
  source text NOT NULL,
  route_key text NOT NULL CHECK (length(route_key) <= 200),
  external_id text NOT NULL CHECK (length(external_id) <= 200),
  operation text NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  attempts integer NOT NULL DEFAULT 1,
  replayed_at timestamptz,
  UNIQUE (source, route_key, external_id)
);

CREATE TABLE tenant_crm_configs (
  tenant_id uuid PRIMARY KEY REFERENCES tenants (id),
  api_key bytea,
  webhook_secret bytea,
  previous_webhook_secret bytea,
  previous_secret_valid_until timestamptz,
  lead_workflow_status_ids text[] NOT NULL DEFAULT '{{619813fb2c9c3e8ce527be48,65fb14d76ee665db4d8d2ce0}}',
  lead_name_prefix text NOT NULL DEFAULT 'New Quote',
  next_poll_at timestamptz NOT NULL DEFAULT now(),
  poll_failures integer NOT NULL DEFAULT 0,
  polled_until timestamptz,
  last_error text,
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tenant_crm_configs_due ON tenant_crm_configs (next_poll_at, tenant_id);

CREATE TABLE tenant_messaging_configs (
  tenant_id uuid PRIMARY KEY REFERENCES tenants (id),
  twilio_account_sid text,
  twilio_auth_token bytea,
  twilio_phone_number text,
  twilio_messaging_service_sid text,
  sendgrid_api_key bytea,
  sendgrid_from_email text,
  sendgrid_from_name text,
  quiet_hours_start time NOT NULL DEFAULT '20:00',
  quiet_hours_end time NOT NULL DEFAULT '09:00',
  instant_replies boolean NOT NULL DEFAULT false,
  daily_cap integer NOT NULL DEFAULT 3 CHECK (daily_cap BETWEEN 1 AND 20),
  sms_refused text,
  email_refused text,
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  email text NOT NULL CHECK (email = lower(email)),
  name text,
  role text NOT NULL CHECK (role IN ('OWNER', 'MANAGER', 'AGENT')),
  location_ids uuid[],
  password_hash text,
  active boolean NOT NULL DEFAULT true,
  generation integer NOT NULL DEFAULT 1,
  generation_raised_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, email)
);
CREATE INDEX users_email ON users (email);
CREATE INDEX users_generation_raised ON users (generation_raised_at);

CREATE TABLE sessions (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  user_id uuid NOT NULL,
  refresh_hash bytea NOT NULL,
  user_agent text,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, refresh_hash),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
);
CREATE INDEX sessions_user ON sessions (tenant_id, user_id);
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE touch_templates (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid,
  number smallint NOT NULL CHECK (number BETWEEN 1 AND 13),
  day smallint NOT NULL CHECK (day BETWEEN 0 AND 365),
  channel text NOT NULL CHECK (channel IN {CHANNELS}),
  subject text,
  body text NOT NULL CHECK (body <> ''),
  PRIMARY KEY (tenant_id, id),
  UNIQUE NULLS NOT DISTINCT (tenant_id, location_id, number),
  FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id)
);

CREATE TABLE leads (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  first_name text,
  last_name text,
  email text,
  phone text,
  status text NOT NULL DEFAULT 'NEW' CHECK (status IN ('NEW', 'CONTACTED', 'ENGAGED', 'HOT', 'BOOKED', 'WON', 'LOST', 'OPTED_OUT')),
  source text NOT NULL CHECK (source IN ('SHOPMONKEY_WEBHOOK', 'SHOPMONKEY_POLL', 'SURVEY', 'WEB_CHAT', 'API')),
  enrolment integer NOT NULL DEFAULT 1,
  enrolled_at timestamptz NOT NULL,
  touches_sent integer NOT NULL DEFAULT 0,
  touches_paused boolean NOT NULL DEFAULT false,
  opted_out text[] NOT NULL DEFAULT '{{}}',
  consented text[] NOT NULL DEFAULT '{{}}',
  time_zone text,
  postal_code text,
  vehicle jsonb,
  survey jsonb,
  external_order_id text,
  created_at timestamptz NOT NULL,
  last_activity_at timestamptz NOT NULL,
  first_contacted_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, location_id, id),
  FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id)
);
CREATE INDEX leads_newest ON leads (tenant_id, created_at DESC, id DESC);
CREATE INDEX leads_active ON leads (tenant_id, last_activity_at DESC, id DESC);
CREATE INDEX leads_at_location ON leads (tenant_id, location_id, created_at DESC, id DESC);
CREATE INDEX leads_phone ON leads (tenant_id, phone) WHERE phone IS NOT NULL;
CREATE INDEX leads_email ON leads (tenant_id, email) WHERE email IS NOT NULL;

CREATE TABLE lead_orders (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  lead_id uuid NOT NULL,
  order_id text NOT NULL,
  enrolment integer NOT NULL,
  state text NOT NULL CHECK (state IN ('QUOTE', 'BOOKED', 'WON', 'LOST')),
  version text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, order_id),
  FOREIGN KEY (tenant_id, location_id, lead_id) REFERENCES leads (tenant_id, location_id, id)
);
CREATE INDEX lead_orders_lead ON lead_orders (tenant_id, lead_id);

CREATE TABLE lead_events (
  tenant_id uuid NOT NULL,
  position bigint NOT NULL,
  location_id uuid NOT NULL,
  lead_id uuid NOT NULL,
  kind text NOT NULL,
  at timestamptz NOT NULL,
  detail jsonb,
  PRIMARY KEY (tenant_id, position),
  FOREIGN KEY (tenant_id, location_id, lead_id) REFERENCES leads (tenant_id, location_id, id)
);
CREATE INDEX lead_events_lead ON lead_events (tenant_id, lead_id, position DESC);

CREATE TABLE consents (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  lead_id uuid NOT NULL,
  channel text NOT NULL CHECK (channel IN {CHANNELS}),
  granted boolean NOT NULL,
  source text NOT NULL,
  wording text,
  ip inet,
  at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, location_id, lead_id) REFERENCES leads (tenant_id, location_id, id)
);
CREATE INDEX consents_lead ON consents (tenant_id, lead_id, at DESC);

CREATE TABLE opt_outs (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  channel text NOT NULL CHECK (channel IN {CHANNELS}),
  address_hash bytea NOT NULL,
  reason text NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, channel, address_hash)
);

CREATE TABLE scheduled_messages (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  lead_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('TOUCH', 'REMINDER', 'WELCOME', 'CONFIRMATION', 'REPLY', 'AD_HOC')),
  channel text NOT NULL CHECK (channel IN {CHANNELS}),
  enrolment integer NOT NULL DEFAULT 1,
  touch_number smallint CHECK (touch_number BETWEEN 1 AND 13),
  subject text,
  body text,
  due_at timestamptz NOT NULL,
  status text NOT NULL DEFAULT 'SCHEDULED' CHECK (status IN
    ('SCHEDULED', 'SENDING', 'SENT', 'DELIVERED', 'FAILED', 'UNDELIVERED', 'SUPPRESSED', 'CANCELLED', 'UNKNOWN')),
  decision text,
  attempt integer NOT NULL DEFAULT 0,
  resends integer NOT NULL DEFAULT 0,
  lease_until timestamptz,
  send_before timestamptz,
  sent_at timestamptz,
  delivered_at timestamptz,
  provider_message_id text,
  error_code text,
  segments smallint,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, location_id, id),
  CHECK ((kind = 'TOUCH') = (touch_number IS NOT NULL)),
  FOREIGN KEY (tenant_id, location_id, lead_id) REFERENCES leads (tenant_id, location_id, id)
);
CREATE UNIQUE INDEX scheduled_messages_touch ON scheduled_messages (tenant_id, lead_id, enrolment, touch_number) WHERE kind = 'TOUCH';
CREATE INDEX scheduled_messages_due ON scheduled_messages (tenant_id, due_at, id) WHERE status = 'SCHEDULED';
CREATE INDEX scheduled_messages_open ON scheduled_messages (tenant_id, lease_until) WHERE status IN ('SENDING', 'UNKNOWN');
CREATE INDEX scheduled_messages_lead ON scheduled_messages (tenant_id, lead_id, created_at DESC, id DESC);

CREATE TABLE message_logs (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  lead_id uuid NOT NULL,
  message_id uuid,
  attempt integer NOT NULL,
  direction text NOT NULL CHECK (direction IN ('OUTBOUND', 'INBOUND')),
  channel text NOT NULL CHECK (channel IN {CHANNELS}),
  address text NOT NULL,
  sender text NOT NULL,
  subject text,
  body text NOT NULL,
  status text NOT NULL,
  provider_message_id text,
  error_code text,
  at timestamptz NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, message_id, attempt),
  FOREIGN KEY (tenant_id, location_id, lead_id) REFERENCES leads (tenant_id, location_id, id),
  FOREIGN KEY (tenant_id, location_id, message_id) REFERENCES scheduled_messages (tenant_id, location_id, id)
);
CREATE UNIQUE INDEX message_logs_provider ON message_logs (tenant_id, channel, provider_message_id) WHERE provider_message_id IS NOT NULL;
CREATE INDEX message_logs_lead ON message_logs (tenant_id, lead_id, at DESC);

CREATE TABLE webhook_events (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  source text NOT NULL CHECK (source IN ('shopmonkey', 'shopmonkey_poll', 'shopmonkey_replay')),
  delivery_id text NOT NULL,
  change_key text NOT NULL,
  operation text NOT NULL,
  external_id text NOT NULL,
  external_location_id text,
  status text NOT NULL DEFAULT 'RECEIVED' CHECK (status IN ('RECEIVED', 'PROCESSED', 'IGNORED', 'FAILED')),
  received_at timestamptz NOT NULL DEFAULT now(),
  processed_at timestamptz,
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  attempts integer NOT NULL DEFAULT 0,
  outcome text,
  error text,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, source, delivery_id),
  UNIQUE (tenant_id, change_key),
  FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id)
);
CREATE INDEX webhook_events_due ON webhook_events (tenant_id, next_attempt_at) WHERE status = 'RECEIVED';
CREATE INDEX webhook_events_external ON webhook_events (tenant_id, external_id, processed_at);
CREATE INDEX webhook_events_newest ON webhook_events (tenant_id, received_at DESC, id DESC);

CREATE TABLE job_executions (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  job text NOT NULL,
  started_at timestamptz NOT NULL,
  finished_at timestamptz,
  status text NOT NULL CHECK (status IN ('RUNNING', 'OK', 'FAILED')),
  processed integer NOT NULL DEFAULT 0,
  error text,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX job_executions_newest ON job_executions (tenant_id, started_at DESC, id DESC);

CREATE TABLE audit_log (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  number bigint NOT NULL,
  at timestamptz NOT NULL,
  actor text NOT NULL,
  action text NOT NULL,
  target text,
  detail jsonb,
  hash bytea NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, number)
);
"""

# The clock of the product. In production it is now(); a sandbox moves it by replacing the function as its owner.
CLOCK = """
CREATE FUNCTION app_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT now()';
REVOKE ALL ON FUNCTION app_now() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app_now() TO lead_app, lead_visitor, lead_platform, lead_lookup;
"""

# Taking the head row is what orders events by commit: whoever holds it commits before the next position is given away.
# The hash is over the line's text, which shows its time in the session's zone: the function has one of its own.
APPEND = """
CREATE FUNCTION append_events(events jsonb, audits jsonb) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
  head tenant_heads;
  entry record;
  line jsonb;
BEGIN
  SELECT * INTO STRICT head FROM tenant_heads WHERE tenant_id = tenant FOR NO KEY UPDATE;
  IF jsonb_array_length(events) > 0 THEN
    INSERT INTO lead_events (tenant_id, position, location_id, lead_id, kind, at, detail)
      SELECT tenant, head.position + e.ordinality, (e.value->>'locationId')::uuid, (e.value->>'leadId')::uuid, e.value->>'kind',
        app_now(), nullif(e.value->'detail', 'null')
      FROM jsonb_array_elements(events) WITH ORDINALITY e;
    head.position := head.position + jsonb_array_length(events);
  END IF;
  FOR entry IN SELECT value, ordinality FROM jsonb_array_elements(audits) WITH ORDINALITY LOOP
    head.position := head.position + 1;
    line := entry.value || jsonb_build_object('number', head.position, 'at', app_now());
    head.audit_hash := sha256(head.audit_hash || convert_to(line::text, 'UTF8'));
    INSERT INTO audit_log (tenant_id, number, at, actor, action, target, detail, hash)
      VALUES (tenant, head.position, (line->>'at')::timestamptz, line->>'actor', line->>'action', line->>'target', nullif(line->'detail', 'null'), head.audit_hash);
  END LOOP;
  UPDATE tenant_heads SET position = head.position, audit_hash = head.audit_hash WHERE tenant_id = tenant;
  RETURN head.position;
END $$;
REVOKE ALL ON FUNCTION append_events(jsonb, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_events(jsonb, jsonb) TO lead_app, lead_platform;
"""

# What must be known before a tenant is. Ids only; each is owned by lead_lookup, which may read the few columns it needs.
# name and arguments: what it returns, how it may be planned, its body
LOOKUPS: dict[str, tuple[str, str, str]] = {
    "lookup_route(route_kind text, route_key text)": (
        "TABLE (tenant_id uuid, location_id uuid, active boolean)",
        "LANGUAGE sql STABLE",
        """
        SELECT r.tenant_id, r.location_id, t.status = 'ACTIVE' FROM routes r JOIN tenants t ON t.id = r.tenant_id
        WHERE r.kind = route_kind AND r.key = route_key""",
    ),
    "lookup_tenant(tenant_slug text)": (
        "uuid",
        "LANGUAGE sql STABLE",
        """
        SELECT id FROM tenants WHERE slug = tenant_slug""",
    ),
    # One index probe a tenant, whatever the number of rows that wait.
    "lookup_due_messages()": (
        "TABLE (tenant_id uuid)",
        "LANGUAGE sql STABLE",
        """
        SELECT t.id FROM tenants t WHERE t.status = 'ACTIVE' AND EXISTS (
        SELECT FROM scheduled_messages m WHERE m.tenant_id = t.id AND m.status = 'SCHEDULED' AND m.due_at <= app_now())""",
    ),
    "lookup_open_messages()": (
        "TABLE (tenant_id uuid)",
        "LANGUAGE sql STABLE",
        """
        SELECT t.id FROM tenants t WHERE EXISTS (
        SELECT FROM scheduled_messages m WHERE m.tenant_id = t.id AND m.status IN ('SENDING', 'UNKNOWN') AND m.lease_until <= now())""",
    ),
    "lookup_due_events()": (
        "TABLE (tenant_id uuid)",
        "LANGUAGE sql STABLE",
        """
        SELECT t.id FROM tenants t WHERE EXISTS (
        SELECT FROM webhook_events e WHERE e.tenant_id = t.id AND e.status = 'RECEIVED' AND e.next_attempt_at <= now())""",
    ),
    "lookup_due_polls()": (
        "TABLE (tenant_id uuid)",
        "LANGUAGE sql STABLE",
        """
        SELECT c.tenant_id FROM tenant_crm_configs c JOIN tenants t ON t.id = c.tenant_id
        WHERE t.status = 'ACTIVE' AND c.next_poll_at <= now() ORDER BY c.next_poll_at""",
    ),
    "lookup_tenants()": (
        "TABLE (tenant_id uuid)",
        "LANGUAGE sql STABLE",
        """
        SELECT id FROM tenants ORDER BY id""",
    ),
    # The moment the next message falls due on the product's clock; the sandbox winds to it.
    "lookup_next_due()": (
        "timestamptz",
        "LANGUAGE sql STABLE",
        """
        SELECT min(d.due_at) FROM tenants t CROSS JOIN LATERAL (
        SELECT m.due_at FROM scheduled_messages m WHERE m.tenant_id = t.id AND m.status = 'SCHEDULED' ORDER BY m.due_at LIMIT 1) d
        WHERE t.status = 'ACTIVE'""",
    ),
    "lookup_due_lag()": (
        "double precision",
        "LANGUAGE sql STABLE",
        """
        SELECT greatest(coalesce(extract(epoch FROM app_now() - lookup_next_due()), 0), 0)::double precision""",
    ),
    "lookup_revoked(since timestamptz)": (
        "TABLE (kind text, tenant_id uuid, id uuid, generation integer)",
        "LANGUAGE sql STABLE",
        """
        SELECT 'session', s.tenant_id, s.id, NULL::integer FROM sessions s WHERE s.revoked_at >= since
        UNION ALL SELECT 'user', u.tenant_id, u.id, CASE WHEN u.active THEN u.generation ELSE 2147483647 END
        FROM users u WHERE u.generation_raised_at >= since
        UNION ALL SELECT CASE t.status WHEN 'ACTIVE' THEN 'tenant_active' ELSE 'tenant_suspended' END, t.id, t.id, NULL::integer
        FROM tenants t WHERE t.status_changed_at >= since""",
    ),
    # At most 100 orders wait for one unknown location and 10,000 in all, so that nobody can fill the disk with made-up ids.
    "record_unrouted(from_source text, location_key text, order_id text, what text)": (
        "boolean",
        "LANGUAGE plpgsql VOLATILE",
        """
        BEGIN
        UPDATE unrouted_webhooks SET attempts = attempts + 1, operation = what, replayed_at = NULL
        WHERE source = from_source AND route_key = location_key AND external_id = order_id;
        IF FOUND THEN RETURN true; END IF;
        IF (SELECT count(*) >= 100 FROM (SELECT FROM unrouted_webhooks
          WHERE source = from_source AND route_key = location_key AND replayed_at IS NULL LIMIT 100) q)
        OR (SELECT count(*) >= 10000 FROM (SELECT FROM unrouted_webhooks WHERE replayed_at IS NULL LIMIT 10000) q)
        THEN RETURN false; END IF;
        INSERT INTO unrouted_webhooks (source, route_key, external_id, operation) VALUES (from_source, location_key, order_id, what)
        ON CONFLICT DO NOTHING;
        RETURN true;
        END""",
    ),
}

PROTECTED = [
    "tenants",
    "routes",
    "platform_users",
    "unrouted_webhooks",
    "tenant_heads",
    "tenant_crm_configs",
    "tenant_messaging_configs",
    "users",
    "sessions",
    "opt_outs",
    "job_executions",
    "audit_log",
    "locations",
    "location_hours",
    "touch_templates",
    "leads",
    "lead_orders",
    "lead_events",
    "consents",
    "scheduled_messages",
    "message_logs",
    "webhook_events",
]


def statements(script: str) -> list[str]:
    """The statements of a script whose statements begin in the first column: the driver takes one at a time."""
    return [part for part in re.split(r";\n+(?=(?:CREATE|REVOKE|GRANT)\b|\Z)", script.strip() + "\n") if part.strip()]


def upgrade() -> None:
    for statement in statements(TABLES):
        op.execute(statement)
    for table in PROTECTED:
        for statement in protect(table):
            op.execute(statement)
    op.execute("GRANT SELECT ON alembic_version TO lead_app, lead_platform")
    for statement in (*statements(CLOCK), *statements(APPEND)):
        op.execute(statement)
    op.execute("GRANT CREATE ON SCHEMA public TO lead_lookup")
    for signature, (returns, attributes, body) in LOOKUPS.items():
        op.execute(
            f"CREATE FUNCTION {signature} RETURNS {returns} {attributes} SECURITY DEFINER"
            f" SET search_path = pg_catalog, public, pg_temp AS $${body}$$"
        )
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO lead_app")
        op.execute(f"ALTER FUNCTION {signature} OWNER TO lead_lookup")
    op.execute("REVOKE CREATE ON SCHEMA public FROM lead_lookup")


def downgrade() -> None:
    raise NotImplementedError("0001 makes the database; drop the database instead")
