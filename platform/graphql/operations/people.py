"""Who works for the franchise, and where oneself is signed in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Self
from uuid import UUID

import strawberry

from lead_orchestrator.clock import real_now
from lead_orchestrator.graphql.connections import Connection, Node
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.cursors import Key, Page, cursor
from lead_orchestrator.graphql.operations import repository
from lead_orchestrator.graphql.tenant_types import User
from lead_orchestrator.ids import Kind, decode, encode, kind_of
from lead_orchestrator.tenancy import records

__all__ = ["MOST_SESSIONS", "USER_ORDER", "LoginSession", "UserConnection", "my_sessions"]

USER_ORDER = "user.email"
MOST_SESSIONS = 100


@strawberry.type
class UserConnection(Connection[User]):
    """By e-mail address."""

    @classmethod
    async def load(cls, info: Request, wanted: Page, after: str | None) -> Self:
        rows = await info.context.run(repository.users_page, wanted)
        found = ((cursor(USER_ORDER, Key(row.email, row.id), Kind.USER), User.of(row)) for row in rows)
        return cls.page(found, wanted.first, after, partial(info.context.run, repository.count_users))


@strawberry.type
class LoginSession(Node):
    """A browser one is signed in with."""

    created_at: datetime
    last_seen_at: datetime
    user_agent: str | None
    current: bool

    @classmethod
    def of(cls, row: records.LoginSession, current: UUID | None) -> LoginSession:
        return cls(
            id=strawberry.ID(encode(Kind.LOGIN_SESSION, row.id)),
            created_at=row.created_at,
            last_seen_at=row.last_seen_at,
            user_agent=row.user_agent,
            current=row.id == current,
        )

    @classmethod
    def of_administrator(cls, key: UUID, kept: Mapping[str, object], current: UUID | None) -> LoginSession:
        """As an administrator of the platform has it in its own row."""
        agent = kept.get("userAgent")
        return cls(
            id=strawberry.ID(encode(Kind.LOGIN_SESSION, key)),
            created_at=_moment(kept, "createdAt"),
            last_seen_at=_moment(kept, "lastSeenAt"),
            user_agent=None if agent is None else str(agent),
            current=key == current,
        )


async def my_sessions(info: Request) -> list[LoginSession]:
    """The last seen first; none for a token that is no user's."""
    claims = info.context.claims
    if kind_of(claims.subject) is not Kind.USER:
        return []
    if claims.tenant_id is None:
        return await _administrators_sessions(info)
    rows = await info.context.run(repository.login_sessions, decode(Kind.USER, claims.subject), MOST_SESSIONS)
    return [LoginSession.of(row, claims.session_id) for row in rows]


async def _administrators_sessions(info: Request) -> list[LoginSession]:
    claims = info.context.claims
    async with info.context.services.tenancy.platform() as session:
        row = await repository.platform_user(session, decode(Kind.USER, claims.subject))
        now = await real_now(session)
    if row is None:
        return []
    found = [LoginSession.of_administrator(UUID(key), kept, claims.session_id) for key, kept in row.sessions.items()]
    still = [one for one, kept in zip(found, row.sessions.values(), strict=True) if _moment(kept, "expiresAt") > now]
    return sorted(still, key=lambda one: one.last_seen_at, reverse=True)


def _moment(kept: Mapping[str, object], name: str) -> datetime:
    return datetime.fromisoformat(str(kept[name]))
