"""The only way to the database: sessions that carry a tenant from their first statement to their last.

`Tenancy` hands them out. A `ReadSession` reads, a `WriteSession` also writes and appends events; both belong to one `Scope`,
whose settings the policies of every table read. A session without a tenant does not exist.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any, Self, TypeVar
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from lead_orchestrator.db import Engines
from lead_orchestrator.errors import ForbiddenError, NotFoundError
from lead_orchestrator.tenancy.source import SOURCE
from lead_orchestrator.tenancy.tokens import Claims, Role

__all__ = [
    "FOLDED",
    "Alarm",
    "Moved",
    "PlatformSession",
    "ReadSession",
    "Scope",
    "ScopeError",
    "Tenancy",
    "WriteSession",
]

FOLDED = ("tenant_id", "location_ids", "subject", "role", "session_id")
"""The settings of folded statements, which only staff runs, on connections of their own: no lead is ever set there."""


class ScopeError(RuntimeError):
    """A session was used against its scope: a defect of ours, never a caller's mistake."""


@dataclass(frozen=True)
class Scope:
    """Whose rows a session may touch. `location_ids` None means every location of the tenant; `read_only` that none is changed."""

    tenant_id: UUID
    location_ids: frozenset[UUID] | None = None
    subject: str = "system"
    role: Role | None = None
    lead_id: UUID | None = None
    session_id: UUID | None = None
    read_only: bool = False

    @classmethod
    def service(cls, tenant_id: UUID, subject: str = "system") -> Self:
        """The scope of a job: the whole tenant."""
        return cls(tenant_id=tenant_id, subject=subject)

    @classmethod
    def of(cls, claims: Claims) -> Self:
        """The scope of a verified token.

        Raises:
            NotFoundError: the token belongs to no tenant, so nothing of a tenant exists for it.
        """
        if claims.tenant_id is None:
            raise NotFoundError("this token belongs to no franchise: ask for one by impersonation")
        return cls(
            tenant_id=claims.tenant_id,
            location_ids=claims.location_ids,
            subject=f"{claims.actor} (support)" if claims.actor else claims.subject,
            role=claims.role,
            lead_id=claims.lead_id,
            session_id=claims.session_id,
            read_only=claims.read_only,
        )

    def may_write(self) -> None:
        """Raises what a session that writes in this scope is refused with.

        Raises:
            ForbiddenError: the token may only read.
            ScopeError: the scope is a visitor's, who writes nothing.
        """
        if self.read_only:
            raise ForbiddenError(
                "this support session may only read: ask for one that may change things", code="READ_ONLY"
            )
        if self.role is Role.VISITOR:
            raise ScopeError("a visitor writes nothing: run the service in Scope.service(tenant_id)")

    def sees(self, location_id: UUID) -> bool:
        return self.location_ids is None or location_id in self.location_ids

    def settings(self) -> Mapping[str, str]:
        """The settings that the policies read, all of them, so that none is left over from another scope."""
        return self._settings

    @cached_property
    def folded(self) -> Sequence[str]:
        """The settings of a folded statement, in their order."""
        return [self._settings[name] for name in FOLDED]

    @cached_property
    def places(self) -> Mapping[str, Any]:
        """What a statement for a limited caller may bind: the `locations`, and the `location` of one who has one only."""
        locations = sorted(self.location_ids or ())
        return {"locations": locations, "location": locations[0] if locations else None}

    @cached_property
    def _settings(self) -> Mapping[str, str]:
        every = self.location_ids is None
        return {
            "tenant_id": str(self.tenant_id),
            "location_ids": "*" if every else ",".join(sorted(map(str, self.location_ids or ()))),
            "subject": self.subject,
            "role": self.role.value if self.role else "SERVICE",
            "lead_id": str(self.lead_id or ""),
            "session_id": str(self.session_id or ""),
        }


