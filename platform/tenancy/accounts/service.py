"""Signing in and staying so.

A wrong address, a wrong password, an account that is closed or never was opened: all are answered alike, after the same work.
Every attempt counts, of an account that exists or not, and so the limits tell nothing either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from lead_orchestrator.errors import BadInputError, ForbiddenError, UnauthenticatedError
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy.accounts import repository, second_factor
from lead_orchestrator.tenancy.accounts.keeping import Held, held
from lead_orchestrator.tenancy.accounts.limits import SignInLimits
from lead_orchestrator.tenancy.accounts.models import (
    SECOND_FACTOR_ROLES,
    AccountRow,
    Caller,
    Named,
    SignedIn,
    account_role,
    subject_of,
)
from lead_orchestrator.tenancy.accounts.passwords import Passwords
from lead_orchestrator.tenancy.accounts.tokens import EnrolmentTicket, RefreshTokens
from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.models import User
from lead_orchestrator.tenancy.secrets import SecretBox, token_hash
from lead_orchestrator.tenancy.sessions import Scope, Tenancy
from lead_orchestrator.tenancy.tokens import LIFETIME, Claims, TokenIssuer

__all__ = ["Accounts", "EnrolmentNeededError", "address_of"]

_log = get_logger(__name__)

IDLE = timedelta(days=14)
"""A sign-in that is not refreshed for so long has ended."""
LONGEST_SESSION = timedelta(days=90)
GRACE = timedelta(seconds=10)
"""For so long a refresh token that was used is answered with the one that has followed it, while that one is not used."""
ENROLMENT = timedelta(minutes=15)
LONGEST_ADDRESS, LONGEST_AGENT, LONGEST_CODE = 254, 300, 40
NOBODY = Named(UUID(int=0), UUID(int=0))
_PLATFORM = UUID(int=0)
"""In whose name the administrators' secrets are sealed."""
_TOTP = "totp_secret"
_WRONG = "the e-mail address or the password is wrong"
_ENDED = "the sign-in has ended: sign in again"
_CODE = "the code is wrong or was used already: take the next one, or a recovery code"


class EnrolmentNeededError(ForbiddenError):
    """The password is right, and the role needs a second factor that is not enrolled yet; `ticket` lets one do that."""

    def __init__(self, role: str, ticket: str) -> None:
        message = f"a {role} signs in with a second factor: enrol one with the enrolmentToken"
        super().__init__(message, code="SECOND_FACTOR_ENROLMENT_REQUIRED")
        self.ticket = ticket


