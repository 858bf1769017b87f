"""Where accounts and their sign-ins are kept: staff in rows of their own, the platform's few administrators in one row each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy import func

from lead_orchestrator.clock import real_now
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.accounts import repository
from lead_orchestrator.tenancy.accounts.models import AccountRow, Named, subject_of
from lead_orchestrator.tenancy.models import User
from lead_orchestrator.tenancy.records import LoginSession, PlatformUser
from lead_orchestrator.tenancy.sessions import PlatformSession, Scope, Tenancy, WriteSession

__all__ = ["Held", "KeptSession", "held", "raise_generation"]

_log = get_logger(__name__)

ACTIVE = "ACTIVE"


@dataclass(frozen=True)
class KeptSession:
    """A sign-in that is not revoked; `renewed_at` is when it got the refresh token that it has."""

    refresh_hash: bytes
    created_at: datetime
    renewed_at: datetime
    expires_at: datetime


class Held(Protocol):
    """An account that nobody else changes meanwhile, and its sign-ins; all is written at once when the block ends."""

    @property
    def row(self) -> AccountRow: ...
    async def is_open(self) -> bool: ...
    async def now(self) -> datetime: ...
    async def new_id(self) -> UUID: ...
    async def begin(self, session_id: UUID, refresh_hash: bytes, user_agent: str | None, until: datetime) -> None: ...
    async def find(self, session_id: UUID) -> KeptSession | None: ...
    async def renew(self, session_id: UUID, refresh_hash: bytes, until: datetime) -> None: ...
    async def end(self, session_id: UUID) -> None: ...
    async def end_all(self) -> None: ...
    def raise_generation(self) -> None: ...
    def audit(self, action: str, detail: Mapping[str, object] | None = None) -> None: ...


@asynccontextmanager
async def held(tenancy: Tenancy, named: Named) -> AsyncIterator[Held | None]:
    """The account, locked; None where there is none."""
    if named.tenant_id is None:
        async with tenancy.platform() as platform:
            administrator = await repository.lock_administrator(platform, named.user_id)
            yield _Administrator(platform, administrator) if administrator else None
        return
    async with tenancy.write(Scope.service(named.tenant_id, subject_of(named.user_id))) as session:
        user = await repository.lock_account(session, named.user_id)
        yield _Member(session, user) if user else None


@dataclass(frozen=True)
class _Member:
    """Of a franchise's staff."""

    session: WriteSession
    row: User

    async def is_open(self) -> bool:
        return self.row.active and (await tenancy_repository.tenant(self.session)).status == ACTIVE

    async def now(self) -> datetime:
        return await real_now(self.session)

    async def new_id(self) -> UUID:
        return await repository.new_id(self.session)

    async def begin(self, session_id: UUID, refresh_hash: bytes, user_agent: str | None, until: datetime) -> None:
        made = LoginSession(
            tenant_id=self.row.tenant_id,
            id=session_id,
            user_id=self.row.id,
            refresh_hash=refresh_hash,
            user_agent=user_agent,
            expires_at=until,
        )
        await repository.add_session(self.session, made)

    async def find(self, session_id: UUID) -> KeptSession | None:
        row = await repository.lock_session(self.session, session_id)
        if row is None or row.revoked_at is not None or row.user_id != self.row.id:
            return None
        return KeptSession(row.refresh_hash, row.created_at, row.last_seen_at, row.expires_at)

    async def renew(self, session_id: UUID, refresh_hash: bytes, until: datetime) -> None:
        row = await repository.lock_session(self.session, session_id)
        if row is not None:
            row.refresh_hash, row.expires_at, row.last_seen_at = refresh_hash, until, await self.now()

    async def end(self, session_id: UUID) -> None:
        row = await repository.lock_session(self.session, session_id)
        if row is not None and row.user_id == self.row.id and row.revoked_at is None:
            row.revoked_at = await self.now()

    async def end_all(self) -> None:
        await repository.end_sessions(self.session, self.row.id)

    def raise_generation(self) -> None:
        raise_generation(self.row)

    def audit(self, action: str, detail: Mapping[str, object] | None = None) -> None:
        self.session.audit(action, target=subject_of(self.row.id), detail=detail)


@dataclass(frozen=True)
class _Administrator:
    """Of the platform: the sign-ins are in the row itself, and ending one raises the generation, so that its access tokens end."""

    session: PlatformSession
    row: PlatformUser

    async def is_open(self) -> bool:
        return self.row.active

    async def now(self) -> datetime:
        return await real_now(self.session)

    async def new_id(self) -> UUID:
        return await repository.new_id(self.session)

    async def begin(self, session_id: UUID, refresh_hash: bytes, user_agent: str | None, until: datetime) -> None:
        now = (await self.now()).isoformat()
        made: dict[str, object] = {
            "hash": refresh_hash.hex(),
            "userAgent": user_agent,
            "createdAt": now,
            "lastSeenAt": now,
            "expiresAt": until.isoformat(),
        }
        kept = sorted(self.row.sessions.items(), key=lambda item: str(item[1]["lastSeenAt"]))
        self.row.sessions = {**dict(kept[-(repository.MOST_SESSIONS - 1) :]), str(session_id): made}

    async def find(self, session_id: UUID) -> KeptSession | None:
        found = self.row.sessions.get(str(session_id))
        if found is None:
            return None
        moments = (datetime.fromisoformat(str(found[name])) for name in ("createdAt", "lastSeenAt", "expiresAt"))
        return KeptSession(bytes.fromhex(str(found["hash"])), *moments)

    async def renew(self, session_id: UUID, refresh_hash: bytes, until: datetime) -> None:
        seen = (await self.now()).isoformat()
        changed = {"hash": refresh_hash.hex(), "lastSeenAt": seen, "expiresAt": until.isoformat()}
        key = str(session_id)
        self.row.sessions = {**self.row.sessions, key: {**self.row.sessions[key], **changed}}

    async def end(self, session_id: UUID) -> None:
        kept = {key: value for key, value in self.row.sessions.items() if key != str(session_id)}
        if kept != self.row.sessions:
            self.row.sessions = kept
            self.raise_generation()

    async def end_all(self) -> None:
        self.row.sessions = {}
        self.raise_generation()

    def raise_generation(self) -> None:
        self.row.generation += 1

    def audit(self, action: str, detail: Mapping[str, object] | None = None) -> None:
        _log.info("administrator_" + action.replace(".", "_"), subject=subject_of(self.row.id), detail=detail)


def raise_generation(user: User) -> None:
    """Tokens made out until now end within a second."""
    user.generation += 1
    user.generation_raised_at = func.clock_timestamp()  # for the database to fill in
