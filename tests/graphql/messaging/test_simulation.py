"""The touches before they happen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from lead_orchestrator.leads.consents import ConsentGiven
from lead_orchestrator.leads.models import Channel
from lead_orchestrator.leads.service import Leads, locked
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from lead_orchestrator.touches.schedule import DEFAULT_DAYS
from tests.factories import MadeTenant, make_lead, make_tenant, phone_number
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api

SIMULATE = """query($lead: ID, $location: ID, $at: DateTime) {
  simulateTouches(leadId: $lead, locationId: $location, startingAt: $at) { number day channel dueAt localTime decision } }"""
ACCOUNTS = {
    "twilioAccountSid": "AC" + "0" * 32,
    "twilioAuthToken": "token",
    "sendgridApiKey": "SG.key",
    "sendgridFromEmail": "quotes@example.com",
}
LOS_ANGELES = ZoneInfo("America/Los_Angeles")
TEN = datetime(2027, 2, 20, 10, tzinfo=LOS_ANGELES)  # a Saturday; the clocks change three weeks later
AGREED = [ConsentGiven(Channel.SMS, True, "tests"), ConsentGiven(Channel.EMAIL, True, "tests")]


@pytest_asyncio.fixture
async def tenant(tenancy: Tenancy, secret_box: SecretBox) -> MadeTenant:
    return await make_tenant(tenancy, secret_box, messaging={**ACCOUNTS, "twilioPhoneNumber": phone_number()})


async def simulated(api: Api, tenant: MadeTenant, at: datetime = TEN, **given: Any) -> list[dict[str, Any]]:
    answer = await api.ask(api.token(tenant.id, Role.AGENT), SIMULATE, at=at.isoformat(), **given)
    found: list[dict[str, Any]] = answer.ok["simulateTouches"]
    return found


async def test_all_thirteen_are_shown_at_the_shops_wall_time(api: Api, tenant: MadeTenant) -> None:
    found = await simulated(api, tenant)

    assert [(touch["number"], touch["day"]) for touch in found] == list(enumerate(DEFAULT_DAYS, start=1))
    days = [(TEN.date() + timedelta(days=day)).strftime("%a %Y-%m-%d") for day in DEFAULT_DAYS]
    assert [touch["localTime"] for touch in found] == [f"{day} 10:00" for day in days]
    assert [datetime.fromisoformat(touch["dueAt"]).astimezone(UTC).hour for touch in found] == [18] * 9 + [17] * 4
    assert all(touch["decision"].startswith(f"Will go out by {touch['channel']} at ") for touch in found)


async def test_a_start_at_night_waits_and_the_rest_counts_from_the_morning(api: Api, tenant: MadeTenant) -> None:
    found = await simulated(api, tenant, TEN.replace(hour=23))

    assert [touch["localTime"] for touch in found[:2]] == ["Sun 2027-02-21 09:00", "Mon 2027-02-22 09:00"]
    assert found[0]["decision"].startswith("Waiting until Sun 2027-02-21 09:00")
    assert found[1]["decision"].startswith("Will go out by SMS")


async def test_a_leads_own_facts_decide(api: Api, tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant) -> None:
    silent = await make_lead(tenancy, secret_box, tenant)
    mailed = await make_lead(tenancy, secret_box, tenant, phone=None, consents=AGREED)
    gone = await make_lead(tenancy, secret_box, tenant, consents=AGREED)
    async with tenancy.write(tenant.scope) as session:
        lead = await locked(session, gone.id)
        await Leads(secret_box).opt_out(session, lead, None, "Asked us to stop")

    without = await simulated(api, tenant, lead=f"lead_{silent.id}")
    by_mail = await simulated(api, tenant, lead=f"lead_{mailed.id}")
    never = await simulated(api, tenant, lead=f"lead_{gone.id}")

    assert without[0]["decision"].startswith("Will go out by SMS")
    assert {"no consent" in touch["decision"] for touch in without[1:]} == {True}
    assert {touch["channel"] for touch in by_mail} == {"EMAIL"}
    assert {touch["decision"].startswith("Not sent") for touch in never} == {True}


async def test_nothing_is_written(api: Api, tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant) -> None:
    lead = await make_lead(tenancy, secret_box, tenant)
    query = "query($l: ID!) { lead(id: $l) { lastActivityAt messages { totalCount } timeline { totalCount } } }"
    before = (await api.ask(api.token(tenant.id), query, l=f"lead_{lead.id}")).ok

    await simulated(api, tenant, lead=f"lead_{lead.id}")

    assert (await api.ask(api.token(tenant.id), query, l=f"lead_{lead.id}")).ok == before


async def test_the_schedule_in_force_is_played(api: Api, tenant: MadeTenant) -> None:
    touches = [{"number": n, "day": 4 * (n - 1), "channel": "SMS", "body": "Hi"} for n in (1, 2, 3)]
    change = "mutation($i: TouchScheduleInput!) { setTouchSchedule(input: $i) { errors { message } } }"
    await api.ask(api.token(tenant.id), change, i={"touches": touches})

    assert [touch["day"] for touch in await simulated(api, tenant)] == [0, 4, 8]


async def test_a_franchise_that_has_nothing_to_send_from_is_told(api: Api, ours: Franchise) -> None:
    answer = await api.ask(ours.owner, SIMULATE, location=ours.location_id, at=TEN.isoformat())

    assert {"no account to send it from" in touch["decision"] for touch in answer.ok["simulateTouches"]} == {True}


async def test_others_leads_and_locations_do_not_exist(api: Api, ours: Franchise, theirs: Franchise) -> None:
    elsewhere = api.token(ours.tenant.id, Role.AGENT, location_ids=[ours.tenant.locations[1]])

    for token, given in (
        (ours.owner, {"lead": theirs.lead_id}),
        (ours.owner, {"location": theirs.location_id}),
        (elsewhere, {"lead": ours.lead_id}),
    ):
        assert (await api.ask(token, SIMULATE, **given)).codes == ["NOT_FOUND"]
    both = {"lead": ours.lead_id, "location": f"loc_{ours.tenant.locations[1]}"}
    assert (await api.ask(ours.owner, SIMULATE, **both)).codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_a_start_that_nobody_can_foresee_is_refused(api: Api, tenant: MadeTenant, at: str) -> None:
    answer = await api.ask(api.token(tenant.id, Role.AGENT), SIMULATE, at=at)

    assert answer.codes == ["BAD_USER_INPUT"]


async def test_a_visitor_is_refused(api: Api, ours: Franchise) -> None:
    assert (await api.ask(api.token(ours.tenant.id, Role.VISITOR), SIMULATE)).codes == ["FORBIDDEN"]
