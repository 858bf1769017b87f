"""What an account's holder carries besides access tokens: each names the account, and is signed, so that only ours are looked up."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from lead_orchestrator.errors import UnauthenticatedError
from lead_orchestrator.tenancy.accounts.models import Named
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.secrets import token_hash

__all__ = ["EnrolmentTicket", "RefreshToken", "RefreshTokens"]

_NO_TENANT = UUID(int=0)
_ID, _RANDOM, _EXPIRY, _GENERATION = 16, 32, 8, 4
_REFRESH = "refresh"
_ENDED = "the sign-in has ended: sign in again"
_STALE = "the enrolment has expired: sign in again"


@dataclass(frozen=True)
class RefreshToken:
    """Which sign-in is to go on; `hash` is what is kept of the token, `following` the token after it.

    The token after it is always the same one, so that whoever sends this one twice at once is answered alike.
    """

    account: Named
    session_id: UUID
    hash: bytes = field(repr=False)
    following: str = field(repr=False)


@dataclass(frozen=True)
class EnrolmentTicket:
    """Who may enrol a second factor, having shown the password a moment ago."""

    account: Named
    generation: int
    expires_at: datetime


class RefreshTokens:
    """Makes and reads them."""

    def __init__(self, signer: LinkSigner) -> None:
        self._signer = signer

    def refresh(self, account: Named, session_id: UUID) -> str:
        """The first one of a sign-in."""
        body = _named(account) + session_id.bytes + secrets.token_bytes(_RANDOM)
        return self._signer.sign(_REFRESH, body)

    def read_refresh(self, token: str | None) -> RefreshToken:
        """Raises UnauthenticatedError: it is none of ours."""
        body = self._signer.signed(_REFRESH, token or "")
        if body is None or len(body) != 3 * _ID + _RANDOM:
            raise UnauthenticatedError(_ENDED)
        following = self._signer.sign(_REFRESH, body[: 3 * _ID] + self._signer.derived(_REFRESH, body))
        session_id = UUID(bytes=body[2 * _ID : 3 * _ID])
        return RefreshToken(_account(body), session_id, token_hash(token or ""), following)

    def enrolment(self, account: Named, generation: int, expires_at: datetime) -> str:
        expiry = int(expires_at.timestamp()).to_bytes(_EXPIRY, "big")
        return self._signer.sign("second factor", _named(account) + expiry + generation.to_bytes(_GENERATION, "big"))

    def read_enrolment(self, token: str) -> EnrolmentTicket:
        """Raises UnauthenticatedError: it is none of ours. Whoever takes it checks the time and the generation."""
        body = self._signer.signed("second factor", token)
        if body is None or len(body) != 2 * _ID + _EXPIRY + _GENERATION:
            raise UnauthenticatedError(_STALE)
        expiry = int.from_bytes(body[2 * _ID : 2 * _ID + _EXPIRY], "big")
        return EnrolmentTicket(
            _account(body), int.from_bytes(body[-_GENERATION:], "big"), datetime.fromtimestamp(expiry, UTC)
        )


def _named(account: Named) -> bytes:
    return (account.tenant_id or _NO_TENANT).bytes + account.user_id.bytes


def _account(body: bytes) -> Named:
    tenant = UUID(bytes=body[:_ID])
    return Named(None if tenant == _NO_TENANT else tenant, UUID(bytes=body[_ID : 2 * _ID]))