# The first column is what the connection brought along: anything but nothing is a leak from whoever had it before.
_BEGIN = text(
    "SELECT coalesce(current_setting('app.tenant_id', true), ''), "
    + ", ".join(
        f"set_config('app.{name}', :{name}, true)"
        for name in ("tenant_id", "location_ids", "subject", "role", "lead_id", "session_id")
    )
)
_APPEND = text("SELECT append_events(cast(:events AS jsonb), cast(:audits AS jsonb))")


class ReadSession(AsyncSession):
    """A transaction that reads one tenant's rows."""

    scope: Scope

    async def begin_scope(self, scope: Scope) -> None:
        """Set all settings; called once, by `Tenancy`, as the transaction's first statement."""
        self.scope = scope
        before = await self.scalar(_BEGIN, scope.settings())
        if before:
            await self.invalidate()
            raise ScopeError("a pooled connection carried another session's tenant")


@dataclass(frozen=True)
class _Event:
    location_id: UUID
    lead_id: UUID
    kind: str
    detail: Mapping[str, object] | None

    def row(self) -> dict[str, object]:
        return {
            "locationId": str(self.location_id),
            "leadId": str(self.lead_id),
            "kind": self.kind,
            "detail": self.detail,
        }


@dataclass(frozen=True)
class Moved:
    """A conversation has entries up to `version`; `answer_due`: the assistant is to answer."""

    tenant_id: UUID
    chat_id: UUID
    version: int
    answer_due: bool


def _line(actor: str, action: str, target: str | None, detail: Mapping[str, object] | None) -> dict[str, object]:
    """Of the audit trail: who did what to what, from where."""
    return {"actor": actor, "action": action, "target": target, "source": SOURCE.get(), "detail": detail}


@dataclass
class _Buffer:
    events: list[_Event] = field(default_factory=list)
    audits: list[dict[str, object]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.events or self.audits)

    def arguments(self) -> dict[str, str]:
        """Of append_events."""
        events = [event.row() for event in self.events]
        return {"events": json.dumps(events), "audits": json.dumps(self.audits)}


class Alarm(Enum):
    """Whom a commit wakes."""

    MESSAGES = "messages"
    """Something is to be sent now."""
    OUTBOX = "outbox"
    """Another system has to be told something."""


class WriteSession(ReadSession):
    """A transaction that writes one tenant's rows; its events get their positions in the order of commits."""

    alarms: set[Alarm]
    _buffer: _Buffer

    async def begin_scope(self, scope: Scope) -> None:
        self._buffer, self.alarms = _Buffer(), set()
        self.moved: dict[UUID, Moved] = {}
        self.ended: set[UUID] = set()
        await super().begin_scope(scope)

    def ring(self, alarm: Alarm) -> None:
        """Wake whoever does the work that this transaction leaves, once it has committed; a tick finds what this misses."""
        self.alarms.add(alarm)

    def record(
        self, kind: str, *, location_id: UUID, lead_id: UUID, detail: Mapping[str, object] | None = None
    ) -> None:
        """Append an event of this lead at commit; `detail` holds no address and no message text."""
        self._buffer.events.append(_Event(location_id, lead_id, kind, detail))

    def forget(self, lead_id: UUID) -> None:
        """Append no event of this lead: it is gone at commit."""
        self._buffer.events[:] = [event for event in self._buffer.events if event.lead_id != lead_id]

    def audit(self, action: str, *, target: str | None = None, detail: Mapping[str, object] | None = None) -> None:
        """Append a line to the tenant's audit trail at commit, in the name of this session's subject."""
        self._buffer.audits.append(_line(self.scope.subject, action, target, detail))

    def moves(self, chat_id: UUID, version: int, *, answer_due: bool) -> None:
        """Tell whoever listens to this conversation after the commit."""
        self.moved[chat_id] = Moved(self.scope.tenant_id, chat_id, version, answer_due)

    def ends(self, chat_id: UUID) -> None:
        """This conversation is over, or erased: what is kept of it elsewhere is deleted after the commit."""
        self.ended.add(chat_id)

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """A part of the transaction that is undone alone when it raises, with the events and audit lines it buffered."""
        events, audits = len(self._buffer.events), len(self._buffer.audits)
        try:
            async with self.begin_nested():
                yield
        except BaseException:
            del self._buffer.events[events:]
            del self._buffer.audits[audits:]
            raise

    async def append(self) -> int | None:
        """Write what was buffered; called once, by `Tenancy`, as the last statement before the commit.

        Returns the tenant's new position if there were events.
        """
        await self.flush()
        buffer, self._buffer = self._buffer, _Buffer()
        if buffer:
            position = await self.scalar(_APPEND, buffer.arguments())
            return int(position) if buffer.events else None
        return None


