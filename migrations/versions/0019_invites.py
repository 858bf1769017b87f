"""Confirmations by mail carry the appointment for a calendar, and each change of it a higher number."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE scheduled_messages ADD COLUMN invite jsonb")
    op.execute("ALTER TABLE appointments ADD COLUMN sequence integer NOT NULL DEFAULT 0")


def downgrade() -> None:
    op.execute("ALTER TABLE appointments DROP COLUMN sequence")
    op.execute("ALTER TABLE scheduled_messages DROP COLUMN invite")
