"""Which verified tokens no longer count, in memory; Postgres is the truth and is read again by the caller."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

__all__ = ["Revocable", "Revocation", "RevocationKind", "RevocationList"]


class RevocationKind(StrEnum):
    SESSION = "SESSION"
    TOKEN = "TOKEN"  # noqa: S105  # a kind, not a secret
    GENERATION = "GENERATION"
    TENANT_SUSPENDED = "TENANT_SUSPENDED"
    TENANT_RESUMED = "TENANT_RESUMED"


@dataclass(frozen=True, slots=True)
class Revocation:
    """`key` is a session id, a token id, a subject or a tenant id, by kind.

    `generation` (GENERATION only) is the lowest that still counts. `until` is when the last token concerned has expired
    (SESSION and TOKEN); after it the entry is forgotten. None keeps it.
    """

    kind: RevocationKind
    key: str
    generation: int = 0
    until: datetime | None = None


class Revocable(Protocol):
    """The part of a token's claims that can be revoked."""

    @property
    def subject(self) -> str: ...
    @property
    def tenant_id(self) -> UUID | None: ...
    @property
    def session_id(self) -> UUID | None: ...
    @property
    def generation(self) -> int: ...
    @property
    def token_id(self) -> str: ...


class RevocationList:
    """What was revoked, fed with rows in any order and as often as one likes: applying a row twice changes nothing.

    `version` rises whenever a row revokes what counted until then: who keeps verified claims looks again.

    The order matters between TENANT_SUSPENDED and TENANT_RESUMED of one tenant alone: the last one applied holds.
    """

    def __init__(self) -> None:
        self.version = 0
        self._ended: dict[tuple[RevocationKind, str], datetime | None] = {}
        self._generations: dict[str, int] = {}
        self._suspended: set[str] = set()

    def apply(self, rows: Iterable[Revocation]) -> None:
        for row in rows:
            self.version += self._is_news(row)
            match row.kind:
                case RevocationKind.SESSION | RevocationKind.TOKEN:
                    self._ended[row.kind, row.key] = row.until
                case RevocationKind.GENERATION:
                    self._generations[row.key] = max(row.generation, self._generations.get(row.key, 0))
                case RevocationKind.TENANT_SUSPENDED:
                    self._suspended.add(row.key)
                case RevocationKind.TENANT_RESUMED:
                    self._suspended.discard(row.key)

    def _is_news(self, row: Revocation) -> bool:
        """Whether some token may count no longer because of `row`."""
        match row.kind:
            case RevocationKind.SESSION | RevocationKind.TOKEN:
                return (row.kind, row.key) not in self._ended
            case RevocationKind.GENERATION:
                return row.generation > self._generations.get(row.key, 0)
            case RevocationKind.TENANT_SUSPENDED:
                return row.key not in self._suspended
            case RevocationKind.TENANT_RESUMED:
                return False

    def forget(self, now: datetime) -> None:
        """Drop the sessions and tokens whose last token has expired by `now`."""
        self._ended = {key: until for key, until in self._ended.items() if until is None or until > now}

    def is_revoked(self, claims: Revocable) -> bool:
        return (
            (RevocationKind.TOKEN, claims.token_id) in self._ended
            or (claims.session_id is not None and (RevocationKind.SESSION, str(claims.session_id)) in self._ended)
            or claims.generation < self._generations.get(claims.subject, 0)
            or (claims.tenant_id is not None and str(claims.tenant_id) in self._suspended)
        )
