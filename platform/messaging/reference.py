"""What goes out with a message and comes back with its news: ids of ours, nothing personal."""

from __future__ import annotations

from uuid import UUID

__all__ = ["reference", "referenced"]

_MOST_DIGITS = 6


def reference(message_id: UUID, attempt: int) -> str:
    return f"{message_id}/{attempt}"


def referenced(text: str | None) -> tuple[UUID, int] | None:
    """The message and the attempt that `reference` wrote; None of anything else."""
    key, _, attempt = (text or "").partition("/")
    if not (attempt.isascii() and attempt.isdecimal() and len(attempt) <= _MOST_DIGITS):
        return None
    try:
        return UUID(key), int(attempt)
    except ValueError:
        return None
