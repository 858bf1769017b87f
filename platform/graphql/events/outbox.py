"""What waits to leave on one socket, so much and no more."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from lead_orchestrator.graphql.events.codes import Close

__all__ = ["Frame", "Outbox", "Sent"]

MOST_FRAMES = 2_500
MOST_CHARACTERS = 8 * 1024 * 1024


@dataclass
class Sent:
    """Up to where a subscription's client has been sent everything."""

    position: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A message: `head`, then the text it shares with others, then `foot`."""

    head: str
    shared: str = ""
    foot: str = ""
    sent: Sent | None = None
    position: int = 0


@dataclass
class Outbox:
    """First in, first out, until it is closed: then the close is all that is left."""

    closing: tuple[Close, str] | None = None
    _frames: deque[Frame] = field(default_factory=deque)
    _characters: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _empty: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def waiting(self) -> bool:
        return bool(self._frames)

    @property
    def roomy(self) -> bool:
        """Whether there is room for what may get lost."""
        return len(self._frames) < MOST_FRAMES // 10

    @property
    def full(self) -> bool:
        """A single frame never fills it, whatever its size."""
        return len(self._frames) >= MOST_FRAMES or (len(self._frames) > 1 and self._characters >= MOST_CHARACTERS)

    def put(self, frame: Frame) -> None:
        if self.closing is None:
            self._frames.append(frame)
            self._characters += len(frame.shared)
            self._empty.clear()
            self._news.set()

    def close(self, code: Close, reason: str) -> None:
        """Whatever still waits is dropped."""
        if self.closing is None:
            self.closing = (code, reason)
            self._frames.clear()
            self._empty.set()
            self._news.set()

    async def emptied(self) -> None:
        """Until nothing waits."""
        if self._frames:
            await self._empty.wait()

    async def take(self) -> Frame | None:
        """The next frame; None once it is closed."""
        while not self._frames and self.closing is None:
            self._empty.set()
            self._news.clear()
            await self._news.wait()
        if self.closing is not None:
            return None
        frame = self._frames.popleft()
        self._characters -= len(frame.shared)
        return frame
