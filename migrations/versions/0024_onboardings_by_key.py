"""A request to onboard is found by its key, however many franchises there are.

Not unique, and not led by the tenant: who asks does not know it yet.
"""

from __future__ import annotations

from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("CREATE INDEX onboardings_by_key ON onboardings (subject, idempotency_key)")


def downgrade() -> None:
    op.execute("DROP INDEX onboardings_by_key")
