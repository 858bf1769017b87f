"""What can be asked about how it goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated
from uuid import UUID

import strawberry

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.reporting import repository
from lead_orchestrator.graphql.reporting.types import Report
from lead_orchestrator.ids import Kind, decode

__all__ = ["ReportQueries", "ReportQuery"]

LONGEST_DAYS = 366
MOST_LOCATION_IDS = 1000
EARLIEST, LATEST = date(2000, 1, 1), date(2199, 12, 31)


@strawberry.type
class ReportQueries:
    @strawberry.field
    async def report(
        self,
        info: Request,
        begins: Annotated[date, strawberry.argument(name="from")],
        ends: Annotated[date, strawberry.argument(name="to")],
        location_ids: list[strawberry.ID] | None = None,
    ) -> Report:
        """Both days are included; each location's days are those of its own zone."""
        asked = ReportQuery.of(begins, ends, location_ids)
        return Report.of(await info.context.run(repository.report, asked.begins, asked.ends, asked.location_ids))


@dataclass(frozen=True)
class ReportQuery:
    begins: date
    ends: date
    location_ids: Sequence[UUID] | None

    @classmethod
    def of(cls, begins: date, ends: date, location_ids: Sequence[str] | None) -> ReportQuery:
        """Raises BadInputError: there is no such period, or an id is none."""
        _check_period(begins, ends)
        return cls(begins, ends, _location_keys(location_ids))


def _check_period(begins: date, ends: date) -> None:
    if begins < EARLIEST or ends > LATEST:
        raise BadInputError(f"the period {begins} to {ends} is not between {EARLIEST} and {LATEST}", field=("from",))
    if ends < begins:
        raise BadInputError(f"to is {ends}, before from, {begins}: swap them", field=("to",))
    days = (ends - begins).days + 1
    if days > LONGEST_DAYS:
        raise BadInputError(f"the period has {days} days: ask for {LONGEST_DAYS} at most", field=("to",))


def _location_keys(ids: Sequence[str] | None) -> list[UUID] | None:
    if ids is None:
        return None
    if len(ids) > MOST_LOCATION_IDS:
        message = f"locationIds has {len(ids)} ids: send {MOST_LOCATION_IDS} at most, or leave it out for all"
        raise BadInputError(message, field=("locationIds",))
    return [decode(Kind.LOCATION, text, field="locationIds") for text in ids]
