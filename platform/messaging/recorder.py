"""Writes what came of calls, in groups: most of what a small transaction costs is its beginning and its end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from lead_orchestrator.leads.models import MessageStatus
from lead_orchestrator.log import get_logger
from lead_orchestrator.messaging.ledger import DispatchPolicy, Ledger, Result
from lead_orchestrator.tenancy.sessions import Scope, Tenancy

__all__ = ["Recorder"]

_log = get_logger(__name__)

_PAUSES = (0.2, 1.0)  # seconds
_AWAY = (SQLAlchemyError, asyncpg.PostgresError, OSError)  # the driver's own where it cannot connect
_MOST = 50


@dataclass
class _Group:
    """The results of one tenant that wait to be written; `written` holds an answer for each once they are."""

    results: list[Result] = field(default_factory=list)
    written: asyncio.Future[dict[UUID, MessageStatus]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Recorder:
    """Collects a tenant's results for a moment and writes them in one transaction; while it does, the next ones gather.

    So groups grow with the load, and two of one tenant do not wait for each other in the database. What the group leaves
    out (a lead that somebody else holds, an opt-out at the provider) and every result of a group that failed is written
    alone.
    """

    def __init__(self, tenancy: Tenancy, ledger: Ledger, policy: DispatchPolicy) -> None:
        self._tenancy = tenancy
        self._ledger = ledger
        self._policy = policy
        self._waiting: dict[UUID, deque[_Group]] = {}
        self._writing: set[asyncio.Task[None]] = set()

    async def record(self, scope: Scope, result: Result) -> MessageStatus | None:
        """Write the result; None if somebody else has settled that attempt. It is written even if the caller is cancelled."""
        group = self._open_group(scope)
        group.results.append(result)
        status = (await asyncio.shield(group.written)).get(result.message_id)
        return status or await self._alone(scope, result)

    async def close(self) -> None:
        """Wait until everything that was handed over is written."""
        await asyncio.gather(*self._writing)

    def _open_group(self, scope: Scope) -> _Group:
        """The tenant's group that gathers now."""
        groups = self._waiting.get(scope.tenant_id)
        if groups is None:
            groups = self._waiting[scope.tenant_id] = deque()
            task = asyncio.create_task(self._write(scope, groups))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        if not groups or len(groups[-1].results) == _MOST:
            groups.append(_Group())
        return groups[-1]

    async def _write(self, scope: Scope, groups: deque[_Group]) -> None:
        """One group after the other, until none waits."""
        await asyncio.sleep(self._policy.gathering)
        try:
            while groups:
                await self._write_group(scope, groups.popleft())
        finally:
            del self._waiting[scope.tenant_id]
            for group in groups:  # none, unless this very task was cancelled
                group.written.cancel()

    async def _write_group(self, scope: Scope, group: _Group) -> None:
        try:
            group.written.set_result(await self._together(scope, group.results))
        finally:
            group.written.cancel()  # of no effect, unless this very task was cancelled

    async def _together(self, scope: Scope, results: Sequence[Result]) -> dict[UUID, MessageStatus]:
        """Those that could be written; none of them if anything went wrong."""
        try:
            async with self._tenancy.write(scope) as session:
                return await self._ledger.record_together(session, results)
        except Exception as error:  # noqa: BLE001 - whatever it is, only the result that caused it must suffer
            _log.warning("group_failed", results=len(results), reason=type(error).__name__)
            return {}

    async def _alone(self, scope: Scope, result: Result) -> MessageStatus | None:
        """Again if the database was away for a moment: what is not written must be asked about."""
        for pause in _PAUSES:
            try:
                return await self._once(scope, result)
            except IntegrityError:
                raise
            except _AWAY as error:
                _log.warning("record_failed", message_id=str(result.message_id), reason=type(error).__name__)
                await asyncio.sleep(pause)
        return await self._once(scope, result)

    async def _once(self, scope: Scope, result: Result) -> MessageStatus | None:
        async with self._tenancy.write(scope) as session:
            return await self._ledger.record(session, result.lead_id, result.message_id, result.attempt, result.outcome)
