"""When a customer may be contacted: between two times of the customer's own day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.touches.wall_time import change_between, instants_of

__all__ = ["QuietHours", "next_allowed"]

DAY = timedelta(days=1)
DAYS_AHEAD = 4  # a window that a clock change swallows, or a day a zone leaves out, is followed by one that is there


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Contact is allowed from `opens` until just before `closes`, wall time in whole minutes of one day.

    Raises:
        BadInputError: the window is empty, runs past midnight, or is not in whole minutes.
    """

    opens: time = time(9, 0)
    closes: time = time(20, 0)

    def __post_init__(self) -> None:
        for name, edge in (("opens", self.opens), ("closes", self.closes)):
            if edge.second or edge.microsecond or edge.tzinfo is not None:
                raise BadInputError(f"{name} is {edge.isoformat()}; give a wall time in whole minutes, as in 09:00")
        if self.opens >= self.closes:
            raise BadInputError(
                f"the contact window {self.opens:%H:%M}-{self.closes:%H:%M} is empty or runs past midnight; "
                "it must open and close on the same day, as 09:00-20:00 does"
            )

    def allows(self, wall: datetime | time) -> bool:
        """Whether the wall clock shows a time in the window."""
        shown = wall.time() if isinstance(wall, datetime) else wall
        return self.opens <= shown < self.closes


def next_allowed(now: datetime, zone: ZoneInfo, window: QuietHours) -> datetime:
    """`now` (aware) if the window allows it, else the first instant after it that does; in UTC.

    Raises:
        ValueError: `now` has no zone.
    """
    if now.tzinfo is None:
        raise ValueError("now must be aware")
    now = now.astimezone(UTC)
    if window.allows(now.astimezone(zone)):
        return now
    later = (moment for moment in _openings(now, zone, window) if moment > now)
    return min(moment for moment in later if window.allows(moment.astimezone(zone)))


def _openings(now: datetime, zone: ZoneInfo, window: QuietHours) -> list[datetime]:
    """Every instant near `now` at which the window can begin: its opening time, and a change of the clock into it."""
    today = now.astimezone(zone).date()
    opened = [
        moment
        for ahead in range(-1, DAYS_AHEAD)
        for moment in instants_of(today + timedelta(days=ahead), window.opens, zone)
    ]
    changes = [change_between(now + ahead * DAY, now + (ahead + 1) * DAY, zone) for ahead in range(DAYS_AHEAD)]
    return opened + [change for change in changes if change is not None]
