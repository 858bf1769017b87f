"""The fast way to read: one statement that sets the tenant and reads its rows in a single round trip.

The statement begins `FROM (SELECT set_config('app.tenant_id', $1, true) AS tenant_id, … OFFSET 0) AS scope`, and every table in
it is joined with `scope.tenant_id`, so that nothing can be read before the tenant is set; without a tenant there are no rows.
Only the query planner writes such statements, in one place. Each is its own transaction: the settings end with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy import make_url

from lead_orchestrator.db import Timeouts
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["Reader", "scope_values"]

_STATEMENTS_KEPT = 500


def scope_values(scope: Scope) -> dict[str, Any]:
    """The settings of `scope`, and `locations` for the predicate of limited callers (None: all)."""
    locations = None if scope.location_ids is None else sorted(scope.location_ids)
    return {**scope.settings(), "locations": locations}


class Reader:
    """A pool of connections as lead_app for folded statements; opened by its first use."""

    def __init__(self, url: str, *, size: int, timeouts: Timeouts | None = None) -> None:
        self._dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._size = size
        self._timeouts = timeouts or Timeouts()
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    async def fetch(self, statement: str, values: Sequence[Any]) -> str | None:
        """The one value that a folded statement answers with."""
        pool = self._pool or await self._open()
        async with pool.acquire() as connection:
            value: str | None = await connection.fetchval(statement, *values)
            return value

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()

    async def _open(self) -> asyncpg.Pool[asyncpg.Record]:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._dsn,
                    min_size=0,
                    max_size=self._size,
                    statement_cache_size=_STATEMENTS_KEPT,
                    max_cached_statement_lifetime=0,
                    reset=_nothing_to_reset,
                    server_settings={
                        "application_name": "lead-orchestrator reader",
                        "statement_timeout": str(self._timeouts.statement),
                        "lock_timeout": str(self._timeouts.lock),
                        "idle_in_transaction_session_timeout": str(self._timeouts.idle_in_transaction),
                        "timezone": "UTC",
                        "jit": "off",  # it costs more than any of these statements
                    },
                )
            return self._pool


async def _nothing_to_reset(_connection: object) -> None:
    """A folded statement leaves nothing behind: its settings are local to it."""
