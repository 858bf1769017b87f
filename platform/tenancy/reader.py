"""The fast way to read: one statement that sets the tenant and reads its rows in a single round trip.

The statement begins `FROM (SELECT set_config('app.tenant_id', $1, true) AS tenant_id, … OFFSET 0) AS scope`, and every table in
it is joined with `scope.tenant_id`, so that nothing can be read before the tenant is set; without a tenant there are no rows.
Only the query planner writes such statements, in one place. Each is its own transaction: the settings end with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import asyncpg

from lead_orchestrator.db import Timeouts
from lead_orchestrator.tenancy.connections import Connections
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["Reach", "Reader"]


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


class Reader:
    """Runs folded statements, each a transaction of its own, on at most `size` bare connections."""

    def __init__(self, url: str, *, size: int, timeouts: Timeouts | None = None) -> None:
        self.connections = Connections(url, size=size, timeouts=timeouts)

    async def fetch(self, statement: str, values: Sequence[Any]) -> str | None:
        """The one value that a folded statement answers with.

        Raises:
            TimeoutError: every connection is busy, or the database does not answer.
            asyncpg.PostgresError, OSError: as the database or the network has it.
        """
        connection = await self.connections.take()
        try:
            value: str | None = await connection.fetchval(statement, *values)
        except asyncpg.PostgresError:
            self.connections.give_back(connection)  # its transaction ended with the statement
            raise
        except BaseException:
            self.connections.lose(connection)  # cancelled, or lost: nobody reads on it again
            raise
        self.connections.give_back(connection)
        return value

    async def close(self) -> None:
        await self.connections.close()
