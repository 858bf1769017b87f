from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from lead_orchestrator.integrations.providers import ProviderUnknown
from lead_orchestrator.integrations.shopmonkey.appointments import AppointmentDraft, ShopMonkeyAppointments
from lead_orchestrator.integrations.shopmonkey.client import ShopMonkeyBusy, ShopMonkeyClient
from lead_orchestrator.sandbox.seed import LOS_ANGELES_LOCATION_ID, SUN_SHADE
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.sandbox.world import Company
from tests.sandbox.wire import ShopMonkey

KEY, ZONE = SUN_SHADE.shopmonkey_api_key, "America/Los_Angeles"
NINE = datetime(2026, 12, 1, 17, tzinfo=UTC)  # 9:00 in Los Angeles
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)


def draft(**changes: Any) -> AppointmentDraft:
    named: dict[str, Any] = {
        "reference": "appt_1",
        "name": "Window tint",
        "note": "Sedan",
        "starts_at": NINE,
        "ends_at": NINE + HOUR,
        "location_id": LOS_ANGELES_LOCATION_ID,
    }
    return AppointmentDraft(**{**named, **changes})


@pytest.fixture
def appointments(client: httpx.AsyncClient, server: SandboxServer) -> ShopMonkeyAppointments:
    return ShopMonkeyAppointments(ShopMonkeyClient(client, server.shopmonkey_url))


async def by_the_shop(client: httpx.AsyncClient, **changes: Any) -> str:
    """Somebody at the shop makes an appointment from nine to ten."""
    times = {"startDate": "2026-12-01T09:00:00-08:00", "endDate": "2026-12-01T10:00:00-08:00"}
    body = {"locationId": LOS_ANGELES_LOCATION_ID, "name": "Walk-in", **times, **changes}
    answer = await client.post("/appointments", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_an_appointment_is_made_changed_and_deleted(
    appointments: ShopMonkeyAppointments, company: Company
) -> None:
    made = await appointments.create(KEY, draft())
    stored = company.appointments[made]
    assert (stored["name"], stored["note"], stored["startDate"]) == (
        "Window tint",
        "Sedan\nappt_1",
        "2026-12-01T17:00:00.000Z",
    )

    assert await appointments.update(KEY, made, draft(starts_at=NINE + HOUR, ends_at=NINE + 2 * HOUR))
    assert company.appointments[made]["startDate"] == "2026-12-01T18:00:00.000Z"

    assert [await appointments.delete(KEY, made) for _ in range(2)] == [True, False]
    assert not await appointments.update(KEY, made, draft())
    assert company.appointments == {}


async def test_shopmonkey_takes_the_same_appointment_twice(
    appointments: ShopMonkeyAppointments, company: Company
) -> None:
    await appointments.create(KEY, draft())
    await appointments.create(KEY, draft())

    assert len(company.appointments) == 2


async def test_an_appointment_of_a_lost_reply_is_found_by_our_id(
    client: httpx.AsyncClient, appointments: ShopMonkeyAppointments, company: Company
) -> None:
    await appointments.create(KEY, draft(reference="appt_2"))
    assert await appointments.find(KEY, draft()) is None
    await client.post("/faults", json={"service": "shopmonkey", "kind": "accept_then_drop", "count": 1})

    with pytest.raises(ProviderUnknown):
        await appointments.create(KEY, draft())

    found = await appointments.find(KEY, draft())
    assert found is not None
    assert company.appointments[found]["note"] == "Sedan\nappt_1"


async def test_a_create_that_was_refused_is_certainly_not_taken(
    client: httpx.AsyncClient, appointments: ShopMonkeyAppointments, company: Company
) -> None:
    await client.post("/faults", json={"service": "shopmonkey", "kind": "error_429", "count": 1})

    with pytest.raises(ShopMonkeyBusy):
        await appointments.create(KEY, draft())

    assert company.appointments == {}


async def test_a_server_error_after_a_create_leaves_it_open(
    client: httpx.AsyncClient, appointments: ShopMonkeyAppointments
) -> None:
    await client.post("/faults", json={"service": "shopmonkey", "kind": "error_500", "count": 1})

    with pytest.raises(ProviderUnknown):
        await appointments.create(KEY, draft())


async def test_repetitions_are_told_of_in_one_place_only(
    client: httpx.AsyncClient, shopmonkey: ShopMonkey, appointments: ShopMonkeyAppointments
) -> None:
    weekly = await by_the_shop(client, rruleset="FREQ=WEEKLY;COUNT=20")
    single = await by_the_shop(client)

    listed = (await shopmonkey.get("/appointment")).json()["data"]
    searched = (await shopmonkey.post("/appointment/search", {"where": {}})).json()["data"]
    found = await appointments.list_between(KEY, LOS_ANGELES_LOCATION_ID, NINE, NINE + 3 * WEEK, ZONE)

    assert [row["id"] for row in listed] == [row["id"] for row in searched] == [single]
    assert sorted((row.id, row.start_date) for row in found) == sorted(
        [(single, NINE), (weekly, NINE), (weekly, NINE + WEEK), (weekly, NINE + 2 * WEEK)]
    )


async def test_repetitions_keep_the_time_of_the_shops_day(
    client: httpx.AsyncClient, appointments: ShopMonkeyAppointments
) -> None:
    """Clocks go forward on 8 March 2026."""
    times = {"startDate": "2026-03-04T09:00:00-08:00", "endDate": "2026-03-04T10:00:00-08:00"}
    await by_the_shop(client, rruleset="RRULE:FREQ=WEEKLY;COUNT=2", **times)

    begin = datetime(2026, 3, 1, tzinfo=UTC)
    found = await appointments.list_between(KEY, LOS_ANGELES_LOCATION_ID, begin, begin + 3 * WEEK, ZONE)

    assert sorted(str(row.start_date) for row in found) == ["2026-03-04 17:00:00+00:00", "2026-03-11 16:00:00+00:00"]


async def test_appointments_of_a_technician_are_seen_too(
    client: httpx.AsyncClient, appointments: ShopMonkeyAppointments, company: Company
) -> None:
    technician = company.users[0]["id"]
    made = await by_the_shop(client, technicianId=technician)

    found = await appointments.list_between(KEY, LOS_ANGELES_LOCATION_ID, NINE, NINE + WEEK, ZONE)

    assert [row.id for row in found] == [made]
    assert found[0].model_extra is not None
    assert "technicianId" not in found[0].model_extra


async def test_the_search_with_repetitions_wants_the_technicians_named(shopmonkey: ShopMonkey) -> None:
    dates = {"dateMin": "2026-12-01T00:00:00-08:00", "dateMax": "2026-12-02T00:00:00-08:00"}

    assert (await shopmonkey.post("/appointment/search_replacement", dates)).status_code == 400


async def test_an_appointment_without_a_colour_is_refused(shopmonkey: ShopMonkey) -> None:
    body = {"name": "x", "startDate": "2026-12-01T09:00:00Z", "endDate": "2026-12-01T10:00:00Z"}

    answer = await shopmonkey.post("/appointment", body)

    assert (answer.status_code, answer.json()["success"]) == (400, False)
