"""What a conversation needs to be held: whose turn it is, what changed besides its messages, who the visitor is, and what the
assistant may spend."""

from __future__ import annotations

from alembic import op

from lead_orchestrator.tenancy.policies import policies_of, protect

revision = "0015"
down_revision = "0014"

# Conversations that exist are of numbers and addresses whose providers vouch for them.
SESSIONS = """
ALTER TABLE chat_sessions
  ADD COLUMN turn bigint NOT NULL DEFAULT 0,
  ADD COLUMN answer_due_at timestamptz,
  ADD COLUMN answer_attempts smallint NOT NULL DEFAULT 0 CHECK (answer_attempts >= 0),
  ADD COLUMN held_until timestamptz,
  ADD COLUMN visitor_unread integer NOT NULL DEFAULT 0 CHECK (visitor_unread >= 0),
  ADD COLUMN language text NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'es')),
  ADD COLUMN verified boolean NOT NULL DEFAULT true,
  ADD COLUMN visitor_name text,
  ADD COLUMN visitor_phone text,
  ADD COLUMN visitor_nonce bytea,
  ADD COLUMN code_hash bytea,
  ADD COLUMN code_expires_at timestamptz,
  ADD COLUMN code_attempts smallint NOT NULL DEFAULT 0 CHECK (code_attempts >= 0),
  ADD COLUMN codes_sent smallint NOT NULL DEFAULT 0 CHECK (codes_sent >= 0)"""

CHANGES = """
CREATE TABLE chat_changes (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  session_id uuid NOT NULL,
  version bigint NOT NULL,
  kind text NOT NULL CHECK (kind IN ('STATE', 'RETRACTION')),
  state text CHECK (state IN ('ASSISTANT', 'HUMAN', 'CLOSED')),
  reason text,
  message_id uuid,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, session_id, version),
  FOREIGN KEY (tenant_id, location_id, session_id) REFERENCES chat_sessions (tenant_id, location_id, id)
)"""

DAYS = """
CREATE TABLE assistant_days (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  session_id uuid NOT NULL,
  day date NOT NULL,
  calls integer NOT NULL DEFAULT 0 CHECK (calls >= 0),
  tokens bigint NOT NULL DEFAULT 0 CHECK (tokens >= 0),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, session_id, day),
  FOREIGN KEY (tenant_id, location_id, session_id) REFERENCES chat_sessions (tenant_id, location_id, id)
)"""

MONTHS = """
CREATE TABLE assistant_months (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  month date NOT NULL,
  calls integer NOT NULL DEFAULT 0 CHECK (calls >= 0),
  tokens bigint NOT NULL DEFAULT 0 CHECK (tokens >= 0),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, month)
)"""

MORE = (
    "ALTER TABLE chat_sessions ALTER COLUMN verified SET DEFAULT false",
    "CREATE INDEX chat_sessions_due ON chat_sessions (tenant_id, answer_due_at) WHERE answer_due_at IS NOT NULL",
    "ALTER TABLE scheduled_messages ADD COLUMN void_after timestamptz",
    """ALTER TABLE tenant_messaging_configs
         ADD COLUMN assistant_resumes_minutes integer DEFAULT 720 CHECK (assistant_resumes_minutes >= 1)""",
    "GRANT SELECT (lead_id, visitor_unread) ON chat_sessions TO lead_visitor",
    # An empty database has the first three, and their policy, from the revision that made the table.
    "GRANT SELECT (tenant_id, id, version, answer_due_at) ON chat_sessions TO lead_lookup",
    "DROP POLICY IF EXISTS lookup_reads ON chat_sessions",
)

LOOKUPS = {
    "lookup_chat_heads(uuid[], uuid[])": """
CREATE FUNCTION lookup_chat_heads(tenants uuid[], sessions uuid[]) RETURNS TABLE (session_id uuid, version bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
SELECT c.id, c.version FROM unnest(tenants, sessions) asked (tenant_id, id)
JOIN chat_sessions c ON c.tenant_id = asked.tenant_id AND c.id = asked.id
$$""",
    "lookup_due_answers()": """
CREATE FUNCTION lookup_due_answers() RETURNS TABLE (tenant_id uuid) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
SELECT t.id FROM tenants t WHERE t.status = 'ACTIVE' AND EXISTS (
SELECT FROM chat_sessions c WHERE c.tenant_id = t.id AND c.answer_due_at <= now())
$$""",
}


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statement in (SESSIONS, CHANGES, DAYS, MONTHS, *MORE):
        op.execute(statement)
    for table in ("chat_changes", "assistant_days", "assistant_months"):
        for statement in protect(table):
            op.execute(statement)
    for policy in policies_of("chat_sessions"):
        if policy.role == "lead_lookup":
            op.execute(policy.ddl("chat_sessions"))
    op.execute("GRANT CREATE ON SCHEMA public TO lead_lookup")
    for signature, function in LOOKUPS.items():
        op.execute(function)
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO lead_app")
        op.execute(f"ALTER FUNCTION {signature} OWNER TO lead_lookup")
    op.execute("REVOKE CREATE ON SCHEMA public FROM lead_lookup")


def downgrade() -> None:
    raise NotImplementedError("0015 cannot be undone: restore the database from a backup instead")
