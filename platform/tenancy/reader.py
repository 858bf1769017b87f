"""The fast way to read: one statement that sets the tenant and reads its rows in a single round trip.

The statement begins `FROM (SELECT set_config('app.tenant_id', $1, true) AS tenant_id, … OFFSET 0) AS scope`, and every table in
it is joined with `scope.tenant_id`, so that nothing can be read before the tenant is set; without a tenant there are no rows.
Only the query planner writes such statements, in one place. Each is its own transaction: the settings end with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import Enum
from typing import Any

import asyncpg
from sqlalchemy import make_url

from lead_orchestrator.db import Timeouts
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["Reach", "Reader", "scope_values"]

_STATEMENTS_KEPT = 500
_LONGEST_STATEMENT_KEPT = 100_000
_PATIENCE = 10
"""Seconds that a connection is waited for, free or new."""


class Reach(Enum):
    """How many locations a caller sees: statements differ by it."""

    ALL = "all"
    ONE = "one"
    MANY = "many"

    @classmethod
    def of(cls, scope: Scope) -> Reach:
        if scope.location_ids is None:
            return cls.ALL
        return cls.ONE if len(scope.location_ids) == 1 else cls.MANY


def scope_values(scope: Scope) -> dict[str, Any]:
    """The settings of `scope`; of a limited caller also the `locations`, and the `location` of one who has one only."""
    locations = sorted(scope.location_ids or ())
    return {**scope.settings(), "locations": locations, "location": locations[0] if locations else None}


class Reader:
    """At most `size` connections as lead_app for folded statements, opened as they are needed.

    A pool of its own: nothing has to be reset between statements, and asyncpg's pool costs as much as reading a row by its id.
    """

    def __init__(self, url: str, *, size: int, timeouts: Timeouts | None = None) -> None:
        self._dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._timeouts = timeouts or Timeouts()
        self._idle: list[asyncpg.Connection[asyncpg.Record]] = []
        self._free = asyncio.Semaphore(size)

    async def fetch(self, statement: str, values: Sequence[Any]) -> str | None:
        """The one value that a folded statement answers with.

        Raises:
            TimeoutError: every connection is busy, or the database does not answer.
            asyncpg.PostgresError, OSError: as the database or the network has it.
        """
        if self._free.locked():
            await asyncio.wait_for(self._free.acquire(), _PATIENCE)
        else:
            await self._free.acquire()
        try:
            return await self._fetched(statement, values)
        finally:
            self._free.release()

    async def _fetched(self, statement: str, values: Sequence[Any]) -> str | None:
        connection = await self._connection()
        try:
            value: str | None = await connection.fetchval(statement, *values)
        except asyncpg.PostgresError:
            self._idle.append(connection)  # its transaction ended with the statement
            raise
        except BaseException:
            connection.terminate()  # cancelled, or lost: nobody reads on it again
            raise
        self._idle.append(connection)
        return value

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def _connection(self) -> asyncpg.Connection[asyncpg.Record]:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await asyncpg.connect(
            self._dsn,
            timeout=_PATIENCE,
            statement_cache_size=_STATEMENTS_KEPT,
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=_LONGEST_STATEMENT_KEPT,
            server_settings={
                "application_name": "lead-orchestrator reader",
                "statement_timeout": str(self._timeouts.statement),
                "lock_timeout": str(self._timeouts.lock),
                "idle_in_transaction_session_timeout": str(self._timeouts.idle_in_transaction),
                "timezone": "UTC",
                "jit": "off",  # it costs more than any of these statements
                # Planning costs as much as reading; no plan depends on a value, for what is absent is not in the statement.
                "plan_cache_mode": "force_generic_plan",
            },
        )
