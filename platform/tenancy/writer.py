"""The fast way to change one thing: one message to the database, in which a folded statement runs twice as one transaction.

It changes first, then answers, so that what it answers with is what was changed. For what is asked often and is one call of
a database function; everything else uses a WriteSession.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from lead_orchestrator.tenancy.connections import Connections
from lead_orchestrator.tenancy.sessions import Scope, Tenancy

__all__ = ["Writer"]


class Writer:
    """Runs statements that change."""

    def __init__(self, tenancy: Tenancy, connections: Connections) -> None:
        self._tenancy = tenancy
        self._connections = connections

    async def change(self, scope: Scope, statement: str, values: Sequence[Any]) -> str | None:
        """The answer, once what it tells of is committed; None where there was nothing to change in this scope.

        `statement` is a folded one (see `reader`) with a row of three: `done`, the answer, and the franchise's position after
        the events it recorded. Its $1 is false when it has to change and fill the first, true for the other two; `values` are
        the rest of its parameters. Positions are given away last (see `append_recorded`), when all else is done.

        Raises:
            ScopeError: the scope is a visitor's, who writes nothing.
            ForbiddenError: the scope may only read.
            TimeoutError, asyncpg.PostgresError, OSError: as the database or the network has it; nothing was changed.
        """
        scope.may_write()
        connection = await self._connections.take()
        try:
            (done, *_), (_, text, position) = await connection.fetchmany(statement, ((False, *values), (True, *values)))
        except asyncpg.PostgresError:
            self._connections.give_back(connection)  # its transaction ended with the message
            raise
        except BaseException:
            self._connections.lose(connection)  # cancelled, or lost: nobody knows what it is doing
            raise
        self._connections.give_back(connection)
        if position is not None and self._tenancy.on_events is not None:
            self._tenancy.on_events(scope.tenant_id, position)
        return text if done else None
