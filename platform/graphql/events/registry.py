"""The sockets of this process: how many there may be, and which of them were revoked."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Protocol, TypeVar
from uuid import UUID

from lead_orchestrator.graphql.events.codes import Close
from lead_orchestrator.graphql.events.messages import ClosingError
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.tokens import Claims, Role

__all__ = ["Registry"]

MOST_OF_A_USER = 30
MOST_OF_A_TENANT = 3_000
MOST_SILENT = 1_000
MOST_SOCKETS = 20_000
SWEEP_SECONDS = 0.2
_REVOKED = "the access token has been revoked: sign in again and come back"


K = TypeVar("K")


class Closable(Protocol):
    def close(self, code: Close, reason: str) -> None: ...


class Registry:
    """Sockets enter with their claims; as soon as `revocations` changes, those that no longer count are closed.

    `slow` counts those that were closed because they did not read.
    """

    def __init__(self, revocations: RevocationList) -> None:
        self._revocations = revocations
        self._seen = revocations.version
        self._open: dict[Closable, Claims] = {}
        self._of_users: Counter[tuple[UUID | None, str]] = Counter()
        self._of_tenants: Counter[tuple[UUID | None, bool]] = Counter()
        self.slow = 0
        self._silent: set[Closable] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._watch(), name="socket-sweep")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def arrive(self, socket: Closable) -> None:
        """A socket that has not said yet who it is.

        Raises:
            ClosingError: there are too many of them.
        """
        if len(self._silent) >= MOST_SILENT or len(self._open) >= MOST_SOCKETS:
            raise ClosingError(Close.TRY_AGAIN, "there are too many sockets here: come back in a while")
        self._silent.add(socket)

    def enter(self, socket: Closable, claims: Claims) -> None:
        """Raises ClosingError: its user has too many already, or its tenant's staff, or its tenant's visitors."""
        user, group = _user(claims), _group(claims)
        if self._of_users[user] >= MOST_OF_A_USER:
            raise ClosingError(Close.TRY_AGAIN, f"this user has {MOST_OF_A_USER} sockets: close one of them first")
        if self._of_tenants[group] >= MOST_OF_A_TENANT:
            reason = f"this franchise has {MOST_OF_A_TENANT} sockets of its kind: close one of them first"
            raise ClosingError(Close.TRY_AGAIN, reason)
        self._silent.discard(socket)
        self._open[socket] = claims
        self._of_users[user] += 1
        self._of_tenants[group] += 1

    def leave(self, socket: Closable) -> None:
        """Whoever it was."""
        self._silent.discard(socket)
        claims = self._open.pop(socket, None)
        if claims is not None:
            _take_one(self._of_users, _user(claims))
            _take_one(self._of_tenants, _group(claims))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            if self._seen != self._revocations.version:
                self._seen = self._revocations.version
                self._sweep()

    def _sweep(self) -> None:
        for socket, claims in list(self._open.items()):
            if self._revocations.is_revoked(claims):
                socket.close(Close.TOKEN_ENDED, _REVOKED)


def _user(claims: Claims) -> tuple[UUID | None, str]:
    return claims.tenant_id, claims.subject


def _group(claims: Claims) -> tuple[UUID | None, bool]:
    """A tenant's staff, or its visitors: these are whoever opens its pages, and must not keep the staff out."""
    return claims.tenant_id, claims.role is Role.VISITOR


def _take_one(counts: Counter[K], key: K) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
