"""The surveys of locations, in all their versions."""

from __future__ import annotations

from alembic import op

from lead_orchestrator.tenancy.policies import protect

revision = "0017"
down_revision = "0016"

SURVEYS = """
CREATE TABLE surveys (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT uuidv7(),
  location_id uuid NOT NULL,
  version integer NOT NULL CHECK (version >= 1),
  definition jsonb NOT NULL,
  set_by text NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, location_id, version),
  FOREIGN KEY (tenant_id, location_id) REFERENCES locations (tenant_id, id)
)"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(SURVEYS)
    for statement in protect("surveys"):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("0017 cannot be undone: restore the database from a backup instead")
