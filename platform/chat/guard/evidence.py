"""What the tools of a conversation have shown: all that an answer may state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any

__all__ = ["Evidence", "Offered", "united"]


@dataclass(frozen=True)
class Offered:
    """A service as it was shown; `cents` None: it has no price."""

    name: str
    cents: int | None
    minutes: int


@dataclass(frozen=True)
class Evidence:
    """`moments` are beginnings that were offered or booked, in the shop's wall time; `days` were asked about, so that it may be
    said that nothing is free. `hours` are (weekday, time) at which the shop opens or closes, Monday is 0; `week` is true once
    they are known. `totals` are prices of several services together, in cents. Numbers within `texts` may be repeated."""

    services: Sequence[Offered] = ()
    totals: frozenset[int] = frozenset()
    moments: frozenset[datetime] = frozenset()
    days: frozenset[date] = frozenset()
    hours: frozenset[tuple[int, time]] = frozenset()
    week: bool = False
    texts: Sequence[str] = field(default_factory=tuple)
    held: bool = False
    booked: bool = False

    @property
    def amounts(self) -> frozenset[int]:
        """Every price, in cents."""
        return self.totals | {service.cents for service in self.services if service.cents is not None}

    @property
    def minutes(self) -> frozenset[int]:
        """How long work takes."""
        return frozenset(service.minutes for service in self.services)

    def to_json(self) -> dict[str, Any]:
        return {
            "services": [[one.name, one.cents, one.minutes] for one in self.services],
            "totals": sorted(self.totals),
            "moments": sorted(moment.isoformat() for moment in self.moments),
            "days": sorted(day.isoformat() for day in self.days),
            "hours": sorted([weekday, f"{wall:%H:%M}"] for weekday, wall in self.hours),
            "week": self.week,
            "texts": list(self.texts),
            "held": self.held,
            "booked": self.booked,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evidence:
        """Of `to_json`; what is missing is nothing."""
        return cls(
            services=[Offered(str(name), cents, int(minutes)) for name, cents, minutes in data.get("services", ())],
            totals=frozenset(data.get("totals", ())),
            moments=frozenset(datetime.fromisoformat(moment) for moment in data.get("moments", ())),
            days=frozenset(date.fromisoformat(day) for day in data.get("days", ())),
            hours=frozenset((int(weekday), time.fromisoformat(wall)) for weekday, wall in data.get("hours", ())),
            week=bool(data.get("week")),
            texts=tuple(data.get("texts", ())),
            held=bool(data.get("held")),
            booked=bool(data.get("booked")),
        )


def united(parts: Iterable[Evidence]) -> Evidence:
    """All of it together."""
    every = list(parts)
    services = {(one.name, one.cents, one.minutes): one for part in every for one in part.services}
    return Evidence(
        services=list(services.values()),
        totals=frozenset().union(*(part.totals for part in every)),
        moments=frozenset().union(*(part.moments for part in every)),
        days=frozenset().union(*(part.days for part in every)),
        hours=frozenset().union(*(part.hours for part in every)),
        week=any(part.week for part in every),
        texts=tuple(dict.fromkeys(text for part in every for text in part.texts)),
        held=any(part.held for part in every),
        booked=any(part.booked for part in every),
    )
