"""How often a person may be written to within a week, and whether on holidays."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

CHANGE = """
ALTER TABLE tenant_messaging_configs
  ADD COLUMN weekly_cap integer NOT NULL DEFAULT 10 CHECK (weekly_cap BETWEEN 1 AND 50),
  ADD COLUMN skip_holidays boolean NOT NULL DEFAULT false
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(CHANGE)


def downgrade() -> None:
    op.execute("ALTER TABLE tenant_messaging_configs DROP COLUMN weekly_cap, DROP COLUMN skip_holidays")
