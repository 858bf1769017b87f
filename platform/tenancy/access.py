"""Who is calling, by the token they bring, and what was revoked meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from lead_orchestrator.errors import UnauthenticatedError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy import lookups as tenancy_lookups
from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.outside.verifier import OutsideTokens
from lead_orchestrator.tenancy.revocation import Revocation, RevocationKind, RevocationList
from lead_orchestrator.tenancy.tokens import LONGEST_LIFETIME, Claims, TokenVerifier

__all__ = ["Access", "RevocationWatch"]

_log = get_logger(__name__)

# Longer than any transaction of ours, whose rows show only at its commit, and than two machines' clocks are apart.
OVERLAP = timedelta(minutes=2)
INTERVAL = 0.5
_MISSING = "there is no access token: send the header Authorization: Bearer <token>"
_SCHEME = "the Authorization header is not understood: write Bearer and the access token"


@dataclass(frozen=True)
class Access:
    """Turns an Authorization header into claims; `revocations` is the list that `verifier` looks at.

    `outside` verifies the tokens of other issuers; without it only ours are taken.
    """

    verifier: TokenVerifier
    revocations: RevocationList
    outside: OutsideTokens | None = None

    def remembered(self, authorization_header: str | None) -> Claims | None:
        """Who is calling, if that was found out before from a token of ours; None says nothing: `prepare` and ask `claims`."""
        scheme, _, token = (authorization_header or "").partition(" ")
        return self.verifier.remembered(token) if scheme == "Bearer" else None

    async def prepare(self, authorization_header: str | None) -> None:
        """Have ready what `claims` needs: the keys of an outside issuer are read where one is named that we know."""
        token = (authorization_header or "").strip().partition(" ")[2].strip()
        if self.outside is not None and token and not self.verifier.remembers(token):
            await self.outside.learn(token)

    def claims(self, authorization_header: str | None) -> Claims:
        """Who is calling; of an outside issuer's token only after `prepare`.

        Raises:
            UnauthenticatedError: nobody we know; the message never quotes the header.
        """
        if not authorization_header or not authorization_header.strip():
            raise UnauthenticatedError(_MISSING)
        scheme, _, token = authorization_header.strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise UnauthenticatedError(_SCHEME)
        known = self.outside.known(token.strip()) if self.outside is not None else None
        return known or self.verifier.verify(token.strip())

    def seconds_left(self, claims: Claims) -> float:
        """Until the token expires; zero when it has."""
        return max(0.0, claims.expires_at.timestamp() - time.time())


class RevocationWatch:
    """Reads again every half second what Postgres says was revoked lately, into `revocations`.

    A user's tokens have `user_<id>` as their subject. While the database is away the last known list stands.
    """

    def __init__(
        self,
        lookups: Lookups,
        revocations: RevocationList,
        *,
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lookups = lookups
        self._revocations = revocations
        self._interval = interval
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._since = self._now() - LONGEST_LIFETIME
        self._away = False

    async def start(self) -> None:
        """Read all that can still concern a token, then go on in the background."""
        if self._task is None:
            await self.refresh()
            self._task = asyncio.create_task(self._watch(), name="revocation-watch")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def refresh(self) -> None:
        """Read once; an unreachable database is logged once and asked again the next time."""
        now = self._now()
        try:
            rows = await self._lookups.revoked(self._since)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            if not self._away:
                _log.warning("revocations_unreadable", error=type(error).__name__)
            self._away = True
            return
        self._revocations.apply(_revocations(rows, until=now + LONGEST_LIFETIME))
        self._revocations.forget(now)
        self._since, self._away = now - OVERLAP, False

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            await self.refresh()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _revocations(rows: Sequence[tenancy_lookups.Revocation], *, until: datetime) -> Iterator[Revocation]:
    for row in rows:
        match row.kind:
            case "session":
                yield Revocation(RevocationKind.SESSION, str(row.id), until=until)
            case "user":
                yield Revocation(RevocationKind.GENERATION, encode(Kind.USER, row.id), generation=row.generation or 0)
            case "tenant_suspended":
                yield Revocation(RevocationKind.TENANT_SUSPENDED, str(row.id))
            case "tenant_active":
                yield Revocation(RevocationKind.TENANT_RESUMED, str(row.id))
            case unknown:
                _log.error("revocation_kind_unknown", kind=unknown)
