"""Idempotency keys of bookings: whoever brings one again is answered the same, and it is worth nothing to anybody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from lead_orchestrator.booking.capacity import set_hours
from lead_orchestrator.booking.models import Appointment
from lead_orchestrator.catalog.service import ServiceChange, upsert_service
from lead_orchestrator.jobs.work import KEYS_KEPT, Context, prune
from lead_orchestrator.tenancy.hours import Open
from lead_orchestrator.tenancy.tokens import Role
from tests.booking.desk import Desk
from tests.factories import MadeTenant, make_tenant
from tests.graphql.server import Api

PHONE = "+12135550177"
SHOWN = "{ appointment { id startsAt } errors { code } } }"


@dataclass(frozen=True)
class Operation:
    """`variables(place, at, key, appointment)`."""

    name: str
    document: str
    variables: Callable[[dict[str, Any], str, str, str], dict[str, Any]]


HOLD = Operation(
    "holdSlot",
    f"mutation($i: HoldSlotInput!) {{ done: holdSlot(input: $i) {SHOWN}",
    lambda place, at, key, _: {"i": {**place, "startsAt": at, "idempotencyKey": key}},
)
BOOK = Operation(
    "bookAppointment",
    f"mutation($i: BookAppointmentInput!) {{ done: bookAppointment(input: $i) {SHOWN}",
    lambda place, at, key, _: {
        "i": {**place, "startsAt": at, "idempotencyKey": key, "customer": {"firstName": "Ada", "phone": PHONE}}
    },
)
MOVE = Operation(
    "rescheduleAppointment",
    f"""mutation($id: ID!, $at: DateTime!, $k: String!) {{
      done: rescheduleAppointment(id: $id, startsAt: $at, idempotencyKey: $k) {SHOWN}""",
    lambda _, at, key, appointment: {"id": appointment, "at": at, "k": key},
)
OPERATIONS = [HOLD, BOOK, MOVE]


class Attack:
    """One operation with one key, in the name of whom a token is for."""

    def __init__(self, api: Api, desk: Desk, operation: Operation, appointment: Appointment) -> None:
        self.api, self.desk, self.operation, self.appointment = api, desk, operation, appointment
        self.key = f"{operation.name}-{uuid4()}"
        self.place = {"locationId": f"loc_{desk.location_id}", "serviceIds": [f"svc_{desk.service_id}"]}
        self.owner = api.token(desk.stack.tenant_id, Role.OWNER, subject="owner")
        self.colleague = api.token(desk.stack.tenant_id, Role.AGENT, subject="colleague")

    async def ask(self, token: str, hours: int, place: dict[str, Any] | None = None) -> Any:
        at, target = self.desk.at(hours).isoformat(), f"appt_{self.appointment.id}"
        variables = self.operation.variables(place or self.place, at, self.key, target)
        return (await self.api.ask(token, self.operation.document, **variables)).ok["done"]

    async def appointments(self) -> list[dict[str, Any]]:
        return await self.desk.stack.rows("SELECT id, starts_at, status, sequence FROM appointments ORDER BY id")


def codes(payload: Any) -> list[str]:
    return [error["code"] for error in payload["errors"]]


@pytest.mark.parametrize("number", range(len(OPERATIONS)), ids=[one.name for one in OPERATIONS])
async def test_the_same_request_counts_once_and_another_one_is_refused(api: Api, desk: Desk, number: int) -> None:
    first_hour = 100 * number
    attack = Attack(api, desk, OPERATIONS[number], await desk.book(desk.at(first_hour)))

    first = await attack.ask(attack.owner, first_hour + 2)
    once = await attack.appointments()
    again = await attack.ask(attack.owner, first_hour + 2)
    other = await attack.ask(attack.owner, first_hour + 4)

    assert (codes(first), again) == ([], first)
    assert codes(other) == ["IDEMPOTENCY_KEY_REUSED"]
    assert await attack.appointments() == once


@pytest.mark.parametrize("number", range(len(OPERATIONS)), ids=[one.name for one in OPERATIONS])
async def test_a_colleagues_request_with_the_same_key_is_their_own(api: Api, desk: Desk, number: int) -> None:
    first_hour = 100 * number + 20
    attack = Attack(api, desk, OPERATIONS[number], await desk.book(desk.at(first_hour)))

    mine = await attack.ask(attack.owner, first_hour + 2)
    theirs = await attack.ask(attack.colleague, first_hour + 4)

    assert (codes(mine), codes(theirs)) == ([], [])
    assert theirs["appointment"]["startsAt"] != mine["appointment"]["startsAt"]


@pytest.mark.parametrize("number", range(len(OPERATIONS)), ids=[one.name for one in OPERATIONS])
async def test_another_franchise_learns_nothing_by_the_key_and_is_not_kept_from_its_own(
    api: Api, desk: Desk, number: int
) -> None:
    first_hour = 100 * number + 40
    attack = Attack(api, desk, OPERATIONS[number], await desk.book(desk.at(first_hour)))
    made = await attack.ask(attack.owner, first_hour + 2)
    before = await attack.appointments()
    stranger, place = await _stranger(desk)
    token = api.token(stranger.id, Role.OWNER, subject="owner")

    copied = await attack.ask(token, first_hour + 2)
    assert codes(copied) == ["NOT_FOUND"]
    assert made["appointment"]["id"] not in str(copied)
    if attack.operation is not MOVE:
        assert codes(await attack.ask(token, first_hour + 2, place)) == []
    assert await attack.appointments() == before


async def test_a_request_that_was_refused_may_come_again_with_its_key(api: Api, desk: Desk) -> None:
    taken = await desk.book(desk.at(400))
    attack = Attack(api, desk, BOOK, taken)

    assert codes(await attack.ask(attack.owner, 400)) == ["SLOT_TAKEN"]
    await desk.cancel(taken)

    assert codes(await attack.ask(attack.owner, 400)) == []


async def test_keys_are_forgotten_after_a_while_and_not_before(api: Api, desk: Desk) -> None:
    attack = Attack(api, desk, HOLD, await desk.book(desk.at(410)))
    await attack.ask(attack.owner, 412)

    async def kept_after(age: timedelta) -> bool:
        async with desk.stack.services.tenancy.write(desk.stack.scope) as session:
            aged = text("UPDATE idempotency_keys SET created_at = now() - cast(:age AS interval) WHERE key = :key")
            await session.execute(aged, {"age": age, "key": attack.key})
        context: Context = {"services": desk.stack.services, "job_id": "a job"}  # type: ignore[typeddict-item]  # rings nobody
        await prune(context, str(desk.stack.tenant_id))
        return bool(await desk.stack.rows("SELECT id FROM idempotency_keys WHERE key = :key", key=attack.key))

    assert await kept_after(KEYS_KEPT - timedelta(minutes=1))
    assert not await kept_after(KEYS_KEPT + timedelta(minutes=1))


async def _stranger(desk: Desk) -> tuple[MadeTenant, dict[str, Any]]:
    """Another franchise of the installation, and where it can be booked."""
    services = desk.stack.services
    tenant = await make_tenant(services.tenancy, services.secrets, crm=False)
    async with services.tenancy.write(tenant.scope) as session:
        await set_hours(session, tenant.location, [Open(day, time(), time()) for day in range(7)])
        service = await upsert_service(session, ServiceChange(None, tenant.location, "Theirs", 60))
    return tenant, {"locationId": f"loc_{tenant.location}", "serviceIds": [f"svc_{service.id}"]}
