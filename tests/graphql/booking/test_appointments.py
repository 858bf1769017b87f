"""Appointments through the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api
from tests.graphql.shop import START, add_appointment, add_service

APPOINTMENTS = """query($f: AppointmentFilter, $n: Int, $a: String) {
  appointments(filter: $f, first: $n, after: $a) { totalCount pageInfo { hasNextPage hasPreviousPage endCursor }
    edges { cursor node { id } } } }"""
WHOLE = """query($i: ID!) { node(id: $i) { ... on Appointment { id startsAt endsAt localStart status bay notes
  total { amountCents currency } holdExpiresAt shopmonkeyAppointmentId syncStatus manageUrl
  lead { id } location { id } services { name } } } }"""


async def test_an_appointment_shows_everything_of_it(api: Api, tenancy: Tenancy, ours: Franchise) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        services = [await add_service(session, ours.tenant, None, name) for name in ("Second", "First")]
        row = await add_appointment(
            session, ours.tenant, START, lead=ours.lead, services=services[::-1], notes="Back first", total_cents=2**40
        )

    node = (await api.ask(ours.owner, WHOLE, i=f"appt_{row.id}")).ok["node"]

    assert node == {
        "id": f"appt_{row.id}",
        "startsAt": "2026-03-01T09:30:00.123456+00:00",
        "endsAt": "2026-03-01T10:30:00.123456+00:00",
        "localStart": "Sun 2026-03-01 01:30",
        "status": "CONFIRMED",
        "bay": 1,
        "notes": "Back first",
        "total": {"amountCents": 2**40, "currency": "USD"},
        "holdExpiresAt": None,
        "shopmonkeyAppointmentId": None,
        "syncStatus": "NOT_NEEDED",
        "manageUrl": "",
        "lead": {"id": ours.lead_id},
        "location": {"id": ours.location_id},
        "services": [{"name": "First"}, {"name": "Second"}],
    }


async def test_pages_hold_every_appointment_once_the_latest_first(api: Api, tenancy: Tenancy, ours: Franchise) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        rows = [
            await add_appointment(session, ours.tenant, START + timedelta(hours=n // 2), status="CANCELLED")
            for n in range(7)
        ]
    wanted = [f"appt_{row.id}" for row in sorted(rows, key=lambda row: (row.starts_at, row.id), reverse=True)]

    seen: list[str] = []
    after, more = None, True
    while more:
        page = (await api.ask(ours.owner, APPOINTMENTS, n=3, a=after)).ok["appointments"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        assert page["totalCount"] == 7

    assert seen == wanted


async def test_filters_narrow(api: Api, tenancy: Tenancy, ours: Franchise) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        mine = await add_appointment(session, ours.tenant, START, lead=ours.lead)
        late = await add_appointment(
            session, ours.tenant, START + timedelta(days=1), location=ours.tenant.locations[1], status="NO_SHOW"
        )

    async def found(**given: Any) -> list[str]:
        page = (await api.ask(ours.owner, APPOINTMENTS, f=given)).ok["appointments"]
        assert page["totalCount"] == len(page["edges"])
        return [edge["node"]["id"].removeprefix("appt_") for edge in page["edges"]]

    assert await found() == [str(late.id), str(mine.id)]
    assert await found(status=["NO_SHOW", "HELD"]) == [str(late.id)]
    assert await found(leadId=ours.lead_id) == [str(mine.id)]
    assert await found(locationIds=[ours.location_id]) == [str(mine.id)]
    assert await found(**{"from": "2026-03-01T09:30:00.123456Z", "to": "2026-03-02T09:30:00.123456Z"}) == [str(mine.id)]
    assert await found(status=[]) == []


async def test_a_lead_shows_its_own(api: Api, tenancy: Tenancy, ours: Franchise) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        await add_appointment(session, ours.tenant, START)
        own = await add_appointment(session, ours.tenant, START, lead=ours.lead, bay=1, status="COMPLETED")
    query = (
        "query($l: ID!) { lead(id: $l) { appointments(first: 5) { totalCount edges { node { id lead { id } } } } } }"
    )

    shown = (await api.ask(ours.owner, query, l=ours.lead_id)).ok["lead"]["appointments"]

    assert shown == {"totalCount": 1, "edges": [{"node": {"id": f"appt_{own.id}", "lead": {"id": ours.lead_id}}}]}


@pytest.mark.parametrize("bad", [{"f": {"leadId": "x"}}, {"f": {"locationIds": ["x"]}}, {"a": "x"}, {"n": 101}])
async def test_what_cannot_be_read_is_refused(api: Api, ours: Franchise, bad: dict[str, Any]) -> None:
    assert (await api.ask(ours.owner, APPOINTMENTS, **bad)).codes == ["BAD_USER_INPUT"]


async def test_what_is_another_tenants_does_not_exist(
    api: Api, tenancy: Tenancy, ours: Franchise, theirs: Franchise
) -> None:
    async with tenancy.write(theirs.tenant.scope) as session:
        row = await add_appointment(session, theirs.tenant, START, lead=theirs.lead)
    foreign = {"f": {"leadId": theirs.lead_id, "locationIds": [theirs.location_id]}}

    assert (await api.ask(ours.owner, APPOINTMENTS, **foreign)).ok["appointments"]["edges"] == []
    assert (await api.ask(ours.owner, WHOLE, i=f"appt_{row.id}")).ok == {"node": None}
    assert (await api.ask(theirs.owner, WHOLE, i=f"appt_{row.id}")).ok["node"]["id"] == f"appt_{row.id}"


async def test_a_limited_agent_sees_its_locations_only(api: Api, tenancy: Tenancy, ours: Franchise) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        own, other = [await add_appointment(session, ours.tenant, START, location=one) for one in ours.tenant.locations]
    agent = api.token(ours.tenant.id, Role.AGENT, location_ids=[own.location_id])

    page = (await api.ask(agent, APPOINTMENTS)).ok["appointments"]

    assert ([edge["node"]["id"] for edge in page["edges"]], page["totalCount"]) == ([f"appt_{own.id}"], 1)
    assert (await api.ask(agent, WHOLE, i=f"appt_{other.id}")).ok == {"node": None}


async def test_no_two_held_or_confirmed_ones_share_a_bay(tenancy: Tenancy, ours: Franchise) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        await add_appointment(session, ours.tenant, START)
        await add_appointment(session, ours.tenant, START + timedelta(hours=1))
        await add_appointment(session, ours.tenant, START, status="CANCELLED")
        await add_appointment(session, ours.tenant, START, location=ours.tenant.locations[1])

    async def book(**values: Any) -> None:
        async with tenancy.write(ours.tenant.scope) as session:
            await add_appointment(session, ours.tenant, START + timedelta(minutes=59), **values)

    with pytest.raises(IntegrityError, match="appointments_do_not_overlap"):
        await book(status="HELD", hold_expires_at=START)
    with pytest.raises(IntegrityError, match="location_id_bay_fkey"):  # the shop has one bay
        await book(bay=2)
