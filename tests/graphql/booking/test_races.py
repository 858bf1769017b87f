"""Many who want the same time at once, over HTTP: as many get it as there are bays, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import text

from lead_orchestrator.booking.appointments.taking import in_turn
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.graphql.booking.shops import Shop
from tests.graphql.conftest import Franchise
from tests.graphql.shop import add_appointment

CLIENTS = 100


def outcomes(answers: list[Any]) -> Counter[str]:
    """How often each code came back; a booking is OK."""
    return Counter(code for answer in answers for code in (Shop.codes(answer) or ["OK"]))


def assert_apart(taken: list[tuple[int, datetime, datetime]]) -> None:
    for (bay, _, end), (next_bay, start, _) in pairwise(taken):
        assert bay != next_bay or end <= start


async def test_a_hundred_clients_on_one_slot_make_as_many_bookings_as_there_are_bays(shop: Shop) -> None:
    await shop.set_bays(3)

    answers = await asyncio.gather(*(shop.book(shop.at(10)) for _ in range(CLIENTS)))

    assert outcomes(answers) == {"OK": 3, "SLOT_TAKEN": CLIENTS - 3}
    taken = await shop.taken()
    assert [(bay, start) for bay, start, _ in taken] == [(bay, shop.at(10)) for bay in (1, 2, 3)]


async def test_one_key_from_many_clients_is_one_booking(shop: Shop) -> None:
    given = shop.input(shop.at(10), idempotencyKey="the same")

    answers = await asyncio.gather(*(shop.book(**given) for _ in range(20)))

    assert outcomes(answers) == {"OK": 20}
    assert len({answer["appointment"]["id"] for answer in answers}) == 1
    assert len(await shop.taken()) == 1


async def test_reschedules_that_cross_end_without_a_deadlock_and_without_an_overlap(shop: Shop) -> None:
    times = [shop.at(hour, days=day) for day in range(3) for hour in (9, 10, 11, 12)]
    made = [(await shop.book(at))["appointment"]["id"] for at in times[:10]]

    answers = await asyncio.gather(
        *(
            shop.reschedule(appointment, times[(number + step) % len(times)], f"{number} {step}")
            for step in (1, 3, 5)
            for number, appointment in enumerate(made)
        )
    )

    assert set(outcomes(answers)) <= {"OK", "SLOT_TAKEN"}
    assert outcomes(answers)["OK"] > 0
    taken = await shop.taken()
    assert len(taken) == len(made)
    assert_apart(taken)


async def test_a_hold_that_expires_meanwhile_goes_to_exactly_one(shop: Shop, ours: Franchise, tenancy: Tenancy) -> None:
    held = (await shop.hold(shop.at(10)))["appointment"]["id"]
    async with tenancy.write(ours.tenant.scope) as session:
        await session.execute(text("UPDATE appointments SET hold_expires_at = now() + interval '0.3 seconds'"))

    async def again_and_again() -> Any:
        deadline = asyncio.get_running_loop().time() + 20
        while shop.codes(answer := await shop.book(shop.at(10))) == ["SLOT_TAKEN"] and not await shop.is_booked(
            shop.at(10)
        ):
            assert asyncio.get_running_loop().time() < deadline
        return answer

    answers = await asyncio.gather(*(again_and_again() for _ in range(15)))

    assert outcomes(answers) == {"OK": 1, "SLOT_TAKEN": 14}
    assert shop.codes(await shop.book(holdId=held)) == ["HOLD_EXPIRED"]
    assert len(await shop.taken()) == 1


async def test_appointments_across_midnight_do_not_overlap(shop: Shop) -> None:
    await shop.always_open()
    late, early = shop.at(23, 30), shop.at(0, days=1)

    answers = await asyncio.gather(*(shop.book(at) for _ in range(15) for at in (late, early)))

    assert outcomes(answers) == {"OK": 1, "SLOT_TAKEN": 29}
    [(_, start, end)] = await shop.taken()
    assert end - start == timedelta(hours=1)


async def test_the_constraint_holds_where_the_check_does_not(shop: Shop, ours: Franchise, tenancy: Tenancy) -> None:
    await shop.book(shop.at(10))

    async with tenancy.write(ours.tenant.scope) as session:
        with pytest.raises(BadInputError) as refused:
            await in_turn(session, ours.tenant.location, lambda: add_appointment(session, ours.tenant, shop.at(10, 30)))

    assert refused.value.code == "SLOT_TAKEN"
    assert len(await shop.taken()) == 1


async def test_customers_who_booked_at_once_are_one_lead_each(shop: Shop, ours: Franchise, tenancy: Tenancy) -> None:
    await shop.set_bays(2)
    customers = [shop.input(shop.at(9))["customer"] for _ in range(4)]

    answers = await asyncio.gather(
        *(shop.book(shop.at(hour), customer=customer) for hour in (9, 10, 11, 12) for customer in customers[:2])
    )

    assert outcomes(answers) == {"OK": 8}
    async with tenancy.read(ours.tenant.scope) as session:
        phones = [customer["phone"] for customer in customers[:2]]
        found = await session.scalar(text("SELECT count(*) FROM leads WHERE phone = ANY (:phones)"), {"phones": phones})
    assert found == 2
    assert datetime.now(UTC) < shop.at(9)
