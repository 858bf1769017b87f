"""What a model wrote as a tool's arguments, checked. The errors are for the model: they say what would do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, time
from typing import Any

from lead_orchestrator.errors import BadInputError

__all__ = ["Arguments", "parsed"]

LONGEST = 1_000
MOST_SERVICES = 5


def parsed(text: str, known: frozenset[str]) -> Arguments:
    """The arguments, an object with no other names than `known`.

    Raises:
        BadInputError: it is anything else.
    """
    try:
        data = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise BadInputError("the arguments are not JSON: send an object") from None
    if not isinstance(data, dict):
        raise BadInputError("the arguments are no object: send an object")
    if strange := sorted(set(data) - known):
        raise BadInputError(
            f"{strange[0][:40]!r} is no argument of this tool: use {', '.join(sorted(known)) or 'none'}"
        )
    return Arguments(data)


class Arguments:
    """Each method raises BadInputError where the value will not do."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given

    def text(self, name: str) -> str:
        value = self.given.get(name)
        if not isinstance(value, str) or not value.strip():
            raise BadInputError(f"{name} is missing: send a text")
        if len(value) > LONGEST:
            raise BadInputError(f"{name} has {len(value)} characters: send {LONGEST} at most")
        return value.strip()

    def optional_text(self, name: str) -> str | None:
        return None if self.given.get(name) in (None, "") else self.text(name)

    def handles(self, name: str) -> list[str]:
        value = self.given.get(name)
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not items or not all(isinstance(item, str) for item in items):
            raise BadInputError(f"{name} is missing: send a list of handles that search_services gave")
        if len(items) > MOST_SERVICES:
            raise BadInputError(f"{name} has {len(items)} handles: send {MOST_SERVICES} at most")
        return list(dict.fromkeys(items))

    def day(self, name: str) -> date | None:
        value = self.optional_text(name)
        if value is None:
            return None
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise BadInputError(f"{name} is {value[:40]!r}: send a date as YYYY-MM-DD, or null") from None

    def wall(self, name: str) -> time | None:
        value = self.optional_text(name)
        if value is None:
            return None
        try:
            return time.fromisoformat(value).replace(second=0, microsecond=0, tzinfo=None)
        except ValueError:
            raise BadInputError(f"{name} is {value[:40]!r}: send a time of day as HH:MM, or null") from None
