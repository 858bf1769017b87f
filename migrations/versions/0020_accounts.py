"""Accounts: second factors, links that set a password, administrators who sign in, issuers of tokens outside."""

from __future__ import annotations

from alembic import op

from lead_orchestrator.tenancy.policies import protect

revision = "0020"
down_revision = "0019"

COLUMNS = (
    """ALTER TABLE users ADD COLUMN totp_secret bytea, ADD COLUMN totp_confirmed_at timestamptz,
       ADD COLUMN totp_last_step bigint, ADD COLUMN recovery_hashes bytea[] NOT NULL DEFAULT '{}'""",
    """ALTER TABLE platform_users ADD COLUMN totp_secret bytea, ADD COLUMN totp_confirmed_at timestamptz,
       ADD COLUMN totp_last_step bigint, ADD COLUMN recovery_hashes bytea[] NOT NULL DEFAULT '{}',
       ADD COLUMN sessions jsonb NOT NULL DEFAULT '{}', ADD COLUMN link_nonce bytea, ADD COLUMN link_expires_at timestamptz""",
)
INVITATIONS = """
CREATE TABLE invitations (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  user_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('INVITATION', 'RESET')),
  nonce bytea NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  used_at timestamptz,
  mail_status text NOT NULL DEFAULT 'PENDING' CHECK (mail_status IN ('PENDING', 'SENT', 'FAILED', 'NONE')),
  mail_attempts integer NOT NULL DEFAULT 0 CHECK (mail_attempts >= 0),
  mail_due_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
)"""
ISSUERS = """
CREATE TABLE external_issuers (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  issuer text NOT NULL CHECK (issuer <> '' AND length(issuer) <= 500),
  audience text NOT NULL CHECK (audience <> '' AND length(audience) <= 500),
  highest_role text NOT NULL CHECK (highest_role IN ('OWNER', 'MANAGER', 'AGENT', 'VISITOR')),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, issuer, audience)
)"""
INDEXES = (
    "CREATE INDEX invitations_user ON invitations (tenant_id, user_id)",
    "CREATE INDEX invitations_due ON invitations (tenant_id, mail_due_at) WHERE mail_status = 'PENDING'",
    "CREATE INDEX external_issuers_named ON external_issuers (issuer, audience)",
)

LOOKUPS = {
    # Of several franchises the oldest account, so that one attempt compares one hash.
    "lookup_login(address text, franchise text)": (
        "TABLE (tenant_id uuid, user_id uuid)",
        """
        SELECT u.tenant_id, u.id FROM users u JOIN tenants t ON t.id = u.tenant_id
        WHERE u.email = address AND u.active AND t.status = 'ACTIVE' AND (franchise IS NULL OR t.slug = franchise)
        ORDER BY u.id LIMIT 1""",
    ),
    "lookup_issuer(issuer_url text, for_audience text)": (
        "TABLE (tenant_id uuid)",
        """
        SELECT e.tenant_id FROM external_issuers e JOIN tenants t ON t.id = e.tenant_id
        WHERE e.issuer = issuer_url AND e.audience = for_audience AND t.status = 'ACTIVE' ORDER BY e.tenant_id""",
    ),
    "lookup_due_account_mails()": (
        "TABLE (tenant_id uuid)",
        """
        SELECT t.id FROM tenants t WHERE t.status = 'ACTIVE' AND EXISTS (
        SELECT FROM invitations i WHERE i.tenant_id = t.id AND i.mail_status = 'PENDING' AND i.mail_due_at <= now())""",
    ),
    # A closed account's tokens end whatever their generation was; opened again, it begins above it. Administrators are few.
    "lookup_revoked(since timestamptz)": (
        "TABLE (kind text, tenant_id uuid, id uuid, generation integer)",
        """
        SELECT 'session', s.tenant_id, s.id, NULL::integer FROM sessions s WHERE s.revoked_at >= since
        UNION ALL SELECT 'user', u.tenant_id, u.id, CASE WHEN u.active THEN u.generation ELSE u.generation + 1 END
        FROM users u WHERE u.generation_raised_at >= since
        UNION ALL SELECT 'user', NULL, p.id, CASE WHEN p.active THEN p.generation ELSE p.generation + 1 END FROM platform_users p
        UNION ALL SELECT CASE t.status WHEN 'ACTIVE' THEN 'tenant_active' ELSE 'tenant_suspended' END, t.id, t.id, NULL::integer
        FROM tenants t WHERE t.status_changed_at >= since""",
    ),
}


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statement in COLUMNS:
        op.execute(statement)
    for table, statement in (("invitations", INVITATIONS), ("external_issuers", ISSUERS)):
        op.execute(statement)
        for part in protect(table):
            op.execute(part)
    for statement in INDEXES:
        op.execute(statement)
    op.execute("DROP POLICY IF EXISTS lookup_reads ON platform_users")  # a new database has it from 0001
    op.execute("CREATE POLICY lookup_reads ON platform_users AS PERMISSIVE FOR SELECT TO lead_lookup USING (true)")
    op.execute("GRANT SELECT (id, active, generation) ON platform_users TO lead_lookup")
    op.execute("DROP FUNCTION lookup_revoked(timestamptz)")
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
    raise NotImplementedError("0020 cannot be undone: restore the database from a backup instead")
