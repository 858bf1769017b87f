"""Who works for the franchise, and where oneself is signed in."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Self
from uuid import UUID

import strawberry

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


async def my_sessions(info: Request) -> list[LoginSession]:
    """The last seen first; none for a token that is no user's of a franchise."""
    claims = info.context.claims
    if claims.tenant_id is None or kind_of(claims.subject) is not Kind.USER:
        return []
    rows = await info.context.run(repository.login_sessions, decode(Kind.USER, claims.subject), MOST_SESSIONS)
    return [LoginSession.of(row, claims.session_id) for row in rows]
