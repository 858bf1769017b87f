"""Before a time is confirmed Google is asked, if what is known of its calendar is old; for a moment, and never in its way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import text

from lead_orchestrator.sandbox.faults import Fault
from lead_orchestrator.tenancy.tokens import Role
from tests.booking.calendar.shop import Shop
from tests.booking.desk import Desk
from tests.factories import phone_number
from tests.graphql.server import Api

BOOK = "mutation($i: BookAppointmentInput!) { bookAppointment(input: $i) { appointment { id } errors { code } } }"
HOLD = "mutation($i: HoldSlotInput!) { holdSlot(input: $i) { appointment { id } errors { code } } }"
MOVE = """mutation($id: ID!, $at: DateTime!, $k: String!) {
  rescheduleAppointment(id: $id, startsAt: $at, idempotencyKey: $k) { errors { code } } }"""
AGE = text("UPDATE google_credentials SET synced_at = now() - interval '10 minutes'")


@pytest_asyncio.fixture(scope="module")
async def connected(desk: Desk) -> Shop:
    shop = Shop(desk.stack)
    await shop.connect()
    await shop.sync()
    return shop


@pytest_asyncio.fixture
async def shop(desk: Desk, connected: Shop) -> AsyncIterator[Shop]:
    """Whose mirror is old."""
    await age(desk)
    yield connected
    connected.stack.world.faults.clear()


async def age(desk: Desk) -> None:
    """The mirror was read long ago."""
    async with desk.stack.services.tenancy.write(desk.stack.scope) as session:
        await session.execute(AGE)


class Caller:
    def __init__(self, api: Api, desk: Desk) -> None:
        self.api, self.desk = api, desk
        self.token = api.token(desk.stack.tenant_id, Role.OWNER)

    async def codes(self, document: str, field: str, **variables: object) -> list[str]:
        answer = (await self.api.ask(self.token, document, **variables)).ok[field]
        return [error["code"] for error in answer["errors"]]

    def time(self, hours: int) -> dict[str, object]:
        place = {"locationId": f"loc_{self.desk.location_id}", "serviceIds": [f"svc_{self.desk.service_id}"]}
        return {**place, "startsAt": self.desk.at(hours).isoformat(), "idempotencyKey": str(uuid4())}

    async def book(self, hours: int) -> list[str]:
        who = {"customer": {"firstName": "Ada", "phone": phone_number()}}
        return await self.codes(BOOK, "bookAppointment", i={**self.time(hours), **who})

    async def hold(self, hours: int) -> list[str]:
        return await self.codes(HOLD, "holdSlot", i=self.time(hours))


async def test_what_the_shop_has_just_entered_is_neither_booked_nor_held_nor_moved_into(
    api: Api, desk: Desk, shop: Shop
) -> None:
    made = await desk.book(desk.at(0))
    caller = Caller(api, desk)

    await shop.event(desk.at(2))
    assert await caller.book(2) == ["OUTSIDE_HOURS"]
    await age(desk)
    await shop.event(desk.at(3))
    assert await caller.hold(3) == ["OUTSIDE_HOURS"]
    await age(desk)
    await shop.event(desk.at(5))
    move = {"id": f"appt_{made.id}", "at": desk.at(5).isoformat(), "k": str(uuid4())}
    assert await caller.codes(MOVE, "rescheduleAppointment", **move) == ["OUTSIDE_HOURS"]


async def test_a_mirror_that_is_new_enough_asks_nobody(api: Api, desk: Desk, shop: Shop) -> None:
    await shop.sync()
    await shop.event(desk.at(10))

    assert await Caller(api, desk).book(10) == []


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("kind", ["error_500", "drop"])
async def test_google_being_away_does_not_stop_a_booking(api: Api, desk: Desk, kind: str) -> None:
    await desk.stack.fault("google", kind)

    assert await Caller(api, desk).book(12 if kind == "drop" else 14) == []


@pytest.mark.usefixtures("shop")
async def test_nobody_waits_longer_for_google_than_the_bound(desk: Desk) -> None:
    fault = Fault("google", "hold")
    desk.stack.world.faults.add(fault)
    freshness = replace(desk.stack.services.calendars.freshness, patience=0.2)

    await freshness.before_booking(desk.stack.scope, desk.wanted(desk.at(16)))

    assert fault.struck == 1
