"""The search index takes what waits to be sorted into it in small portions: nobody waits for megabytes of it, nor searches them."""

from __future__ import annotations

from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        "ALTER INDEX leads_search SET (gin_pending_list_limit = 256)"
    )  # kB; 4 MB are sorted in at once otherwise


def downgrade() -> None:
    op.execute("ALTER INDEX leads_search RESET (gin_pending_list_limit)")
