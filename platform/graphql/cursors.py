"""Keyset cursors: where the last row of a page stood in its order. They are no secret and are checked on input.

A cursor names a position, never rows: with another tenant's cursor a caller still reads its own rows only.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.ids import Kind, decode, encode

__all__ = [
    "DEFAULT_FIRST",
    "EVENT_PREFIX",
    "LARGEST_FIRST",
    "Key",
    "Page",
    "cursor",
    "page",
    "position_cursor",
    "position_of",
]

DEFAULT_FIRST = 25
LARGEST_FIRST = 100
_SHOWN = 60
EVENT_PREFIX = "lev"
_LONGEST = 1000
_HIGHEST_POSITION = 2**63 - 1


@dataclass(frozen=True)
class Key:
    """A row's place: the value it is ordered by, then its id."""

    value: datetime | str
    id: UUID


@dataclass(frozen=True)
class Page:
    """`first` rows after the row at `after`, or from the beginning."""

    first: int
    after: Key | None = None


def cursor(order: str, key: Key, kind: Kind) -> str:
    """The cursor of the row at `key` in `order`; `kind` tells rows of several tables apart."""
    value = (
        key.value.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(key.value, datetime) else key.value
    )
    raw = json.dumps([order, value, encode(kind, key.id)], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def page(first: int | None, after: str | None, order: str, kinds: tuple[Kind, ...], *, moments: bool = True) -> Page:
    """The page asked for of a list in `order`; `moments`: it is ordered by time, else by text.

    Raises:
        BadInputError: `first` is out of range, or `after` is no cursor of this list.
    """
    size = checked_first(first)
    return Page(size, _key(after, order, kinds, moments=moments) if after is not None else None)


def checked_first(first: int | None) -> int:
    """Raises BadInputError: out of range."""
    size = DEFAULT_FIRST if first is None else first
    if not 1 <= size <= LARGEST_FIRST:
        raise BadInputError(f"first is {size}: ask for 1 to {LARGEST_FIRST}, and for more by after", field=("first",))
    return size


def position_cursor(position: int) -> str:
    """The cursor of an event."""
    return f"{EVENT_PREFIX}_{position}"


def position_of(text: str | None, kind: str = EVENT_PREFIX) -> int | None:
    """Raises BadInputError: `text` is no cursor of an event, or of a line of `kind`."""
    if text is None:
        return None
    prefix, _, digits = text[:_LONGEST].partition("_")
    if prefix == kind and digits.isascii() and digits.isdecimal() and int(digits) <= _HIGHEST_POSITION:
        return int(digits)
    raise _refusal(text)


def _key(text: str, order: str, kinds: tuple[Kind, ...], *, moments: bool) -> Key:
    try:
        named, value, identity = _parts(text)
        if named != order:
            raise _refusal(text)
        return Key(_moment(value) if moments else value, _identity(identity, kinds))
    except (ValueError, OverflowError, binascii.Error):
        raise _refusal(text) from None


def _parts(text: str) -> tuple[str, str, str]:
    if len(text) > _LONGEST or not text.isascii():
        raise ValueError(text)
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    parts = json.loads(raw)
    if not isinstance(parts, list) or len(parts) != 3 or not all(isinstance(part, str) for part in parts):  # noqa: PLR2004 - as `cursor` writes it
        raise ValueError(text)
    if "\x00" in raw.decode() or any("\x00" in part for part in parts):
        raise ValueError(text)
    parts[1].encode()  # half a surrogate pair has no bytes
    return parts[0], parts[1], parts[2]


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(value)
    return moment.astimezone(UTC)


def _identity(text: str, kinds: tuple[Kind, ...]) -> UUID:
    for kind in kinds:
        if text.startswith(f"{kind.value}_"):
            return decode(kind, text)
    raise ValueError(text)


def _refusal(text: str) -> BadInputError:
    message = f"{text[:_SHOWN]!r} is not a cursor of this list in this order: pass on an endCursor as it came"
    return BadInputError(message, field=("after",))
