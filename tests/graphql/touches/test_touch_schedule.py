"""The schedule of touches through the API."""

from __future__ import annotations

from typing import Any

import pytest

from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api

SCHEDULE = """query($l: ID) { touchSchedule(locationId: $l) { version quietHoursStart quietHoursEnd
  touches { number day channel subject body whatsappTemplate } } }"""
SET = """mutation($i: TouchScheduleInput!) { setTouchSchedule(input: $i) { leadsInFlight
  touchSchedule { version quietHoursStart touches { number day } } errors { code field message } } }"""
TWO = [
    {"number": 1, "day": 0, "channel": "SMS", "body": "Hi {first_name|there}"},
    {"number": 2, "day": 4, "channel": "EMAIL", "subject": "Your quote", "body": "{vehicle|car}"},
]


async def test_the_default_is_shown_until_one_is_set(api: Api, ours: Franchise) -> None:
    before = (await api.ask(ours.owner, SCHEDULE, l=ours.location_id)).ok["touchSchedule"]
    manager = api.token(ours.tenant.id, Role.MANAGER)
    done = (await api.ask(manager, SET, i={"touches": TWO, "quietHoursStart": "19:00"})).ok["setTouchSchedule"]
    after = (await api.ask(ours.owner, SCHEDULE, l=ours.location_id)).ok["touchSchedule"]

    assert (before["version"], len(before["touches"]), before["quietHoursStart"]) == (0, 13, "20:00")
    assert done["errors"] == []
    assert done["leadsInFlight"] == 1
    assert (after["version"], after["quietHoursStart"], after["quietHoursEnd"]) == (1, "19:00", "09:00")
    assert [{key: touch[key] for key in TWO[0]} for touch in after["touches"]] == [
        {key: touch[key] for key in TWO[0]} for touch in TWO
    ]


async def test_everything_wrong_comes_back_at_once(api: Api, ours: Franchise) -> None:
    wrong: list[dict[str, Any]] = [
        {"number": 1, "day": 1, "channel": "SMS", "body": "{name}"},
        {"number": 2, "day": 1, "channel": "EMAIL", "body": " "},
    ]

    payload = (await api.ask(ours.owner, SET, i={"touches": wrong, "quietHoursEnd": "21:00"})).ok["setTouchSchedule"]

    assert (payload["touchSchedule"], payload["leadsInFlight"]) == (None, None)
    assert [".".join(error["field"]) for error in payload["errors"]] == [
        "touches.0.day",
        "touches.1.day",
        "touches.0.body",
        "touches.1.body",
        "touches.1.subject",
        "quietHoursEnd",
    ]
    assert (await api.ask(ours.owner, SCHEDULE)).ok["touchSchedule"]["version"] == 0


async def test_a_lead_shows_the_day_of_the_schedule_in_force(api: Api, ours: Franchise) -> None:
    query = "query($l: ID!) { lead(id: $l) { nextTouch { number day } } }"
    await api.ask(ours.owner, SET, i={"touches": TWO})

    assert (await api.ask(ours.owner, query, l=ours.lead_id)).ok["lead"]["nextTouch"] == {"number": 1, "day": 0}


async def test_a_change_leaves_a_line_in_the_audit_trail(api: Api, ours: Franchise) -> None:
    await api.ask(ours.owner, SET, i={"touches": TWO, "locationId": ours.location_id})

    lines = await api.ask(ours.owner, "{ auditLog { edges { node { action target detail actor } } } }")
    found = [edge["node"] for edge in lines.ok["auditLog"]["edges"] if edge["node"]["action"] == "touch_schedule.set"]
    assert found == [
        {
            "action": "touch_schedule.set",
            "target": ours.location_id,
            "detail": {"version": 1, "touches": 2},
            "actor": "tests",
        }
    ]


@pytest.mark.parametrize("role", [Role.AGENT, Role.VISITOR])
async def test_who_may_not_set_it_is_refused(api: Api, ours: Franchise, role: Role) -> None:
    answer = await api.ask(api.token(ours.tenant.id, role), SET, i={"touches": TWO})

    assert answer.codes == ["FORBIDDEN"]


async def test_another_tenants_location_does_not_exist(api: Api, ours: Franchise, theirs: Franchise) -> None:
    asked = await api.ask(ours.owner, SCHEDULE, l=theirs.location_id)
    written = await api.ask(ours.owner, SET, i={"touches": TWO, "locationId": theirs.location_id})

    assert asked.codes == ["NOT_FOUND"]
    assert [error["code"] for error in written.ok["setTouchSchedule"]["errors"]] == ["NOT_FOUND"]
    assert (await api.ask(theirs.owner, SCHEDULE, l=theirs.location_id)).ok["touchSchedule"]["version"] == 0
