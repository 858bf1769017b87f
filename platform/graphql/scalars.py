"""The contract's scalars, strict on input."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time
from typing import NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from lead_orchestrator.errors import BadInputError

__all__ = ["JSON", "SCALARS", "Cents", "checked_value"]

JSON = NewType("JSON", object)
Cents = NewType("Cents", int)

DEEPEST = 20
HIGHEST_CENTS = 2**53 - 1  # what JSON numbers hold everywhere
_SHOWN = 60


def checked_value(value: object) -> object:
    """`value`, decoded JSON, if Postgres can keep every text and number in it.

    Raises:
        BadInputError: a text has a NUL or half of a surrogate pair, a number is not finite, or it is nested too deep.
    """
    level = [value]
    for _ in range(DEEPEST):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below += [*item, *item.values()]
            elif isinstance(item, list):
                below += item
            else:
                _check_leaf(item)
        if not below:
            return value
        level = below
    raise BadInputError(f"the input is nested deeper than {DEEPEST} levels: send it flatter")


def _check_leaf(item: object) -> None:
    if isinstance(item, str):
        if "\x00" in item:
            raise BadInputError(f"{item[:_SHOWN]!r} has a NUL character (U+0000): leave it out")
        if not item.isascii() and any("\ud800" <= char <= "\udfff" for char in item):
            raise BadInputError(f"{item[:_SHOWN]!r} has half of a surrogate pair: send whole characters")
    elif isinstance(item, float) and not math.isfinite(item):
        raise BadInputError(f"{item} is not a number: send a finite one")


def _refuse(value: object, expected: str) -> GraphQLError:
    return GraphQLError(f"{str(value)[:_SHOWN]!r} is not {expected}")


def _datetime(value: object) -> datetime:
    expected = "a moment: write RFC 3339 with an offset, as in 2026-03-01T09:30:00-08:00"
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) and "T" in value.upper() else None
        if moment is None or moment.tzinfo is None:
            raise _refuse(value, expected)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _refuse(value, expected) from None


def _time(value: object) -> time:
    expected = "a time of day: write HH:MM, as in 09:30"
    try:
        if not isinstance(value, str):
            raise _refuse(value, expected)
        return datetime.strptime(value, "%H:%M").time()  # noqa: DTZ007 - a wall time has no zone
    except ValueError:
        raise _refuse(value, expected) from None


def _date(value: object) -> date:
    expected = "a day: write YYYY-MM-DD, as in 2026-03-01"
    try:
        if not isinstance(value, str) or len(value) != len("YYYY-MM-DD"):
            raise _refuse(value, expected)
        return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise _refuse(value, expected) from None


def _cents(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > HIGHEST_CENTS:
        raise _refuse(value, "an amount: write a whole number of cents")
    return value


def _json(value: object) -> object:
    try:
        return checked_value(value)
    except BadInputError as error:
        raise GraphQLError(error.message) from None


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="RFC 3339 with offset",
        serialize=lambda moment: moment.isoformat(),
        parse_value=_datetime,
    ),
    time: strawberry.scalar(
        name="Time",
        description="HH:MM, local wall time of the location",
        serialize=lambda wall: wall.strftime("%H:%M"),
        parse_value=_time,
    ),
    date: strawberry.scalar(
        name="Date", description="YYYY-MM-DD", serialize=lambda day: day.isoformat(), parse_value=_date
    ),
    Cents: strawberry.scalar(
        name="Cents",
        description="Integer number of cents, may exceed 32 bits",
        serialize=lambda cents: cents,
        parse_value=_cents,
    ),
    JSON: strawberry.scalar(
        name="JSON", description="Any JSON value", serialize=lambda value: value, parse_value=_json
    ),
}
