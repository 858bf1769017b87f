"""Pages of a conversation, forwards and backwards; a message's cursor is its version."""

from __future__ import annotations

from dataclasses import dataclass

from lead_orchestrator.chat.repository import ChatPart
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.cursors import LARGEST_FIRST, checked_first

__all__ = ["VERSION_PREFIX", "ChatPage", "chat_page", "version_cursor"]

VERSION_PREFIX = "cmv"
_HIGHEST = 2**63 - 1
_SHOWN = 60


@dataclass(frozen=True)
class ChatPage:
    """`size` messages from the beginning or (`backwards`) from the end, after and before these versions."""

    size: int
    after: int | None
    before: int | None
    backwards: bool

    @property
    def part(self) -> ChatPart:
        """One more than the page has, if there is one."""
        return ChatPart(self.size + 1, self.after, self.before, self.backwards)


def version_cursor(version: int) -> str:
    return f"{VERSION_PREFIX}_{version}"


def chat_page(first: int | None, after: str | None, last: int | None, before: str | None) -> ChatPage:
    """The page asked for; the first 25 unless told.

    Raises:
        BadInputError: both first and last are given, one is out of range, or a cursor is none of a message.
    """
    if first is not None and last is not None:
        raise BadInputError("messages takes first or last: give one of them", field=("last",))
    if last is not None and not 1 <= last <= LARGEST_FIRST:
        raise BadInputError(f"last is {last}: ask for 1 to {LARGEST_FIRST}, and for more by before", field=("last",))
    size = checked_first(first) if last is None else last
    return ChatPage(size, _version(after, "after"), _version(before, "before"), last is not None)


def _version(text: str | None, field: str) -> int | None:
    if text is None:
        return None
    prefix, _, digits = text.partition("_")
    if prefix == VERSION_PREFIX and digits.isascii() and digits.isdecimal() and len(digits) <= len(str(_HIGHEST)):
        version = int(digits)
        if version <= _HIGHEST:
            return version
    message = f"{text[:_SHOWN]!r} is not a cursor of a message: pass on a startCursor or endCursor as it came"
    raise BadInputError(message, field=(field,))
