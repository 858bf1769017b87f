"""Where the request under way came from, for the audit trail."""

from __future__ import annotations

from contextvars import ContextVar

__all__ = ["SOURCE"]

SOURCE: ContextVar[str | None] = ContextVar("source", default=None)
"""The client's address, as the server has it (FORWARDED_ALLOW_IPS); None in a worker or at the command line."""
