"""An answer on its way to the customer: checked sentence by sentence, shown as it grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol
from uuid import UUID

from lead_orchestrator.chat.guard.check import Said, blocked
from lead_orchestrator.chat.guard.evidence import Evidence
from lead_orchestrator.chat.guard.stream import Sentences
from lead_orchestrator.chat.models import ChatRole

__all__ = ["Blocked", "Listener", "Nobody", "Speaking", "Voice"]


class Blocked(Exception):  # noqa: N818  # named as what happened
    """A sentence must not be said; `why` has none of its words."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Listener(Protocol):
    """Who is shown an answer while it is written. What gets lost is no harm: the message itself follows."""

    async def typing(self, chat_id: UUID, role: ChatRole) -> None: ...
    async def delta(self, chat_id: UUID, message_id: UUID, offset: int, text: str) -> None: ...


class Nobody:
    """Nobody looks on."""

    async def typing(self, chat_id: UUID, role: ChatRole) -> None:
        """Nothing."""

    async def delta(self, chat_id: UUID, message_id: UUID, offset: int, text: str) -> None:
        """Nothing."""


@dataclass
class Voice:
    """Where the words of one message go."""

    listener: Listener
    chat_id: UUID
    message_id: UUID


@dataclass
class Speaking:
    """`evidence` is asked anew for each sentence: tools are called in between. `text` is what has passed."""

    voice: Voice
    evidence: Callable[[], Evidence]
    asked: str
    private: str
    today: date
    text: str = ""
    _sentences: Sentences = field(default_factory=Sentences)
    _last: str = ""

    async def hear(self, piece: str) -> None:
        """Some more of the answer.

        Raises:
            Blocked: a sentence must not be said; those before it are out.
        """
        for sentence in self._sentences.feed(piece):
            await self._say(sentence)

    async def end(self, *, cut: bool = False) -> None:
        """The answer, or a part of it, is whole; of one that was cut the last sentence is left out.

        Raises:
            Blocked: as `hear`.
        """
        rest = self._sentences.end()
        if rest.strip() and not cut:
            await self._say(rest)

    async def _say(self, sentence: str) -> None:
        said = Said(self.evidence(), self.asked, self.private, self.today)
        # A price that is split over two sentences is none in either of them.
        why = blocked(sentence, said) or (
            blocked(f"{self._last.rstrip('.!? ')} {sentence}", said) if self._last else None
        )
        if why is not None:
            raise Blocked(why)
        gap = " " if self.text and not self.text[-1].isspace() else ""
        offset, self.text = len(self.text), f"{self.text}{gap}{sentence}"
        self._last = sentence
        await self.voice.listener.delta(self.voice.chat_id, self.voice.message_id, offset, f"{gap}{sentence}")
