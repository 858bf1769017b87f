"""Links that let one set a password: an invitation, or a new one for a forgotten one. Each is mailed, and good for one use."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from lead_orchestrator.clock import real_now
from lead_orchestrator.errors import NotFoundError
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.accounts import repository
from lead_orchestrator.tenancy.accounts.keeping import raise_generation
from lead_orchestrator.tenancy.accounts.models import Invitation, LinkKind, subject_of
from lead_orchestrator.tenancy.accounts.passwords import Passwords
from lead_orchestrator.tenancy.accounts.service import address_of
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.models import User
from lead_orchestrator.tenancy.records import PlatformUser
from lead_orchestrator.tenancy.sessions import PlatformSession, Scope, Tenancy, WriteSession

__all__ = ["PATH", "AccountLinks", "Opened"]

PATH = "/auth/links"
LIVES = {LinkKind.INVITATION: timedelta(days=7), LinkKind.RESET: timedelta(hours=1)}
LONGEST_NAME = 200
_PURPOSE = "account"
_NO_TENANT = UUID(int=0)
_ID, _NONCE = 16, 16
_ENDED = "this link was used or has expired: ask for a new one"


@dataclass(frozen=True)
class Opened:
    """A link that is still good, and whom it is for."""

    kind: LinkKind
    email: str = field(repr=False)
    franchise: str


@dataclass(frozen=True)
class _Token:
    tenant_id: UUID | None
    key: UUID
    nonce: bytes = field(repr=False)


@dataclass(frozen=True)
class AccountLinks:
    """Makes and redeems them. Of an administrator of the platform the link stands in its own row, and is handed over, not mailed."""

    tenancy: Tenancy
    lookups: Lookups
    signer: LinkSigner
    passwords: Passwords
    public_url: str

    async def add(self, session: WriteSession, user: User, kind: LinkKind, *, mail: bool = True) -> Invitation:
        """A link for this user; earlier ones of its kind are void. The mail leaves once the session has committed."""
        row = Invitation(
            tenant_id=user.tenant_id,
            id=await repository.new_id(session),
            user_id=user.id,
            kind=kind.value,
            nonce=secrets.token_bytes(_NONCE),
            created_by=session.scope.subject,
            expires_at=await real_now(session) + LIVES[kind],
            mail_status="PENDING" if mail else "NONE",
        )
        await repository.add_invitation(session, row)
        return row

    def url(self, row: Invitation) -> str:
        """Where its holder sets the password."""
        return self._url(row.tenant_id, row.id, row.nonce)

    async def forgot(self, email: str, franchise: str | None) -> UUID | None:
        """A link to a new password for who has this address, if anybody; the franchise whose mail is to be sent then."""
        found = await self.lookups.login(address_of(email), franchise)
        if found is None:
            return None
        tenant_id, user_id = found
        async with self.tenancy.write(Scope.service(tenant_id, subject_of(user_id))) as session:
            user = await repository.lock_account(session, user_id)
            if user is None or not user.active:
                return None
            await self.add(session, user, LinkKind.RESET if user.password_hash else LinkKind.INVITATION)
            session.audit("user.reset_asked", target=subject_of(user_id))
        return tenant_id

    async def open(self, token: str) -> Opened:
        """What the link is for.

        Raises:
            NotFoundError: it was used, has expired, or is none of ours.
        """
        read = self._read(token)
        if read.tenant_id is None:
            async with self.tenancy.platform() as platform:
                administrator = await self._administrator(platform, read)
                return Opened(LinkKind.RESET, administrator.email, "Lead Orchestrator")
        async with self.tenancy.write(Scope.service(read.tenant_id, "account link")) as session:
            row, user = await self._good(session, read)
            franchise = await tenancy_repository.tenant(session)
            return Opened(LinkKind(row.kind), user.email, franchise.name)

    async def redeem(self, token: str, password: str, name: str | None = None) -> None:
        """Set the password. Whoever was signed in with the old one is not any more.

        Raises:
            NotFoundError: as `open`.
            BadInputError: the password will not do; the link is still good.
        """
        opened = await self.open(token)
        await self.passwords.check(password, [opened.email, opened.franchise, name or ""])
        hashed, read = await self.passwords.hash(password), self._read(token)
        if read.tenant_id is None:
            async with self.tenancy.platform() as platform:
                administrator = await self._administrator(platform, read)
                administrator.password_hash, administrator.link_nonce = hashed, None
                administrator.sessions = {}
                administrator.generation += 1
            return
        async with self.tenancy.write(Scope.service(read.tenant_id, "account link")) as session:
            row, user = await self._good(session, read)
            row.used_at = await real_now(session)
            user.password_hash = hashed
            user.name = (name or "").strip()[:LONGEST_NAME] or user.name
            raise_generation(user)
            await session.flush()
            await repository.void_links(session, user.id, *LinkKind)
            await repository.end_sessions(session, user.id)
            accepted = row.kind == LinkKind.INVITATION
            session.audit("user.invitation_accepted" if accepted else "user.password_reset", target=subject_of(user.id))

    async def administrator(self, email: str, name: str | None = None) -> str:
        """A link for an administrator of the platform, who is made if there is none with this address.

        The second factor is enrolled anew: whoever can call this has the machine.
        """
        address, nonce = address_of(email), secrets.token_bytes(_NONCE)
        async with self.tenancy.platform() as session:
            row = await repository.administrator_by_email(session, address)
            if row is None:
                row = PlatformUser(id=await repository.new_id(session), email=address, name=name)
                session.add(row)
            row.link_nonce, row.link_expires_at = nonce, await real_now(session) + LIVES[LinkKind.INVITATION]
            row.active, row.totp_secret, row.totp_confirmed_at, row.recovery_hashes = True, None, None, []
            key = row.id
        return self._url(None, key, nonce)

    def _url(self, tenant_id: UUID | None, key: UUID, nonce: bytes) -> str:
        body = (tenant_id or _NO_TENANT).bytes + key.bytes + nonce
        return f"{self.public_url.rstrip('/')}{PATH}/{self.signer.sign(_PURPOSE, body)}"

    def _read(self, token: str) -> _Token:
        body = self.signer.signed(_PURPOSE, token)
        if body is None or len(body) != 2 * _ID + _NONCE:
            raise NotFoundError(_ENDED)
        tenant = UUID(bytes=body[:_ID])
        return _Token(None if tenant == _NO_TENANT else tenant, UUID(bytes=body[_ID : 2 * _ID]), body[2 * _ID :])

    async def _good(self, session: WriteSession, read: _Token) -> tuple[Invitation, User]:
        row = await repository.invitation(session, read.key, lock=True)
        if row is None or row.used_at is not None or not hmac.compare_digest(row.nonce, read.nonce):
            raise NotFoundError(_ENDED)
        user = await repository.lock_account(session, row.user_id)
        if user is None or not user.active or row.expires_at <= await real_now(session):
            raise NotFoundError(_ENDED)
        return row, user

    async def _administrator(self, session: PlatformSession, read: _Token) -> PlatformUser:
        row = await repository.lock_administrator(session, read.key)
        if row is None or not row.active or row.link_nonce is None or row.link_expires_at is None:
            raise NotFoundError(_ENDED)
        if not hmac.compare_digest(row.link_nonce, read.nonce) or row.link_expires_at <= await real_now(session):
            raise NotFoundError(_ENDED)
        return row
