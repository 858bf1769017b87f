"""Passwords: what will do as one, and how it is kept. Whatever is compared takes the same work, whether there is an account or not."""

from __future__ import annotations

import asyncio
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from lead_orchestrator.errors import BadInputError

__all__ = ["LONGEST", "SHORTEST", "HashCost", "Passwords"]

SHORTEST, LONGEST = 12, 128
ENOUGH = 4
"""Of zxcvbn's 0 to 4: more than 10^10 guesses, for somebody who tries what people choose, leaked passwords first."""
_RATED = 72
_AT_ONCE = 2
"""Hashes that one process makes at a time: each takes its memory."""


@dataclass(frozen=True)
class HashCost:
    """Of argon2id: passes over `memory` KiB."""

    passes: int
    memory: int


class Passwords:
    """Makes and compares hashes, a few at a time and beside the event loop."""

    def __init__(self, cost: HashCost) -> None:
        self._hasher = PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory, parallelism=1, type=Type.ID)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._nobodys = self._hasher.hash(secrets.token_urlsafe(32))
        self.compared = 0
        """How often a password was compared with a hash."""

    async def hash(self, password: str) -> str:
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, _same(password))

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether this is the password; without a stored one the same work is done for nothing."""
        self.compared += 1
        async with self._turns:
            matching = await asyncio.to_thread(self._matches, stored or self._nobodys, _same(password)[:LONGEST])
        return matching and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether it was made with another cost than this."""
        return self._hasher.check_needs_rehash(stored)

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def check(self, password: str, about: Sequence[str]) -> None:
        """`about` is what others know of the person: address, name, franchise.

        Raises:
            BadInputError: it is too short, too long, or easy to guess.
        """
        length = len(_same(password))
        if not SHORTEST <= length <= LONGEST or "\x00" in password:
            message = f"the password has {length} characters: take {SHORTEST} to {LONGEST}"
            raise BadInputError(message, code="WEAK_PASSWORD", field=("password",))
        known = {*about, *(word for part in about for word in re.split(r"\W+", part))} - {""}
        rated = await asyncio.to_thread(zxcvbn, _same(password)[:_RATED], sorted(known))
        if rated["score"] < ENOUGH:
            message = (
                "the password is easy to guess, or was leaked somewhere: take several words that do not belong together"
            )
            raise BadInputError(message, code="WEAK_PASSWORD", field=("password",))


def _same(password: str) -> str:
    """One form for what looks the same, however the keyboard wrote it (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
