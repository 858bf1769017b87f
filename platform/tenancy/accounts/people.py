"""Who may do what to whom within a franchise: invite, change a role, close an account, end sign-ins.

Nobody gives or touches more than they have: not a role above their own, not a location that is not theirs. A franchise keeps an
owner who can sign in.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

from lead_orchestrator.errors import (
    BadInputError,
    ForbiddenError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from lead_orchestrator.ids import Kind, decode, kind_of
from lead_orchestrator.tenancy.accounts import repository
from lead_orchestrator.tenancy.accounts.keeping import raise_generation
from lead_orchestrator.tenancy.accounts.links import LONGEST_NAME, AccountLinks
from lead_orchestrator.tenancy.accounts.models import LinkKind, subject_of
from lead_orchestrator.tenancy.accounts.service import address_of
from lead_orchestrator.tenancy.models import User
from lead_orchestrator.tenancy.sessions import WriteSession
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["KEEP", "Invited", "Kept", "People"]

_RANK = {Role.AGENT: 1, Role.MANAGER: 2, Role.OWNER: 3}
_CHANGED = "your rights have changed meanwhile: refresh the access token"


class Kept:
    """Stands for locations that stay as they are."""


KEEP = Kept()
Locations = Collection[UUID] | None
"""None is every location."""


@dataclass(frozen=True)
class _Actor:
    """What the caller has now, whatever the token said; `user` None is one without an account here: the cli, support."""

    role: Role
    locations: frozenset[UUID] | None
    user: User | None

    def reaches(self, locations: Locations) -> bool:
        """Whether all of these are the caller's."""
        return self.locations is None or (locations is not None and set(locations) <= self.locations)


@dataclass(frozen=True)
class Invited:
    """`url` is where the invitation is accepted: a secret of whom it is for."""

    user: User
    url: str = field(repr=False)


