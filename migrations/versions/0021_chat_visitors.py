"""What a visitor typed of themselves, kept apart from any lead until a texted code confirms it."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE chat_sessions ADD COLUMN visitor_email text, ADD COLUMN visitor_consents jsonb")


def downgrade() -> None:
    op.execute("ALTER TABLE chat_sessions DROP COLUMN visitor_email, DROP COLUMN visitor_consents")
