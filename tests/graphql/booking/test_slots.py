"""Free times through the API, over real rows."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from sqlalchemy import event

from lead_orchestrator.catalog.models import Closure, Service
from lead_orchestrator.db import Engines
from lead_orchestrator.tenancy.models import LocationHours
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api
from tests.graphql.shop import add_appointment, add_service

ZONE = ZoneInfo("America/Los_Angeles")
SLOTS = """query($l: ID!, $s: [ID!]!, $f: Date!, $t: Date!) {
  availableSlots(locationId: $l, serviceIds: $s, from: $f, to: $t) { startsAt endsAt localStart token } }"""
DAY = (datetime.now(ZONE) + timedelta(days=10)).date()


def at(hour: int, minute: int = 0, day: date = DAY) -> datetime:
    return datetime.combine(day, time(hour, minute), ZONE).astimezone(UTC)


@pytest_asyncio.fixture
async def service(tenancy: Tenancy, ours: Franchise) -> Service:
    """An hour's work at a shop that is open from 9 to 13 every day."""
    async with tenancy.write(ours.tenant.scope) as session:
        for day in range(7):
            hours = {"day_of_week": day, "opens_at": time(9), "closes_at": time(13)}
            session.add(LocationHours(tenant_id=ours.tenant.id, location_id=ours.tenant.location, **hours))
        return await add_service(session, ours.tenant, None, "Front Windows", duration_minutes=60)


async def ask(api: Api, ours: Franchise, *services: Service, token: str | None = None, **more: Any) -> Any:
    variables = {
        "l": ours.location_id,
        "s": [f"svc_{service.id}" for service in services],
        "f": DAY.isoformat(),
        "t": DAY.isoformat(),
        **more,
    }
    return await api.ask(token or ours.owner, SLOTS, **variables)


async def starts(api: Api, ours: Franchise, *services: Service, **more: Any) -> list[str]:
    found = (await ask(api, ours, *services, **more)).ok["availableSlots"]
    return [slot["localStart"][-5:] for slot in found]


async def test_a_slot_says_when_and_carries_a_token(api: Api, ours: Franchise, service: Service) -> None:
    found = (await ask(api, ours, service)).ok["availableSlots"]

    assert [slot["startsAt"] for slot in found] == [(at(9) + n * timedelta(minutes=30)).isoformat() for n in range(7)]
    assert found[0]["endsAt"] == at(10).isoformat()
    assert found[0]["localStart"] == f"{DAY:%a %Y-%m-%d} 09:00"
    assert len({slot["token"] for slot in found}) == 7


async def test_appointments_holds_and_closures_take_time(
    api: Api, ours: Franchise, service: Service, tenancy: Tenancy
) -> None:
    soon, past = datetime.now(UTC) + timedelta(minutes=5), datetime.now(UTC) - timedelta(seconds=1)
    async with tenancy.write(ours.tenant.scope) as session:
        await add_appointment(session, ours.tenant, at(9))
        await add_appointment(session, ours.tenant, at(10, 30), status="HELD", hold_expires_at=soon)
        await add_appointment(session, ours.tenant, at(11, 30), status="HELD", hold_expires_at=past)
        await add_appointment(session, ours.tenant, at(11, 30), status="CANCELLED")
        await add_appointment(session, ours.tenant, at(11, 30), location=ours.tenant.locations[1])
        shut = {"starts_at": at(12, 30), "ends_at": at(13)}
        session.add(Closure(tenant_id=ours.tenant.id, location_id=ours.tenant.location, **shut))

    assert await starts(api, ours, service) == ["11:30"]


async def test_services_take_their_time_one_after_the_other(
    api: Api, ours: Franchise, service: Service, tenancy: Tenancy
) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        other = await add_service(session, ours.tenant, ours.tenant.location, "Rear", duration_minutes=150)

    assert await starts(api, ours, service, other) == ["09:00", "09:30"]


async def test_lead_time_and_horizon_bound_what_is_offered(api: Api, ours: Franchise, service: Service) -> None:
    async def set_location(**values: int) -> None:
        change = "mutation($i: UpdateLocationInput!) { updateLocation(input: $i) { errors { message } } }"
        assert (await api.ask(ours.owner, change, i={"id": ours.location_id, **values})).ok["updateLocation"][
            "errors"
        ] == []

    await set_location(horizonDays=8)
    assert await starts(api, ours, service, t=(DAY + timedelta(days=40)).isoformat()) == []
    await set_location(horizonDays=60, leadTimeMinutes=11 * 24 * 60)
    assert await starts(api, ours, service) == []
    await set_location(leadTimeMinutes=0)
    assert len(await starts(api, ours, service)) == 7


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"t": (DAY - timedelta(days=1)).isoformat()}, "BAD_USER_INPUT", ["to"]),
        ({"t": (DAY + timedelta(days=62)).isoformat()}, "RANGE_TOO_LONG", ["to"]),
        ({"s": []}, "BAD_USER_INPUT", ["serviceIds"]),
        ({"s": ["svc_0199aaaa-0000-7000-8000-000000000001"]}, "UNKNOWN_SERVICE", ["serviceIds", "0"]),
        ({"l": "loc_0199aaaa-0000-7000-8000-000000000001"}, "NOT_FOUND", ["locationId"]),
    ],
)
async def test_what_cannot_be_answered_says_why(
    api: Api, ours: Franchise, service: Service, given: dict[str, Any], code: str, field: list[str]
) -> None:
    answer = await ask(api, ours, service, **given)

    [error] = answer.errors
    assert error["extensions"].get("reason", error["extensions"]["code"]) == code
    assert error["extensions"]["field"] == field
    assert answer.data is None


async def test_the_longest_range_is_read_in_three_statements(
    api: Api, ours: Franchise, service: Service, engines: Engines
) -> None:
    seen: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(engines.app.sync_engine, "before_cursor_execute", note)
    try:
        found = await starts(api, ours, service, t=(DAY + timedelta(days=61)).isoformat())
    finally:
        event.remove(engines.app.sync_engine, "before_cursor_execute", note)

    assert len(found) > 300
    assert len([statement for statement in seen if "set_config" not in statement]) == 3


async def test_a_visitor_of_the_location_sees_free_times_and_another_franchise_none(
    api: Api, ours: Franchise, theirs: Franchise, service: Service
) -> None:
    visitor = api.token(ours.tenant.id, Role.VISITOR, location_ids=[ours.tenant.location])
    elsewhere = api.token(ours.tenant.id, Role.VISITOR, location_ids=[ours.tenant.locations[1]])

    assert len(await starts(api, ours, service, token=visitor)) == 7
    for token in (elsewhere, theirs.owner):
        assert (await ask(api, ours, service, token=token)).codes == ["NOT_FOUND"]


async def test_a_service_that_is_not_sold_here_is_unknown(
    api: Api, ours: Franchise, service: Service, tenancy: Tenancy
) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        off = await add_service(session, ours.tenant, None, "Off", switched_off=True)
        other = await add_service(session, ours.tenant, ours.tenant.locations[1], "There")

    for gone in (off, other):
        [error] = (await ask(api, ours, service, gone)).errors
        assert (error["extensions"]["reason"], error["extensions"]["field"]) == ("UNKNOWN_SERVICE", ["serviceIds", "1"])
