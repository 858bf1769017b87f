"""The customer's link to an appointment is signed and carries a random part of the row, which alone opens nothing."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP INDEX appointments_manage")
    op.execute("ALTER TABLE appointments RENAME COLUMN manage_token_hash TO manage_nonce")


def downgrade() -> None:
    op.execute("ALTER TABLE appointments RENAME COLUMN manage_nonce TO manage_token_hash")
    op.execute(
        "CREATE UNIQUE INDEX appointments_manage ON appointments (tenant_id, manage_token_hash)"
        " WHERE manage_token_hash IS NOT NULL"
    )
