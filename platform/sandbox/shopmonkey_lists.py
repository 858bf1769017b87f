"""ShopMonkey's lists as measured on the live service: what is honoured, what is silently ignored, what goes missing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.world import Quirks, Row

__all__ = ["Page", "cut_page", "filter_rows", "page_bounds", "parse_json_parameter"]

MAX_LIMIT = 100
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "gte": lambda left, right: bool(left >= right),
    "gt": lambda left, right: bool(left > right),
    "lt": lambda left, right: bool(left < right),
    "lte": lambda left, right: bool(left <= right),
}


@dataclass(frozen=True)
class Page:
    rows: list[Row]
    total: int
    has_more: bool


def parse_json_parameter(name: str, text: str | None) -> dict[str, Any]:
    """The JSON object in a query parameter; nothing is an empty one."""
    if not text:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise BadInputError(f"{name} is not valid JSON") from None
    if not isinstance(value, dict):
        raise BadInputError(f"{name} must be a JSON object")
    return value


def page_bounds(parameters: Mapping[str, Any]) -> tuple[int, int]:
    """(limit, skip); a limit above 100 is silently 100."""
    limit, skip = (_whole(parameters, name, default) for name, default in (("limit", MAX_LIMIT), ("skip", 0)))
    return max(1, min(limit, MAX_LIMIT)), max(0, skip)


def _whole(parameters: Mapping[str, Any], name: str, default: int) -> int:
    try:
        return int(parameters.get(name) or default)
    except (TypeError, ValueError, OverflowError):
        raise BadInputError(f"{name} must be a whole number, not {parameters.get(name)!r}") from None


def filter_rows(rows: Iterable[Row], where: Mapping[str, Any], *, equality: bool = False) -> list[Row]:
    """Rows that meet gte, gt, lt, lte and contains; other operators and unknown fields are silently ignored.

    A bare value counts only with `equality` (searches); on lists it is ignored."""
    return [row for row in rows if all(_meets(row, name, wanted, equality) for name, wanted in where.items())]


def _meets(row: Row, name: str, wanted: Any, equality: bool) -> bool:
    if name not in row:
        return True
    if not isinstance(wanted, dict):
        return not equality or row[name] == wanted
    return all(_compares(row[name], operator, operand) for operator, operand in wanted.items())


def _compares(value: Any, operator: str, operand: Any) -> bool:
    if operator == "contains":
        return isinstance(value, str) and str(operand).lower() in value.lower()
    if operator not in _COMPARISONS:
        return True
    left, right = _comparable(value), _comparable(operand)
    return type(left) is type(right) and left is not None and _COMPARISONS[operator](left, right)


def _comparable(value: Any) -> datetime | float | str | None:
    try:
        if isinstance(value, (int, float)):
            return float(value)
        moment = datetime.fromisoformat(value)
    except (ValueError, OverflowError):
        return value if isinstance(value, str) else None
    except TypeError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def cut_page(
    rows: list[Row],
    parameters: Mapping[str, Any],
    order: Mapping[str, Any],
    quirks: Quirks | None,
    chance: random.Random,
) -> Page:
    """One page of `rows`. Without an `order`, and always with `quirks`, the order is random in each call."""
    limit, skip = page_bounds(parameters)
    has_more = skip + limit < len(rows)
    if quirks is not None:
        return Page(_unstable_rows(rows, limit, skip, quirks, chance), len(rows), has_more)
    found = _sorted(rows, order) if order else chance.sample(rows, len(rows))
    return Page(found[skip : skip + limit], len(rows), has_more)


def _unstable_rows(rows: list[Row], limit: int, skip: int, quirks: Quirks, chance: random.Random) -> list[Row]:
    found = [row for row in rows if chance.random() >= quirks.miss_rate]
    chance.shuffle(found)
    if len(rows) <= limit:
        return found[skip : skip + limit]
    share = (
        2 * quirks.page_overlap / (1 + quirks.page_overlap)
    )  # two random picks of this share overlap by page_overlap
    size = min(limit, max(1, round(len(rows) * share)))
    start = min(skip, max(0, len(found) - size))
    return found[start : start + size]


def _sorted(rows: list[Row], order: Mapping[str, Any]) -> list[Row]:
    found = list(rows)
    for name, direction in reversed(list(order.items())):
        found.sort(key=lambda row: _sort_key(row.get(name)), reverse=direction == "desc")  # used at once
    return found


def _sort_key(value: Any) -> tuple[str, Any]:
    comparable = _comparable(value)
    return ("", 0) if comparable is None else (type(comparable).__name__, comparable)
