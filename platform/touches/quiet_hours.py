"""When a customer may be contacted: between two times of the customer's own day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time

from lead_orchestrator.errors import BadInputError

__all__ = ["QuietHours"]


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
