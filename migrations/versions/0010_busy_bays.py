"""What is still taken of a location is found without its past."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"

INDEX = """
CREATE INDEX appointments_busy ON appointments (tenant_id, location_id, ends_at) WHERE status IN ('HELD', 'CONFIRMED')
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(INDEX)


def downgrade() -> None:
    op.execute("DROP INDEX appointments_busy")
