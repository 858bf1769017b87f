"""Erasing a person: what hangs from a lead goes with it, and the keyed hash that stays says since when."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"

RETENTION = """
ALTER TABLE tenants
  ADD COLUMN webhook_retention_days integer CHECK (webhook_retention_days BETWEEN 1 AND 365),
  ADD COLUMN conversation_retention_days integer CHECK (conversation_retention_days BETWEEN 1 AND 3650)"""

# Every foreign key below leads.
HANGING = """
WITH RECURSIVE hanging AS (
  SELECT 'leads'::regclass::oid AS parent
  UNION
  SELECT k.conrelid FROM pg_constraint k JOIN hanging h ON k.confrelid = h.parent WHERE k.contype = 'f'
)
SELECT k.conrelid::regclass::text AS child, k.conname AS name, pg_get_constraintdef(k.oid) AS definition
FROM pg_constraint k JOIN hanging h ON k.confrelid = h.parent WHERE k.contype = 'f' ORDER BY 1, 2"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE opt_outs ADD COLUMN erased_at timestamptz")
    op.execute(RETENTION)
    for key in op.get_bind().exec_driver_sql(HANGING).all():
        op.execute(
            f"ALTER TABLE {key.child} DROP CONSTRAINT {key.name}, ADD CONSTRAINT {key.name} {key.definition} ON DELETE CASCADE"
        )


def downgrade() -> None:
    raise NotImplementedError("0023 cannot be undone: restore the database from a backup instead")
