"""The fast way to write: few statements on a bare connection, in a transaction that carries its tenant as a session does.

`BEGIN` and all settings go out together; then come the statements of one service call, the events and audit lines it
recorded, the answer, and `COMMIT`. For what is asked often and changes little; everything else uses a WriteSession.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from lead_orchestrator.errors import AppError
from lead_orchestrator.tenancy.connections import Connection, Connections
from lead_orchestrator.tenancy.sessions import APPEND, Recording, Scope, ScopeError, Tenancy
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["DirectSession", "Prepared", "Writer"]

_DIALECT: Dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]  # the library's constructor has no types


class Prepared:
    """A statement of SQLAlchemy Core, written out once; its `bindparam`s are given by name."""

    def __init__(self, statement: ClauseElement) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self.sql = str(compiled)
        self._constants: Mapping[str, Any] = compiled.params or {}
        self._names: list[str] = list(getattr(compiled, "positiontup", None) or ())

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """The parameters in their order."""
        return [given[name] if name in given else self._constants[name] for name in self._names]


_APPEND = Prepared(APPEND)


class DirectSession(Recording):
    """A transaction on a bare connection; `tenant_id` is given to every statement."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._connection = connection
        self.scope = scope
        self._begin_recording()

    async def row(self, statement: Prepared, **values: Any) -> asyncpg.Record | None:
        """The first row, or None."""
        given = statement.values({"tenant_id": self.scope.tenant_id, **values})
        return await self._connection.fetchrow(statement.sql, *given)

    async def append(self) -> int | None:
        """Write what was recorded; the tenant's new position if there were events. Called once, as the last change."""
        recorded = self._recorded()
        if not recorded:
            return None
        position: int = await self._connection.fetchval(_APPEND.sql, *_APPEND.values(recorded.arguments()))
        return position if recorded.events else None

    async def answer(self, sql: str, values: Sequence[Any]) -> str | None:
        """The one value of a folded statement (see `reader`), read after what was written."""
        text: str | None = await self._connection.fetchval(sql, *values)
        return text


class Writer:
    """Hands out direct sessions."""

    def __init__(self, tenancy: Tenancy, connections: Connections) -> None:
        self._tenancy = tenancy
        self._connections = connections

    @asynccontextmanager
    async def open(self, scope: Scope) -> AsyncIterator[DirectSession]:
        """A session that commits at the end of the block, or rolls back when it raises.

        Raises:
            ScopeError: the scope is a visitor's, who writes nothing.
            TimeoutError, asyncpg.PostgresError, OSError: as the database or the network has it.
        """
        if scope.role is Role.VISITOR:
            raise ScopeError("a visitor writes nothing: run the service in Scope.service(tenant_id)")
        connection = await self._connections.take()
        position: int | None = None
        try:
            await connection.execute(_begin(scope))
            session = DirectSession(connection, scope)
            yield session
            position = await session.append()
            if (
                await connection.execute("COMMIT") != "COMMIT"
            ):  # after an error somebody swallowed it rolls back, silently
                raise ScopeError("a direct transaction went on after an error")
        except (AppError, asyncpg.PostgresError):
            await self._undone(connection)
            raise
        except BaseException:
            self._connections.lose(connection)  # cancelled, or lost: nobody knows what it is doing
            raise
        self._connections.give_back(connection)
        if position is not None and self._tenancy.on_events is not None:
            self._tenancy.on_events(scope.tenant_id, position)

    async def _undone(self, connection: Connection) -> None:
        try:
            await connection.execute("ROLLBACK")
        except BaseException:
            self._connections.lose(connection)
            raise
        self._connections.give_back(connection)


def _begin(scope: Scope) -> str:
    """The simple query that opens the transaction with all of its settings; it takes no parameters."""
    settings = ", ".join(
        f"set_config('app.{name}', {_literal(value)}, true)" for name, value in scope.settings().items()
    )
    return f"BEGIN; SELECT {settings}"


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"  # standard_conforming_strings is on: a backslash is itself
