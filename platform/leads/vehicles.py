"""Vehicles as customers and partners describe them."""

from __future__ import annotations

from collections.abc import Mapping

from lead_orchestrator.errors import BadInputError

__all__ = ["checked_vehicle"]

LONGEST_TEXT = 100
YEARS = frozenset(map(str, range(1886, 2101)))
_SHOWN = 60


def checked_vehicle(value: Mapping[str, object], *path: str) -> Mapping[str, object] | None:
    """`value`, None where it says nothing; `path` leads to it in the input.

    Raises:
        BadInputError: the year is none, or make or model is no text.
    """
    name, vehicle = path[-1], dict(value)
    year = vehicle.get("year")
    if year is not None and str(year) not in YEARS:
        message = f"{name}.year is {str(year)[:_SHOWN]!r}: send a year from {min(YEARS)} to {max(YEARS)}"
        raise BadInputError(message, field=(*path, "year"))
    for part in ("make", "model"):
        text = vehicle.get(part)
        if text is not None and (not isinstance(text, str) or len(text) > LONGEST_TEXT):
            message = f"{name}.{part} is {str(text)[:_SHOWN]!r}: send a text of {LONGEST_TEXT} characters at most"
            raise BadInputError(message, field=(*path, part))
    return vehicle or None
