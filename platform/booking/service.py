"""Free times and appointments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from lead_orchestrator.booking.availability import known, read_facts
from lead_orchestrator.booking.slots import free_times
from lead_orchestrator.booking.tokens import OFFER_LASTS, offering
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.sessions import ReadSession

__all__ = ["LOCAL_FORM", "MOST_DAYS", "Booking", "Slot"]

MOST_DAYS = 62
LOCAL_FORM = "%a %Y-%m-%d %H:%M"


class Slot(NamedTuple):
    """A free time; `local_start` is in the location's zone, `token` books it."""

    starts_at: datetime
    ends_at: datetime
    local_start: str
    token: str


class Booking:
    """What is free at a location."""

    def __init__(self, links: LinkSigner) -> None:
        self._links = links

    async def slots(
        self, session: ReadSession, location_id: UUID, service_ids: Sequence[UUID], first: date, last: date
    ) -> list[Slot]:
        """When these services can begin on the days from `first` to `last`, both included, in three statements.

        Raises:
            BadInputError: RANGE_TOO_LONG, UNKNOWN_SERVICE, …
            NotFoundError: the caller sees no such location.
        """
        _check_days(first, last)
        request = await known(session, location_id, service_ids)
        last = min(last, request.latest.astimezone(request.zone).date())
        if last < first:
            return []
        facts = await read_facts(session, request, first, last)
        expires_at, zone = request.real_now + OFFER_LASTS, request.zone
        token = offering(self._links, session.scope.tenant_id, location_id, service_ids, expires_at)
        return [
            Slot(start, end, start.astimezone(zone).strftime(LOCAL_FORM), token(start))
            for start, end, _bay in free_times(facts, request.work, first, last)
        ]


def _check_days(first: date, last: date) -> None:
    if last < first:
        raise BadInputError(f"to is {last}, which is before from, {first}", field=("to",))
    days = (last - first).days + 1
    if days > MOST_DAYS:
        message = f"from {first} to {last} are {days} days: ask for {MOST_DAYS} at most"
        raise BadInputError(message, code="RANGE_TOO_LONG", field=("to",))