class PlatformSession(AsyncSession):
    """A transaction of a platform administrator: tenants and their settings, no leads and no messages."""

    async def audit(
        self,
        tenant_id: UUID,
        action: str,
        *,
        actor: str,
        target: str | None = None,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """Append to that tenant's audit trail."""
        await self.execute(text("SELECT set_config('app.tenant_id', :tenant, true)"), {"tenant": str(tenant_id)})
        line = _line(actor, action, target, detail)
        await self.execute(_APPEND, {"events": "[]", "audits": json.dumps([line])})


_S = TypeVar("_S", bound=ReadSession)


class Tenancy:
    """Hands out sessions.

    `on_events(tenant_id, position)`, if somebody sets it, is called after each commit that appended events, `on_chats` with
    each conversation that got an entry, `on_alarm(tenant_id, alarm)` for each alarm that was rung; they return at once and never
    raise. `on_ended(tenant_id, chat_ids)` is waited for, so that whoever closed or erased them finds nothing left.
    """

    def __init__(self, engines: Engines) -> None:
        self.engines = engines
        self.on_events: Callable[[UUID, int], None] | None = None
        self.on_chats: Callable[[Moved], None] | None = None
        self.on_ended: Callable[[UUID, Collection[UUID]], Awaitable[None]] | None = None
        self.on_alarm: Callable[[UUID, Alarm], None] | None = None

    @asynccontextmanager
    async def read(self, scope: Scope) -> AsyncIterator[ReadSession]:
        """A session that reads in `scope`; a visitor's runs as the visitors' database role."""
        engine = self.engines.visitor if scope.role is Role.VISITOR else self.engines.app
        async with self._open(ReadSession, engine, scope) as session:
            yield session

    @asynccontextmanager
    async def write(self, scope: Scope) -> AsyncIterator[WriteSession]:
        """A session that writes in `scope` and commits at the end of the block, or rolls back when it raises.

        Raises:
            ScopeError: the scope is a visitor's; what visitors start runs in a service scope of the tenant.
            ForbiddenError: the scope may only read.
        """
        scope.may_write()
        async with self._open(WriteSession, self.engines.app, scope) as session:
            yield session
            position = await session.append()
        if position is not None and self.on_events is not None:
            self.on_events(scope.tenant_id, position)
        if self.on_ended is not None and session.ended:
            await self.on_ended(scope.tenant_id, session.ended)
        if self.on_chats is not None:
            for moved in session.moved.values():
                self.on_chats(moved)
        if self.on_alarm is not None:
            for alarm in session.alarms:
                self.on_alarm(scope.tenant_id, alarm)

    @asynccontextmanager
    async def platform(self) -> AsyncIterator[PlatformSession]:
        """A session of the platform's administrators."""
        async with PlatformSession(self.engines.platform, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def _open(self, kind: type[_S], engine: AsyncEngine, scope: Scope) -> AsyncIterator[_S]:
        async with kind(engine, expire_on_commit=False, autoflush=False) as session, session.begin():
            await session.begin_scope(scope)
            yield session

    def narrowed(self, scope: Scope, location_ids: frozenset[UUID]) -> Scope:
        """`scope` limited further to `location_ids`."""
        held = location_ids if scope.location_ids is None else scope.location_ids & location_ids
        return replace(scope, location_ids=held)
