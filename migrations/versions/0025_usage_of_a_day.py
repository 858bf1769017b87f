"""What customers have used of the assistant today is counted from that day's rows, however many days there are."""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("CREATE INDEX assistant_days_by_day ON assistant_days (tenant_id, day)")


def downgrade() -> None:
    op.execute("DROP INDEX assistant_days_by_day")
