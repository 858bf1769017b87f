"""Text that came from outside, made fit for the database."""

from __future__ import annotations

__all__ = ["storable"]


def storable(text: str) -> str:
    """The text without what Postgres cannot keep: NULs go, half of a surrogate pair becomes a question mark."""
    return text.replace("\x00", "").encode(errors="replace").decode()
