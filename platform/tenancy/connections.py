"""Bare connections as lead_app, for what goes past SQLAlchemy: folded reads and direct writes.

A pool of its own: nothing has to be reset between transactions, and asyncpg's pool costs as much as reading a row by its id.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TypeAlias

import asyncpg
from sqlalchemy import make_url

from lead_orchestrator.db import Timeouts

__all__ = ["Connection", "Connections"]

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_STATEMENTS_KEPT = 500
_LONGEST_STATEMENT_KEPT = 100_000
_PATIENCE = 10
"""Seconds that a connection is waited for, free or new."""


class Connections:
    """At most `size` connections, opened as they are needed. Whoever takes one gives it back outside a transaction, or loses it."""

    def __init__(self, url: str, *, size: int, timeouts: Timeouts | None = None, patience: float = _PATIENCE) -> None:
        self._dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._timeouts = timeouts or Timeouts()
        self._patience = patience
        self._idle: list[Connection] = []
        self._free = size
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> Connection:
        """A connection that is in no transaction.

        Raises:
            TimeoutError: every connection is busy, or the database does not answer.
            OSError: the database cannot be reached.
        """
        if self._free:
            self._free -= 1
        else:
            await self._turn()
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        try:
            return await self._opened()
        except BaseException:
            self._pass_on()
            raise

    def give_back(self, connection: Connection) -> None:
        self._idle.append(connection)
        self._pass_on()

    def lose(self, connection: Connection) -> None:
        """End a connection of which nobody knows where it stands."""
        connection.terminate()
        self._pass_on()

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def _turn(self) -> None:
        """Wait until somebody passes on what he had; a semaphore under a time-out costs four times as much."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        patience = loop.call_later(self._patience, _give_up, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.exception() is None:  # it came to us all the same
                self._pass_on()
            raise
        finally:
            patience.cancel()

    def _pass_on(self) -> None:
        """To whoever has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    async def _opened(self) -> Connection:
        return await asyncpg.connect(
            self._dsn,
            timeout=_PATIENCE,
            statement_cache_size=_STATEMENTS_KEPT,
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=_LONGEST_STATEMENT_KEPT,
            server_settings={
                "application_name": "lead-orchestrator direct",
                "statement_timeout": str(self._timeouts.statement),
                "lock_timeout": str(self._timeouts.lock),
                "idle_in_transaction_session_timeout": str(self._timeouts.idle_in_transaction),
                "timezone": "UTC",
                "jit": "off",  # it costs more than any of these statements
                # Planning costs as much as reading; no plan depends on a value, for what is absent is not in the statement.
                "plan_cache_mode": "force_generic_plan",
            },
        )


def _give_up(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_exception(TimeoutError("every connection to the database is busy"))
