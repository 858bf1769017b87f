"""Templates of messages, in all their versions, and the keys that make a request count once."""

from __future__ import annotations

from alembic import op

from lead_orchestrator.tenancy.policies import protect

revision = "0006"
down_revision = "0005"

STATEMENTS = (
    """
CREATE TABLE message_templates (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid,
  kind text NOT NULL CHECK (kind IN ('WELCOME', 'CONFIRMATION', 'REMINDER', 'REPLY')),
  variant text NOT NULL CHECK (variant IN ('STANDARD', 'RESCHEDULED', 'CANCELLED', 'OPTED_OUT', 'OPTED_IN', 'HELP')),
  channel text NOT NULL CHECK (channel IN ('SMS', 'EMAIL', 'WHATSAPP')),
  version integer NOT NULL CHECK (version >= 1),
  subject text,
  body text NOT NULL CHECK (body <> ''),
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE NULLS NOT DISTINCT (tenant_id, location_id, kind, variant, channel, version),
  FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id)
)""",
    """
CREATE TABLE idempotency_keys (
  tenant_id uuid NOT NULL REFERENCES tenants (id),
  id uuid NOT NULL DEFAULT uuidv7(),
  subject text NOT NULL,
  operation text NOT NULL,
  key text NOT NULL,
  request_hash bytea NOT NULL,
  result_id uuid,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, subject, operation, key)
)""",
    # `reference` names what a message is about, so that whoever wrote it can replace or cancel it.
    """
ALTER TABLE scheduled_messages
  ADD COLUMN reference text,
  ADD COLUMN template_id uuid,
  ADD COLUMN template_version integer,
  ADD COLUMN retries smallint NOT NULL DEFAULT 0,
  ADD FOREIGN KEY (tenant_id, template_id) REFERENCES message_templates (tenant_id, id)""",
    """
CREATE INDEX scheduled_messages_reference ON scheduled_messages (tenant_id, lead_id, reference)
  WHERE reference IS NOT NULL AND status = 'SCHEDULED'""",
)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for statement in STATEMENTS:
        op.execute(statement)
    for table in ("message_templates", "idempotency_keys"):
        for statement in protect(table):
            op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("0006 cannot be undone: restore the database from a backup instead")
