"""What an account is, whoever keeps it: a franchise's staff in `users`, the platform's administrators in `platform_users`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from sqlalchemy import LargeBinary, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from lead_orchestrator.db import Base
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.tenancy.models import Moment, User
from lead_orchestrator.tenancy.records import PlatformUser
from lead_orchestrator.tenancy.tokens import Role

__all__ = [
    "SECOND_FACTOR_ROLES",
    "AccountRow",
    "Caller",
    "Invitation",
    "LinkKind",
    "Named",
    "SignedIn",
    "account_role",
    "subject_of",
]

SECOND_FACTOR_ROLES = frozenset({Role.OWNER, Role.PLATFORM_ADMIN})
"""They do not sign in without one."""

AccountRow = User | PlatformUser


class LinkKind(StrEnum):
    INVITATION = "INVITATION"
    RESET = "RESET"


class Invitation(Base):
    """A link that was mailed to somebody, good for one use; the link is made of `nonce`, which alone opens nothing.

    `mail_status` is NONE where it was handed over otherwise. Times are the database's real ones.
    """

    __tablename__ = "invitations"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.uuidv7())
    user_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(Text)
    nonce: Mapped[bytes] = mapped_column(LargeBinary)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(Moment)
    used_at: Mapped[datetime | None] = mapped_column(Moment)
    mail_status: Mapped[str] = mapped_column(Text, server_default="PENDING")
    mail_attempts: Mapped[int] = mapped_column(server_default="0")
    mail_due_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


@dataclass(frozen=True)
class Named:
    """Which account is meant; `tenant_id` None is the platform's."""

    tenant_id: UUID | None
    user_id: UUID


@dataclass(frozen=True)
class Caller:
    """Where a request comes from, as its session remembers it."""

    user_agent: str | None
    address: str | None = field(default=None, repr=False)


class _Person(Protocol):
    @property
    def name(self) -> str | None: ...
    @property
    def email(self) -> str: ...


@dataclass(frozen=True)
class SignedIn:
    """What signing in comes to: the access token for the caller's memory, the refresh token for its cookie."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    role: Role
    user_id: UUID
    tenant_id: UUID | None
    recovery_codes: Sequence[str] = field(default=(), repr=False)


def account_role(row: AccountRow) -> Role:
    return Role(row.role) if isinstance(row, User) else Role.PLATFORM_ADMIN


def subject_of(user_id: UUID) -> str:
    """The subject of an account's tokens."""
    return encode(Kind.USER, user_id)