@dataclass(frozen=True)
class Accounts:
    """`passwords` and `limits` are this process's."""

    tenancy: Tenancy
    lookups: Lookups
    secrets: SecretBox
    issuer: TokenIssuer
    tokens: RefreshTokens
    passwords: Passwords

    async def sign_in(
        self,
        email: str,
        password: str,
        *,
        franchise: str | None,
        code: str | None,
        caller: Caller,
        limits: SignInLimits,
    ) -> SignedIn:
        """By address and password; `franchise` (a slug) where the address works for several, else the oldest account is meant.

        Raises:
            RateLimitedError: too many attempts at this account, or from this address.
            UnauthenticatedError: SECOND_FACTOR_REQUIRED when only the code is missing, SECOND_FACTOR_WRONG, or it was wrong.
            EnrolmentNeededError: the second factor is to be enrolled first.
        """
        address = address_of(email)
        await limits.spend(address, caller.address)
        row = await self._row(address, franchise)
        stored = row.password_hash if row is not None and row.active else None
        if not await self.passwords.matches(stored, password) or row is None or stored is None:
            _log.info("sign_in_refused")
            raise UnauthenticatedError(_WRONG)
        role = account_role(row)
        named = _named(row)
        if row.totp_confirmed_at is None and role in SECOND_FACTOR_ROLES:
            raise EnrolmentNeededError(role.value, await self._ticket(named))
        if row.totp_confirmed_at is not None and not code:
            raise UnauthenticatedError("the code of the second factor is missing", code="SECOND_FACTOR_REQUIRED")
        renewed = await self.passwords.hash(password) if self.passwords.is_outdated(stored) else stored
        async with held(self.tenancy, named) as account:
            if account is None or not account.row.active or account.row.password_hash != stored:
                raise UnauthenticatedError(_WRONG)  # changed since
            if account.row.totp_confirmed_at is not None:
                await self._use_code(account, code or "")
            account.row.password_hash = renewed
            account.audit("user.signed_in")
            return await self._begin(account, caller)

    async def refresh(self, token: str | None) -> SignedIn:
        """Go on with a sign-in: the token is used up, and the answer has the next one.

        Tabs share a cookie, and a lost answer is asked for again: the token before is answered with the same next one for a
        moment. Any other that was used means that somebody has a copy of it: then the whole sign-in ends, for both of them.

        Raises:
            UnauthenticatedError: it has ended.
        """
        read = self.tokens.read_refresh(token)
        async with held(self.tenancy, read.account) as account:
            kept = await account.find(read.session_id) if account is not None else None
            if account is None or kept is None or not await account.is_open():
                raise UnauthenticatedError(_ENDED)
            now = await account.now()
            if kept.refresh_hash == read.hash and now < kept.expires_at:
                until = min(kept.created_at + LONGEST_SESSION, now + IDLE)
                await account.renew(read.session_id, token_hash(read.following), until)
                return self._answer(account.row, read.session_id, read.following)
            if kept.refresh_hash == token_hash(read.following) and now - kept.renewed_at <= GRACE:
                return self._answer(account.row, read.session_id, read.following)
            await account.end(read.session_id)
            account.audit("session.reused" if kept.refresh_hash != read.hash else "session.expired")
        raise UnauthenticatedError(_ENDED)  # after the commit: the end of the sign-in stands

    async def sign_out(self, token: str | None) -> None:
        """End the sign-in of this refresh token; one that is none of ours, or has ended, is left as it is."""
        try:
            read = self.tokens.read_refresh(token)
        except UnauthenticatedError:
            return
        async with held(self.tenancy, read.account) as account:
            if account is not None and await account.find(read.session_id) is not None:
                await account.end(read.session_id)
                account.audit("user.signed_out")

    async def sign_out_everywhere(self, claims: Claims, user_id: UUID) -> None:
        """End every sign-in of the caller, and every access token."""
        async with held(self.tenancy, Named(claims.tenant_id, user_id)) as account:
            if account is None:
                raise UnauthenticatedError(_ENDED)
            await account.end_all()
            account.raise_generation()
            account.audit("user.signed_out_everywhere")

    async def end_session(self, claims: Claims, user_id: UUID, session_id: UUID) -> None:
        """End one of the caller's own sign-ins; one that has ended is left as it is."""
        async with held(self.tenancy, Named(claims.tenant_id, user_id)) as account:
            if account is not None:
                await account.end(session_id)
                account.audit("session.ended")

    async def begin_enrolment(self, named: Named) -> second_factor.Enrolment:
        """A new secret for the authenticator; it counts once a code of it was shown.

        Raises:
            BadInputError: a second factor is enrolled already.
        """
        async with held(self.tenancy, named) as account:
            if account is None or not account.row.active:
                raise UnauthenticatedError(_ENDED)
            if account.row.totp_confirmed_at is not None:
                raise BadInputError("a second factor is enrolled already", code="ALREADY_ENROLLED")
            begun = second_factor.begin(account.row.email)
            account.row.totp_secret = self.secrets.seal(named.tenant_id or _PLATFORM, _TOTP, begun.secret)
            return begun

    async def confirm_enrolment(self, named: Named, code: str, caller: Caller, *, limits: SignInLimits) -> SignedIn:
        """The authenticator's first code: the second factor counts from now on, and the caller is signed in.

        The answer has the recovery codes, this once.
        """
        await limits.spend(f"enrolment {named.user_id}", caller.address)
        codes = second_factor.recovery_codes()
        async with held(self.tenancy, named) as account:
            if account is None or not account.row.active or account.row.totp_secret is None:
                raise UnauthenticatedError(_ENDED)
            if account.row.totp_confirmed_at is not None:
                raise BadInputError("a second factor is enrolled already", code="ALREADY_ENROLLED")
            await self._use_digits(account, code)
            account.row.totp_confirmed_at = await account.now()
            account.row.recovery_hashes = [second_factor.recovery_hash(one) for one in codes]
            account.audit("user.second_factor_enrolled")
            return await self._begin(account, caller, codes)

    async def enrolling(self, token: str) -> Named:
        """Whose enrolment the token of `EnrolmentNeededError` is for.

        Raises:
            UnauthenticatedError: it is none of ours, has expired, or the account has changed since.
        """
        ticket: EnrolmentTicket = self.tokens.read_enrolment(token)
        async with held(self.tenancy, ticket.account) as account:
            if (
                account is None
                or account.row.generation != ticket.generation
                or await account.now() > ticket.expires_at
            ):
                raise UnauthenticatedError("the enrolment has expired: sign in again")
        return ticket.account

    async def _row(self, address: str, franchise: str | None) -> AccountRow | None:
        """The account that is meant. Both places are always looked at, by the same statements."""
        async with self.tenancy.platform() as session:
            administrator = await repository.administrator_by_email(session, address)
        found = await self.lookups.login(address, franchise)
        named = Named(*found) if found else NOBODY
        async with self.tenancy.read(Scope.service(named.tenant_id or _PLATFORM, "sign-in")) as reading:
            member = await repository.account(reading, named.user_id)
        return administrator if administrator is not None and franchise is None else member

    async def _ticket(self, named: Named) -> str:
        async with held(self.tenancy, named) as account:
            if account is None:
                raise UnauthenticatedError(_WRONG)
            return self.tokens.enrolment(named, account.row.generation, await account.now() + ENROLMENT)

    async def _use_code(self, account: Held, code: str) -> None:
        """Use up a code of the authenticator, or a recovery code.

        Raises:
            UnauthenticatedError: it is neither; the transaction is undone.
        """
        used = second_factor.recovery_hash(code[:LONGEST_CODE])
        if used in account.row.recovery_hashes:
            account.row.recovery_hashes = [one for one in account.row.recovery_hashes if one != used]
            account.audit("user.recovery_code_used", {"left": len(account.row.recovery_hashes)})
            return
        await self._use_digits(account, code)

    async def _use_digits(self, account: Held, code: str) -> None:
        row = account.row
        tenant = row.tenant_id if isinstance(row, User) else _PLATFORM
        secret = self.secrets.open(tenant, _TOTP, row.totp_secret or b"")
        step = second_factor.step_of(secret, code, (await account.now()).timestamp(), row.totp_last_step)
        if step is None:
            raise UnauthenticatedError(_CODE, code="SECOND_FACTOR_WRONG")
        row.totp_last_step = step

    async def _begin(self, account: Held, caller: Caller, codes: Sequence[str] = ()) -> SignedIn:
        session_id = await account.new_id()
        token = self.tokens.refresh(_named(account.row), session_id)
        agent = caller.user_agent[:LONGEST_AGENT] if caller.user_agent else None
        hashed = self.tokens.read_refresh(token).hash
        await account.begin(session_id, hashed, agent, await account.now() + IDLE)
        return self._answer(account.row, session_id, token, codes)

    def _answer(self, row: AccountRow, session_id: UUID, refresh_token: str, codes: Sequence[str] = ()) -> SignedIn:
        role, named = account_role(row), _named(row)
        access = self.issuer.issue(
            subject=subject_of(row.id),
            role=role,
            tenant_id=named.tenant_id,
            location_ids=row.location_ids if isinstance(row, User) else None,
            session_id=session_id,
            generation=row.generation,
        )
        return SignedIn(access, refresh_token, int(LIFETIME.total_seconds()), role, row.id, named.tenant_id, codes)


def address_of(email: str) -> str:
    """The address as accounts have it.

    Raises:
        BadInputError: it cannot be one.
    """
    address = email.strip().lower()
    name, at, host = address.rpartition("@")
    if (
        not (name and at and "." in host)
        or len(address) > LONGEST_ADDRESS
        or any(part.isspace() or part < " " for part in address)
    ):
        raise BadInputError("email is no e-mail address: write it as in name@example.com", field=("email",))
    return address


def _named(row: AccountRow) -> Named:
    return Named(row.tenant_id if isinstance(row, User) else None, row.id)
