"""What the sandbox asks of whoever owns the application's time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

__all__ = ["SandboxClock"]


class SandboxClock(Protocol):
    """The application's time; every answer is the application's now, with its zone."""

    async def now(self) -> datetime:
        """The application's time now."""
        ...

    async def wind(self, seconds: float) -> datetime:
        """Move forward by `seconds` (> 0), stepping through everything that falls due on the way."""
        ...

    async def reset(self) -> datetime:
        """Back to real time."""
        ...
