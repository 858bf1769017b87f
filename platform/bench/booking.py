"""Bookings a second on times of their own and on one time, beside a bare insert under the same exclusion constraint."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from time import perf_counter
from uuid import uuid4

from lead_orchestrator.bench.bookings import BusyShop, open_shop
from lead_orchestrator.bench.repository import BareInserts
from lead_orchestrator.bench.stage import milliseconds, open_stage
from lead_orchestrator.booking.appointments.wanted import Customer, Wanted
from lead_orchestrator.booking.tokens import Offer
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["run"]

AT_ONCE = 8
BAYS, CLIENTS = 3, 100
_BOOKINGS, _QUICK_BOOKINGS = 400, 80
_HALF_HOUR = timedelta(minutes=30)


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """All in one process, straight to the service. Half of the times are booked, the other half inserted."""
    count = _QUICK_BOOKINGS if quick else _BOOKINGS
    async with open_stage(settings) as stage:
        shop = await open_shop(stage, bays=BAYS)
        times = shop.half_hours(count // 9 + 1)
        contested, booked, inserted = times[0], times[1 : count + 1], times[count + 1 : 2 * count + 1]
        ours, seconds = await _measured(booked, lambda start: _book(shop, start))
        async with BareInserts.open(stage.superuser_url, shop.tenant_id, shop.location_id, AT_ONCE) as bare:
            floor, _ = await _measured(inserted, lambda start: bare.insert(start, start + _HALF_HOUR))
        started = perf_counter()
        results = await asyncio.gather(*(_book(shop, contested) for _ in range(CLIENTS)))
        contest = perf_counter() - started
    return {
        "bench": "booking",
        "bookings": count,
        "atOnce": AT_ONCE,
        "perSecond": round(ours, 1),
        "latency": milliseconds(seconds),
        "bareInsertsPerSecond": round(floor, 1),
        "ratio": round(ours / floor, 3),
        "oneSlot": {
            "clients": CLIENTS,
            "bays": BAYS,
            "booked": sum(results),
            "answersPerSecond": round(CLIENTS / contest, 1),
        },
    }


async def _measured(
    times: Sequence[datetime], work: Callable[[datetime], Awaitable[object]]
) -> tuple[float, Sequence[float]]:
    """How many a second, and the seconds of each."""
    waiting = iter(times)
    seconds: list[float] = []

    async def worker() -> None:
        for start in waiting:
            begun = perf_counter()
            await work(start)
            seconds.append(perf_counter() - begun)

    started = perf_counter()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return len(times) / (perf_counter() - started), seconds


async def _book(shop: BusyShop, starts_at: datetime) -> bool:
    """False where somebody else was first."""
    number = uuid4().int % 10**6
    customer = Customer("Ada", f"+1{200 + number // 10_000}555{number % 10_000:04d}")
    wanted = Wanted(offer=Offer(shop.location_id, [shop.service_id], starts_at), customer=customer)
    try:
        async with shop.services.tenancy.write(Scope.service(shop.tenant_id, "bench")) as session:
            await shop.services.appointments.book(session, wanted, str(uuid4()))
    except BadInputError as error:
        if error.code != "SLOT_TAKEN":
            raise
        return False
    return True
