"""All SQL about accounts, where they are signed in, and the links they were mailed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from lead_orchestrator.tenancy.accounts.models import Invitation
from lead_orchestrator.tenancy.models import Location, User
from lead_orchestrator.tenancy.records import LoginSession, PlatformUser
from lead_orchestrator.tenancy.sessions import PlatformSession, ReadSession, WriteSession

__all__ = [
    "account",
    "add_invitation",
    "add_session",
    "administrator_by_email",
    "claim_mails",
    "end_sessions",
    "invitation",
    "known_locations",
    "lock_account",
    "lock_administrator",
    "lock_by_email",
    "lock_owners",
    "lock_session",
    "new_id",
    "owners",
    "settle_mail",
    "void_links",
]

MOST_SESSIONS = 20
"""Of one account; who signs in once more ends the one that was seen longest ago."""


async def new_id(session: AsyncSession) -> UUID:
    made: UUID = (await session.execute(select(func.uuidv7()))).scalar_one()
    return made


async def account(session: ReadSession, user_id: UUID) -> User | None:
    return await session.scalar(select(User).where(User.tenant_id == session.scope.tenant_id, User.id == user_id))


async def lock_account(session: WriteSession, user_id: UUID) -> User | None:
    own = select(User).where(User.tenant_id == session.scope.tenant_id, User.id == user_id)
    return await session.scalar(own.with_for_update().execution_options(populate_existing=True))


async def lock_by_email(session: WriteSession, email: str) -> User | None:
    own = select(User).where(User.tenant_id == session.scope.tenant_id, User.email == email)
    return await session.scalar(own.with_for_update().execution_options(populate_existing=True))


async def administrator_by_email(session: PlatformSession, email: str) -> PlatformUser | None:
    return await session.scalar(select(PlatformUser).where(PlatformUser.email == email))


async def lock_administrator(session: PlatformSession, user_id: UUID) -> PlatformUser | None:
    own = select(PlatformUser).where(PlatformUser.id == user_id).with_for_update()
    return await session.scalar(own.execution_options(populate_existing=True))


async def add_session(session: WriteSession, row: LoginSession) -> None:
    """Note a sign-in; of too many the longest unseen are ended."""
    session.add(row)
    await session.flush()
    open_ones = select(LoginSession.id).where(*_open(session, row.user_id)).order_by(LoginSession.last_seen_at.desc())
    surplus = open_ones.offset(MOST_SESSIONS)
    await _end(session, LoginSession.id.in_(surplus.scalar_subquery()))


async def lock_session(session: WriteSession, session_id: UUID) -> LoginSession | None:
    own = select(LoginSession).where(LoginSession.tenant_id == session.scope.tenant_id, LoginSession.id == session_id)
    return await session.scalar(own.with_for_update().execution_options(populate_existing=True))


async def end_sessions(session: WriteSession, user_id: UUID) -> None:
    """Revoke every sign-in of this user."""
    await _end(session, LoginSession.user_id == user_id)


async def _end(session: WriteSession, which: ColumnElement[bool]) -> None:
    ended = update(LoginSession).where(
        LoginSession.tenant_id == session.scope.tenant_id,
        LoginSession.revoked_at.is_(None),
        which,
    )
    await session.execute(ended.values(revoked_at=func.clock_timestamp()).execution_options(synchronize_session=False))


def _open(session: ReadSession, user_id: UUID) -> Sequence[ColumnElement[bool]]:
    return (
        LoginSession.tenant_id == session.scope.tenant_id,
        LoginSession.user_id == user_id,
        LoginSession.revoked_at.is_(None),
    )


async def lock_owners(session: WriteSession) -> None:
    """Changes of who owns this franchise take turns; a statement of its own, before anything of them is read."""
    key = {"key": f"owners:{session.scope.tenant_id}"}
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), key)


async def owners(session: ReadSession) -> Sequence[User]:
    """Those who are active."""
    own = select(User).where(User.tenant_id == session.scope.tenant_id, User.role == "OWNER", User.active)
    return list(await session.scalars(own.order_by(User.id)))


async def known_locations(session: ReadSession, ids: Sequence[UUID]) -> frozenset[UUID]:
    """Those of `ids` that are locations the session sees."""
    own = select(Location.id).where(Location.tenant_id == session.scope.tenant_id, Location.id.in_(ids))
    return frozenset(await session.scalars(own))


async def add_invitation(session: WriteSession, row: Invitation) -> None:
    """Note a link; earlier ones of its kind are void."""
    await void_links(session, row.user_id, row.kind)
    session.add(row)
    await session.flush()


async def void_links(session: WriteSession, user_id: UUID, *kinds: str) -> None:
    """Nobody can use the open links of these kinds any more, and they are not mailed either."""
    own = update(Invitation).where(
        Invitation.tenant_id == session.scope.tenant_id,
        Invitation.user_id == user_id,
        Invitation.kind.in_(kinds),
        Invitation.used_at.is_(None),
    )
    await session.execute(own.values(used_at=func.clock_timestamp()).execution_options(synchronize_session=False))


async def invitation(session: ReadSession, key: UUID, *, lock: bool = False) -> Invitation | None:
    own = select(Invitation).where(Invitation.tenant_id == session.scope.tenant_id, Invitation.id == key)
    return await session.scalar((own.with_for_update() if lock else own).execution_options(populate_existing=True))


async def claim_mails(session: WriteSession, lease: timedelta, limit: int) -> Sequence[tuple[Invitation, User]]:
    """Links whose mail is due, each the caller's for `lease`; those that nobody could use any more are left."""
    due = (
        select(Invitation, User)
        .join(User, (User.tenant_id == Invitation.tenant_id) & (User.id == Invitation.user_id))
        .where(
            Invitation.tenant_id == session.scope.tenant_id,
            Invitation.mail_status == "PENDING",
            Invitation.mail_due_at <= func.now(),
            or_(Invitation.used_at.is_(None), User.active.is_(False)),
        )
        .order_by(Invitation.mail_due_at)
        .limit(limit)
        .with_for_update(of=Invitation, skip_locked=True)
    )
    claimed = [(row, user) for row, user in await session.execute(due)]
    ids = [row.id for row, _ in claimed]
    own = update(Invitation).where(Invitation.tenant_id == session.scope.tenant_id, Invitation.id.in_(ids))
    leased = own.values(mail_due_at=func.now() + lease, mail_attempts=Invitation.mail_attempts + 1)
    await session.execute(leased.execution_options(synchronize_session=False))
    return claimed


async def settle_mail(session: WriteSession, key: UUID, status: str, due_at: datetime | None = None) -> None:
    """What became of a mail; `due_at` is when to try again."""
    own = update(Invitation).where(Invitation.tenant_id == session.scope.tenant_id, Invitation.id == key)
    values: dict[str, object] = {"mail_status": status}
    if due_at is not None:
        values["mail_due_at"] = due_at
    await session.execute(own.values(**values).execution_options(synchronize_session=False))
