"""Checks a tenant's audit trail: `audit verify`.

Each line carries a digest of a random salt and of all it says; each hash is that of the hash before it and of the digest. So
nothing can be changed, left out or put in between without the chain showing it, and a cut-off end differs from the head. An
erased line has lost its words and its salt: its digest still holds its place, and nobody can find out from it what it said.

It cannot prove anything against whoever owns the database: they can make the whole chain anew. A head that was written down
elsewhere (the worker logs it daily) shows that.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from lead_orchestrator.tenancy.sessions import ReadSession

__all__ = ["Head", "Trail", "head_of", "verify"]

PAGE = 5_000
_HEAD = text("SELECT position, audit_hash FROM tenant_heads")
# The newest line may come while it is read: the lines are those up to the head's position, which only a line's commit moves.
_LINES = text("""
SELECT number, digest, hash, salt IS NULL AS erased,
  digest = audit_digest(salt, number, at, actor, action, target, source, detail) AS sealed
FROM audit_log WHERE number > :after AND number <= :position ORDER BY number LIMIT :page""")


@dataclass(frozen=True)
class Head:
    """Where the trail ends: the position of the newest line or event, and the hash of the chain up to it, in hex."""

    position: int
    hash: str


@dataclass(frozen=True)
class Trail:
    """What was found: how many lines, how many of them erased, and the number of the first that does not hold.

    `broken_at` is None where all hold, and 0 where the lines do but the head is another one: its end was cut off.
    """

    head: Head
    lines: int
    erased: int
    broken_at: int | None


async def head_of(session: ReadSession) -> Head:
    """Of the session's tenant."""
    row = (await session.execute(_HEAD)).one()
    return Head(row.position, row.audit_hash.hex())


async def verify(session: ReadSession) -> Trail:
    """Read the tenant's trail from its beginning, a page at a time."""
    head = await head_of(session)
    chain, after, lines, erased = b"", 0, 0, 0
    while page := await _page(session, after, head.position):
        for line in page:
            chain = hashlib.sha256(chain + line.digest).digest()
            if chain != line.hash or not (line.erased or line.sealed):
                return Trail(head, lines, erased, line.number)
            lines, erased = lines + 1, erased + line.erased
        after = page[-1].number
    return Trail(head, lines, erased, None if chain.hex() == head.hash else 0)


async def _page(session: ReadSession, after: int, position: int) -> list[Any]:
    given = {"after": after, "position": position, "page": PAGE}
    return list(await session.execute(_LINES, given))
