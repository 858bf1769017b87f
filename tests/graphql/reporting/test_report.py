"""What the report says of leads whose story is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text, update

from lead_orchestrator.leads.models import Lead
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.factories import MadeTenant, make_lead, make_tenant
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api

REPORT = """query($from: Date!, $to: Date!, $places: [ID!]) { report(from: $from, to: $to, locationIds: $places) {
  leads contacted engaged booked lost bookingRate medianSecondsToFirstContact p95SecondsToFirstContact
  byDay { date leads booked } byTouch { number sent replied booked }
  byLocation { location { id name timezone hours { dayOfWeek } } leads booked bookingRate }
  byService { name booked revenue { amountCents currency } } } }"""
MARCH = ("2026-03-01", "2026-03-31")
NOON = datetime(2026, 3, 10, 20, tzinfo=UTC)


async def reported(api: Api, token: str, period: tuple[str, str] = MARCH, places: list[str] | None = None) -> Any:
    variables = {"from": period[0], "to": period[1], "places": places}
    return (await api.ask(token, REPORT, **variables)).ok["report"]


async def make(
    tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant, *, location: UUID | None = None, **fields: Any
) -> Lead:
    """A lead with this story."""
    lead = await make_lead(tenancy, secret_box, tenant, location=location)
    async with tenancy.write(tenant.scope) as session:
        changed = update(Lead).where(Lead.tenant_id == tenant.id, Lead.id == lead.id)
        await session.execute(changed.values(**{"created_at": NOON, **fields}))
    return lead


@pytest.fixture
def known() -> list[dict[str, Any]]:
    """Seven leads: one is new, one was contacted, one lost, one answered, one answered and was lost, two booked."""
    after = [NOON + timedelta(seconds=seconds) for seconds in (10, 20, 30, 40, 50, 60)]
    return [
        {"status": "NEW"},
        {"status": "CONTACTED", "first_contacted_at": after[0], "touched": 0b10},
        {"status": "LOST", "first_contacted_at": after[1], "touched": 0b110},
        {"status": "ENGAGED", "first_contacted_at": after[2], "touched": 0b110, "answered_after": 2},
        {"status": "LOST", "first_contacted_at": after[3], "touched": 0b10, "answered_after": 1},
        {"status": "WON", "first_contacted_at": after[4], "touched": 0b1010, "answered_after": 3, "booked_after": 3},
        {"status": "BOOKED", "first_contacted_at": after[5], "touched": 0b10, "booked_after": 1},
    ]


async def test_leads_are_counted_by_what_became_of_them(
    api: Api, tenancy: Tenancy, secret_box: SecretBox, theirs: Franchise, known: list[dict[str, Any]]
) -> None:
    tenant = await make_tenant(tenancy, secret_box, locations=2)
    for number, story in enumerate(known):
        await make(tenancy, secret_box, tenant, location=tenant.locations[number % 2], **story)
    await make(tenancy, secret_box, theirs.tenant, status="BOOKED")

    got = await reported(api, api.token(tenant.id))

    assert (got["leads"], got["contacted"], got["engaged"], got["booked"], got["lost"]) == (7, 6, 4, 2, 2)
    assert got["bookingRate"] == pytest.approx(2 / 7)
    assert got["medianSecondsToFirstContact"] == pytest.approx(35)
    assert got["p95SecondsToFirstContact"] == pytest.approx(57.5)
    assert [(day["leads"], day["booked"]) for day in got["byDay"] if day["leads"]] == [(7, 2)]
    assert len(got["byDay"]) == 31
    touches = {touch["number"]: (touch["sent"], touch["replied"], touch["booked"]) for touch in got["byTouch"]}
    assert list(touches) == list(range(1, 14))
    assert {number: counts for number, counts in touches.items() if any(counts)} == {
        1: (6, 1, 1),
        2: (2, 1, 0),
        3: (1, 1, 1),
    }
    shops = [(shop["location"]["id"], shop["leads"], shop["booked"], shop["bookingRate"]) for shop in got["byLocation"]]
    assert shops == [
        (f"loc_{tenant.locations[0]}", 4, 1, 0.25),
        (f"loc_{tenant.locations[1]}", 3, 1, pytest.approx(1 / 3)),
    ]


async def test_without_leads_everything_is_nothing(api: Api, tenancy: Tenancy, secret_box: SecretBox) -> None:
    tenant = await make_tenant(tenancy, secret_box)

    got = await reported(api, api.token(tenant.id), ("2026-03-01", "2026-03-02"))

    assert (got["leads"], got["booked"], got["bookingRate"]) == (0, 0, 0.0)
    assert (got["medianSecondsToFirstContact"], got["p95SecondsToFirstContact"]) == (None, None)
    zero = {"leads": 0, "booked": 0}
    assert got["byDay"] == [{"date": "2026-03-01", **zero}, {"date": "2026-03-02", **zero}]
    assert {(touch["sent"], touch["replied"], touch["booked"]) for touch in got["byTouch"]} == {(0, 0, 0)}
    assert [(shop["leads"], shop["bookingRate"]) for shop in got["byLocation"]] == [(0, 0.0)]
    assert got["byService"] == []


async def test_a_limited_agent_s_report_is_of_its_locations(
    api: Api, ours: Franchise, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    first, second = ours.tenant.locations
    await make(tenancy, secret_box, ours.tenant, location=first)
    await make(tenancy, secret_box, ours.tenant, location=second)
    await make(tenancy, secret_box, ours.tenant, location=second)
    agent = api.token(ours.tenant.id, Role.AGENT, location_ids=[first])

    assert (await reported(api, ours.owner))["leads"] == 3
    assert (await reported(api, ours.owner, places=[f"loc_{second}"]))["leads"] == 2
    assert (await reported(api, ours.owner, places=[]))["byLocation"] == []
    own = await reported(api, agent)
    assert (own["leads"], [shop["location"]["id"] for shop in own["byLocation"]]) == (1, [f"loc_{first}"])
    hidden = await reported(api, agent, places=[f"loc_{second}"])
    assert (hidden["leads"], hidden["byLocation"]) == (0, [])


async def test_their_locations_are_nobody_s(api: Api, ours: Franchise, theirs: Franchise) -> None:
    got = await reported(api, ours.owner, places=[theirs.location_id])

    assert (got["leads"], got["byLocation"], got["byDay"][0]) == (
        0,
        [],
        {"date": "2026-03-01", "leads": 0, "booked": 0},
    )


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2026-03-08", "America/Los_Angeles", 23),  # the clocks go forward
        ("2026-11-01", "America/Los_Angeles", 25),  # and back
        ("2026-07-01", "America/Los_Angeles", 24),
        ("2026-03-29", "Europe/Berlin", 23),
    ],
)
async def test_a_day_is_the_location_s_however_long(
    api: Api, tenancy: Tenancy, secret_box: SecretBox, day: str, zone: str, hours: int
) -> None:
    tenant = await make_tenant(tenancy, secret_box, timezone=zone)
    begins = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    ends = begins + timedelta(hours=hours)
    instant = timedelta(microseconds=1)
    for at in (begins - instant, begins, ends - instant, ends):
        await make(tenancy, secret_box, tenant, created_at=at)
    token = api.token(tenant.id)

    alone = await reported(api, token, (day, day))
    around = await reported(api, token, (f"{day[:8]}01", f"{day[:8]}30")) if day[8:] != "01" else alone

    assert (alone["leads"], [one["leads"] for one in alone["byDay"]]) == (2, [2])
    assert next(one for one in around["byDay"] if one["date"] == day)["leads"] == 2


async def test_two_locations_have_days_of_their_own(api: Api, tenancy: Tenancy, secret_box: SecretBox) -> None:
    tenant = await make_tenant(tenancy, secret_box, locations=2)
    async with tenancy.platform() as session:
        place = update(Location).where(Location.tenant_id == tenant.id, Location.id == tenant.locations[1])
        await session.execute(place.values(timezone="America/New_York"))
    evening = datetime(2026, 3, 11, 5, tzinfo=UTC)  # 22:00 on the 10th in Los Angeles, 01:00 on the 11th in New York
    for location in tenant.locations:
        await make(tenancy, secret_box, tenant, location=location, created_at=evening)

    got = await reported(api, api.token(tenant.id), ("2026-03-10", "2026-03-11"))

    assert [(day["date"], day["leads"]) for day in got["byDay"]] == [("2026-03-10", 1), ("2026-03-11", 1)]
    assert (await reported(api, api.token(tenant.id), ("2026-03-11", "2026-03-11")))["leads"] == 1


async def test_services_are_those_of_appointments_that_stand(
    api: Api, tenancy: Tenancy, secret_box: SecretBox, theirs: Franchise
) -> None:
    tenant = await make_tenant(tenancy, secret_box, locations=2)
    await appoint(tenancy, tenant, "CONFIRMED", {"Full tint": 30_000, "Windshield": 10_000})
    await appoint(tenancy, tenant, "COMPLETED", {"Full tint": 35_000}, day=2)
    await appoint(tenancy, tenant, "CANCELLED", {"Full tint": 1}, day=3)
    await appoint(tenancy, tenant, "NO_SHOW", {"Full tint": 1}, day=4)
    await appoint(tenancy, tenant, "CONFIRMED", {"Full tint": 1}, day=5, made=NOON - timedelta(days=60))
    await appoint(tenancy, theirs.tenant, "CONFIRMED", {"Full tint": 1})
    agent = api.token(tenant.id, Role.AGENT, location_ids=[tenant.locations[1]])

    got = (await reported(api, api.token(tenant.id)))["byService"]

    assert got == [
        {"name": "Full tint", "booked": 2, "revenue": {"amountCents": 65_000, "currency": "USD"}},
        {"name": "Windshield", "booked": 1, "revenue": {"amountCents": 10_000, "currency": "USD"}},
    ]
    assert (await reported(api, agent))["byService"] == []


async def appoint(
    tenancy: Tenancy, tenant: MadeTenant, status: str, services: dict[str, int], *, day: int = 1, made: datetime = NOON
) -> None:
    starts = NOON + timedelta(days=day)
    keys = {"tenant": tenant.id, "location": tenant.location}
    appointment = text("""
      INSERT INTO appointments (tenant_id, location_id, bay, during, status, created_at)
      VALUES (:tenant, :location, 1, tstzrange(:starts, :ends), :status, :made) RETURNING id""")
    catalog = text("""
      INSERT INTO service_catalog (tenant_id, location_id, name, duration_minutes) VALUES (:tenant, :location, :name, 60)
      RETURNING id""")
    booked = text("""
      INSERT INTO appointment_services
        (tenant_id, location_id, appointment_id, service_id, position, name, price_cents, duration_minutes)
      VALUES (:tenant, :location, :appointment, :service, :position, :name, :cents, 60)""")
    values = {"starts": starts, "ends": starts + timedelta(hours=1), "status": status, "made": made}
    async with tenancy.write(tenant.scope) as session:
        key = (await session.execute(appointment, {**keys, **values})).scalar_one()
        for position, (name, cents) in enumerate(services.items()):
            service = (await session.execute(catalog, {**keys, "name": f"{name} {key}"})).scalar_one()
            row = {"appointment": key, "service": service, "position": position, "name": name, "cents": cents}
            await session.execute(booked, {**keys, **row})


@pytest.mark.parametrize(
    ("period", "word"),
    [
        (("2026-03-02", "2026-03-01"), "before"),
        (("2025-03-01", "2026-03-02"), "367 days"),
        (("1999-12-31", "2000-01-01"), "between"),
        (("2199-12-31", "2200-01-01"), "between"),
        (("2026-02-29", "2026-03-01"), "YYYY-MM-DD"),
        (("20260301", "2026-03-01"), "YYYY-MM-DD"),
    ],
)
async def test_a_period_that_is_none_is_refused(api: Api, ours: Franchise, period: tuple[str, str], word: str) -> None:
    answer = await api.ask(ours.owner, REPORT, **{"from": period[0], "to": period[1]})

    assert answer.codes == ["BAD_USER_INPUT"]
    assert word in answer.errors[0]["message"]
    assert len((await reported(api, ours.owner, ("2025-03-01", "2026-03-01")))["byDay"]) == 366


async def test_who_may_not_see_leads_gets_no_report(api: Api, ours: Franchise) -> None:
    variables = {"from": MARCH[0], "to": MARCH[1]}
    visitor = api.token(ours.tenant.id, Role.VISITOR, location_ids=[ours.tenant.location])

    assert (await api.ask(visitor, REPORT, **variables)).codes == ["FORBIDDEN"]
    assert (await api.ask(None, REPORT, **variables)).codes == ["UNAUTHENTICATED"]
    assert (await api.ask(api.token(None, Role.PLATFORM_ADMIN), REPORT, **variables)).codes == ["NOT_FOUND"]
    assert (await api.ask(ours.owner, REPORT, **variables, places=["lead_1"])).codes == ["BAD_USER_INPUT"]