@dataclass(frozen=True)
class People:
    """`links` mails invitations; `mails` says whether there is an account to mail from."""

    links: AccountLinks
    mails: bool

    async def invite(
        self,
        session: WriteSession,
        *,
        email: str,
        name: str | None,
        role: Role,
        locations: Locations = None,
        mail: bool = True,
    ) -> Invited:
        """Somebody new, or somebody whose account was closed or who has not come yet; the invitation is mailed unless told.

        Raises:
            BadInputError: ALREADY_A_USER, or there is no such role or location for staff.
            ForbiddenError: it is more than the caller has.
            UnavailableError: nothing can be mailed from here.
        """
        if mail and not self.mails:
            raise UnavailableError("nothing can be mailed: set PLATFORM_SENDGRID_API_KEY and PLATFORM_FROM_EMAIL")
        address = address_of(email)
        actor = await self._actor(session, role)
        await self._may_give(session, actor, role, locations)
        user = await repository.lock_by_email(session, address)
        if user is not None:
            self._may_touch(actor, user)
            if user.active and user.password_hash is not None:
                message = "somebody with this address works here already: change their role instead"
                raise BadInputError(message, code="ALREADY_A_USER", field=("input", "email"))
        user = await self._invited(session, user, address)
        user.name = (name or "").strip()[:LONGEST_NAME] or user.name
        user.role, user.location_ids = role.value, None if locations is None else sorted(locations)
        await session.flush()
        link = await self.links.add(session, user, LinkKind.INVITATION, mail=mail)
        session.audit("user.invited", target=subject_of(user.id), detail={"role": role.value})
        return Invited(user, self.links.url(link))

    async def set_role(
        self, session: WriteSession, user_id: UUID, role: Role, locations: Locations | Kept = KEEP
    ) -> User:
        """Give somebody another role, or other locations; their access tokens end within a second.

        Raises:
            BadInputError: LAST_OWNER, or as `invite`.
            ForbiddenError, NotFoundError: as the caller's rights have it.
        """
        actor, user = await self._touched(session, user_id, role)
        wanted = self._wanted(user, role, locations)
        await self._may_give(session, actor, role, wanted)
        if role is not Role.OWNER:
            await self._keeps_an_owner(session, user)
        user.role, user.location_ids = role.value, None if wanted is None else sorted(wanted)
        raise_generation(user)
        await session.flush()
        session.audit("user.role_changed", target=subject_of(user.id), detail={"role": role.value})
        return user

    async def deactivate(self, session: WriteSession, user_id: UUID) -> User:
        """Close an account: its sign-ins and links are void. An invitation opens it again.

        Raises:
            BadInputError: LAST_OWNER.
            ForbiddenError, NotFoundError: as the caller's rights have it.
        """
        _, user = await self._touched(session, user_id)
        await self._keeps_an_owner(session, user)
        user.active, user.password_hash = False, None
        user.totp_secret, user.totp_confirmed_at, user.recovery_hashes = None, None, []
        raise_generation(user)
        await session.flush()
        await repository.void_links(session, user.id, *LinkKind)
        await repository.end_sessions(session, user.id)
        session.audit("user.deactivated", target=subject_of(user.id))
        return user

    async def revoke_sessions(self, session: WriteSession, user_id: UUID) -> User:
        """End every sign-in of somebody, or one's own.

        Raises:
            ForbiddenError, NotFoundError: as the caller's rights have it.
        """
        _, user = await self._touched(session, user_id)
        raise_generation(user)
        await session.flush()
        await repository.end_sessions(session, user.id)
        session.audit("user.sessions_revoked", target=subject_of(user.id))
        return user

    async def _touched(self, session: WriteSession, user_id: UUID, role: Role | None = None) -> tuple[_Actor, User]:
        """The caller and the one it is about, both locked, in the order that all take."""
        await repository.lock_owners(session)
        actor = await self._actor(session, role)
        user = await repository.lock_account(session, user_id)
        if user is None:
            raise NotFoundError("there is nobody of this id in your franchise", field=("userId",))
        self._may_touch(actor, user)
        return actor, user

    async def _actor(self, session: WriteSession, role: Role | None = None) -> _Actor:
        scope = session.scope
        if role is not None and role not in _RANK:
            message = f"{role.value} is no role of staff: take one of {', '.join(_RANK)}"
            raise BadInputError(message, field=("role",))
        if kind_of(scope.subject) is not Kind.USER:
            return _Actor(scope.role or Role.OWNER, scope.location_ids, None)
        user = await repository.lock_account(session, decode(Kind.USER, scope.subject))
        if user is None:
            return _Actor(scope.role or Role.OWNER, scope.location_ids, None)
        locations = None if user.location_ids is None else frozenset(user.location_ids)
        if not user.active or scope.role != user.role or scope.location_ids != locations:
            raise UnauthenticatedError(_CHANGED)
        return _Actor(Role(user.role), locations, user)

    def _may_touch(self, actor: _Actor, user: User) -> None:
        if actor.user is not None and actor.user.id == user.id:
            return
        if actor.role is Role.AGENT or _RANK[Role(user.role)] > _RANK[actor.role]:
            raise ForbiddenError(f"a {actor.role.value} may not do this to a {user.role}", field=("userId",))
        if not actor.reaches(user.location_ids):
            raise ForbiddenError("this person works at locations that are not yours", field=("userId",))

    async def _may_give(self, session: WriteSession, actor: _Actor, role: Role, locations: Locations) -> None:
        if actor.role is Role.AGENT or _RANK[role] > _RANK[actor.role]:
            raise ForbiddenError(f"a {actor.role.value} may not make anybody {role.value}", field=("role",))
        if role is Role.OWNER and locations is not None:
            raise BadInputError("an OWNER has every location: leave locationIds out", field=("locationIds",))
        if not actor.reaches(locations):
            raise ForbiddenError("these are not all your locations: name yours in locationIds", field=("locationIds",))
        if locations is not None and await repository.known_locations(session, list(locations)) != frozenset(locations):
            raise NotFoundError("one of locationIds is no location of your franchise", field=("locationIds",))

    def _wanted(self, user: User, role: Role, locations: Locations | Kept) -> Locations:
        if role is Role.OWNER and isinstance(locations, Kept):
            return None
        return user.location_ids if isinstance(locations, Kept) else locations

    async def _keeps_an_owner(self, session: WriteSession, leaving: User) -> None:
        """The owners' lock is held, so nobody else leaves at the same time."""
        if leaving.role != Role.OWNER or not leaving.active:
            return
        others = [owner for owner in await repository.owners(session) if owner.id != leaving.id]
        if not any(owner.password_hash is not None or leaving.password_hash is None for owner in others):
            message = "a franchise keeps an owner who can sign in: make somebody else one first"
            raise BadInputError(message, code="LAST_OWNER", field=("userId",))

    async def _invited(self, session: WriteSession, user: User | None, address: str) -> User:
        if user is None:
            user = User(tenant_id=session.scope.tenant_id, email=address, role=Role.AGENT.value)
            session.add(user)
            return user
        if not user.active:
            user.active, user.password_hash = True, None
        raise_generation(user)
        return user
