"""Taking a location's time: in turn, checked, and never twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import DBAPIError

from lead_orchestrator.booking.appointments import repository
from lead_orchestrator.booking.availability import Request, read_facts
from lead_orchestrator.booking.slots import bay_for, opening
from lead_orchestrator.errors import BadInputError, UnavailableError
from lead_orchestrator.tenancy.sessions import WriteSession
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["Place", "in_turn", "taken_place"]

T = TypeVar("T")

TRIES = 3
_OVERLAPS = "23P01"
_TRY_AGAIN = ("40P01", "40001")  # a deadlock, a serialisation failure
_FARTHEST = timedelta(days=730)
_STAFF = (Role.AGENT, Role.MANAGER, Role.OWNER)


@dataclass(frozen=True)
class Place:
    """A bay for a while."""

    bay: int
    during: Range[datetime]


async def in_turn(session: WriteSession, location_id: UUID, work: Callable[[], Awaitable[T]]) -> T:
    """`work` with the location's time in hand: whoever else takes or moves some of it waits, and expired holds are gone.

    Everything that changes an appointment goes through here, and takes this lock before any other, so that nobody waits for
    somebody who waits for them.

    Raises:
        BadInputError: SLOT_TAKEN, if the constraint on overlaps says so in spite of the lock.
        UnavailableError: BUSY, after several deadlocks.
    """
    for _ in range(TRIES):
        try:
            async with session.attempt():
                await repository.lock_location(session, location_id)
                await repository.cancel_expired_holds(session, location_id)
                result = await work()
                await session.flush()
                return result
        except DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            if state == _OVERLAPS:
                raise _slot_taken() from None
            if state not in _TRY_AGAIN:
                raise
    raise UnavailableError("too many are booking here at this moment: try again", code="BUSY")


async def taken_place(session: WriteSession, request: Request, starts_at: datetime, but: UUID | None = None) -> Place:
    """Where the work goes that begins then, as if the appointment `but` were not there; called within `in_turn`.

    Lead time and horizon bind customers; staff knows what it does.

    Raises:
        BadInputError: IN_THE_PAST, TOO_SOON, TOO_FAR_AHEAD, OUTSIDE_HOURS, SLOT_TAKEN, or it is no whole minute.
    """
    if starts_at <= request.now:
        raise _refused("IN_THE_PAST", starts_at, "which is past: choose a later time")
    if starts_at.second or starts_at.microsecond:
        raise BadInputError(f"startsAt is {starts_at.isoformat()}: send a whole minute", field=("startsAt",))
    day = starts_at.astimezone(request.zone).date()
    if session.scope.role not in _STAFF:
        _check_notice(request, starts_at)
    elif starts_at > request.now + _FARTHEST:
        raise _refused("TOO_FAR_AHEAD", starts_at, f"and nothing is booked more than {_FARTHEST.days} days ahead")
    facts = await read_facts(session, request, day, day, but)
    ends_at = opening(facts, request.work, starts_at)
    if ends_at is None:
        raise _refused("OUTSIDE_HOURS", starts_at, "and the shop is not open for as long as the work takes then")
    bay = bay_for(facts, starts_at, ends_at)
    if bay is None:
        raise _slot_taken()
    return Place(bay, Range(starts_at, ends_at))


def _check_notice(request: Request, starts_at: datetime) -> None:
    location = request.location
    if starts_at < request.now + timedelta(minutes=location.lead_time_minutes):
        notice = f"and the shop wants to know {location.lead_time_minutes} minutes before"
        raise _refused("TOO_SOON", starts_at, notice)
    if starts_at > request.latest:
        raise _refused("TOO_FAR_AHEAD", starts_at, f"and the shop books {location.horizon_days} days ahead")


def _refused(code: str, starts_at: datetime, why: str) -> BadInputError:
    return BadInputError(f"startsAt is {starts_at.isoformat()}, {why}", code=code, field=("startsAt",))


def _slot_taken() -> BadInputError:
    return BadInputError("this time is taken: ask for the free times again", code="SLOT_TAKEN", field=("startsAt",))
