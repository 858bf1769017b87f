"""What it costs to find the free times of a month at a busy shop."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from time import perf_counter

from lead_orchestrator.bench.bookings import BusyShop, open_shop
from lead_orchestrator.bench.stage import milliseconds, open_stage
from lead_orchestrator.booking import repository
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["run"]

BAYS, DAYS, APPOINTMENTS = 6, 30, 2_000
MIRRORED = 200
"""Of each calendar outside."""
_ROUNDS, _QUICK_ROUNDS = 300, 50
_WARM_UP = 10
_HALF_HOUR = timedelta(minutes=30)


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """Each round asks for all of it and, beside it, for the busy times alone: the floor of any way to do it."""
    async with open_stage(settings) as stage:
        shop = await open_shop(stage, bays=BAYS)
        taken, theirs = _drawn(shop)
        await shop.fill(taken)
        await shop.mirror(_events(shop), theirs)
        offered, whole, busy = 0, [], []
        for number in range(_WARM_UP + (_QUICK_ROUNDS if quick else _ROUNDS)):
            seconds, offered = await _slots(shop)
            floor = await _busy(shop)
            if number >= _WARM_UP:
                whole.append(seconds)
                busy.append(floor)
    ours, floor_cost = milliseconds(whole), milliseconds(busy)
    return {
        "bench": "slots",
        "bays": BAYS,
        "days": DAYS,
        "appointments": APPOINTMENTS,
        "mirroredEvents": 2 * MIRRORED,
        "slots": offered,
        **ours,
        "busyTimesAlone": floor_cost,
        "ratio": round(ours["p50Ms"] / floor_cost["p50Ms"], 2),
    }


Taken = list[tuple[int, datetime, datetime]]


def _drawn(shop: BusyShop) -> tuple[Taken, Taken]:
    """Our appointments and ShopMonkey's, in bays of their own."""
    cells = [(bay, start) for bay in range(1, BAYS + 1) for start in shop.half_hours(DAYS)]
    drawn = random.Random(1).sample(cells, APPOINTMENTS + MIRRORED)  # noqa: S311 - the same shop each time
    taken = [(bay, start, start + _HALF_HOUR) for bay, start in drawn]
    return taken[:APPOINTMENTS], taken[APPOINTMENTS:]


def _events(shop: BusyShop) -> list[tuple[datetime, datetime]]:
    """Round the clock: those at night take nothing."""
    begins = shop.half_hours(1)[0]
    times = [begins + number * _HALF_HOUR for number in range(48 * DAYS)]
    drawn = random.Random(2).sample(times, MIRRORED)  # noqa: S311 - the same shop each time
    return [(start, start + _HALF_HOUR) for start in drawn]


async def _slots(shop: BusyShop) -> tuple[float, int]:
    started = perf_counter()
    async with shop.services.tenancy.read(Scope.service(shop.tenant_id, "bench")) as session:
        last = shop.first + timedelta(days=DAYS - 1)
        found = await shop.services.booking.slots(session, shop.location_id, [shop.service_id], shop.first, last)
    return perf_counter() - started, len(found)


async def _busy(shop: BusyShop) -> float:
    started = perf_counter()
    begins = shop.half_hours(1)[0]
    async with shop.services.tenancy.read(Scope.service(shop.tenant_id, "bench")) as session:
        await repository.busy(session, shop.location_id, begins, begins + timedelta(days=DAYS))
    return perf_counter() - started
