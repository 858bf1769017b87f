"""ShopMonkey's appointments as measured: no conflict check, no idempotency key, and repetitions told of in one place only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.shopmonkey_lists import filter_rows
from lead_orchestrator.sandbox.shopmonkey_rows import new_row
from lead_orchestrator.sandbox.world import Company, Row, World, timestamp

__all__ = ["change_appointment", "new_appointment", "search_appointments", "search_with_repetitions", "shown"]

COLORS = ("aqua", "black", "blue", "brown", "gray", "green", "orange", "purple", "red", "yellow")
COLUMNS = (
    "name",
    "startDate",
    "endDate",
    "color",
    "note",
    "allDay",
    "customerId",
    "vehicleId",
    "orderId",
    "locationId",
)
MORE_COLUMNS = ("confirmationStatus", "cancellationNote", "rruleset")
STEPS = {"DAILY": timedelta(days=1), "WEEKLY": timedelta(weeks=1)}
MOST_REPETITIONS = 520


def new_appointment(world: World, company: Company, data: Mapping[str, Any]) -> Row:
    """A stored appointment, whatever else stands at its time.

    Raises:
        BadInputError: name, color or a time is missing or wrong, or an id is unknown.
    """
    nulls = dict.fromkeys((*COLUMNS, *MORE_COLUMNS))
    row = new_row(world, company, **nulls)
    row |= {"allDay": False, "confirmationStatus": "NoResponse", "attributionSource": "Manual", "deleted": False}
    row |= {"locationId": next(iter(company.locations)), "_technician": data.get("technicianId")}
    _change(company, row, data)
    company.appointments[row["id"]] = row
    return row


def change_appointment(world: World, company: Company, row: Row, data: Mapping[str, Any]) -> None:
    """Merge `data` into the row, which stays as it was if something is wrong with them."""
    changed = dict(row)
    _change(company, changed, data)
    row.update(changed, updatedDate=timestamp(), meta={"version": world.next_version()})


def _change(company: Company, row: Row, data: Mapping[str, Any]) -> None:
    row.update({name: data[name] for name in (*COLUMNS, *MORE_COLUMNS) if data.get(name) is not None})
    if not isinstance(row["name"], str) or not row["name"]:
        raise BadInputError("name is required")
    if row["color"] not in COLORS:
        raise BadInputError(f"color must be one of {', '.join(COLORS)}")
    starts_at, ends_at = _moment(row, "startDate"), _moment(row, "endDate")
    if ends_at < starts_at:
        raise BadInputError("endDate is before startDate")
    known = {"customerId": company.customers, "vehicleId": company.vehicles, "orderId": company.orders}
    for name, rows in {**known, "locationId": company.locations}.items():
        if row[name] is not None and row[name] not in rows:
            raise BadInputError(f"{name} {row[name]!r} is unknown")
    row["duration"] = round((ends_at - starts_at).total_seconds() / 60)


def search_appointments(company: Company, where: Mapping[str, Any]) -> list[Row]:
    """Single appointments only."""
    rows = [shown(row) for row in company.appointments.values() if not row["rruleset"]]
    return filter_rows(rows, where, equality=True)


def search_with_repetitions(company: Company, body: Mapping[str, Any]) -> list[Row]:
    """Everything between dateMin and dateMax of the technicians named, repetitions one by one.

    Raises:
        BadInputError: the technicians or a date are missing.
    """
    technicians = body.get("technicians")
    if not isinstance(technicians, list):
        raise BadInputError("technicians is required")
    first, last = _moment(body, "dateMin"), _moment(body, "dateMax")
    found: list[Row] = []
    for row in company.appointments.values():
        technician = row["_technician"]
        if technician in technicians if technician else body.get("includeUnassigned") is True:
            found += [one for one in _repeated(company, row) if _touches(one, first, last)]
    return found


def shown(row: Row) -> Row:
    """As ShopMonkey shows it: who does the work is not echoed."""
    return {name: value for name, value in row.items() if not name.startswith("_")}


def _repeated(company: Company, row: Row) -> Iterator[Row]:
    """The appointment, or each of its repetitions at the same time of the shop's day."""
    if not row["rruleset"]:
        yield shown(row)
        return
    rule = dict(part.split("=", 1) for part in str(row["rruleset"]).removeprefix("RRULE:").split(";") if "=" in part)
    step = STEPS.get(rule.get("FREQ", ""), STEPS["WEEKLY"]) * int(rule.get("INTERVAL", "1"))
    zone = ZoneInfo(company.locations[row["locationId"]]["timezone"])
    starts_at, ends_at = (_moment(row, name).astimezone(zone) for name in ("startDate", "endDate"))
    for number in range(min(int(rule.get("COUNT", MOST_REPETITIONS)), MOST_REPETITIONS)):
        times = (starts_at + step * number, ends_at + step * number)  # wall time: the zone's own arithmetic
        yield {**shown(row), "startDate": timestamp(times[0]), "endDate": timestamp(times[1])}


def _touches(row: Row, first: datetime, last: datetime) -> bool:
    return _moment(row, "startDate") < last and _moment(row, "endDate") > first


def _moment(row: Mapping[str, Any], name: str) -> datetime:
    try:
        found = datetime.fromisoformat(str(row.get(name)))
    except ValueError:
        raise BadInputError(f"{name} must be an ISO date, not {row.get(name)!r}") from None
    if found.tzinfo is None:
        raise BadInputError(f"{name} must have an offset: {row.get(name)!r}")
    return found
