"""A location's name, bays and hours through the API."""

from __future__ import annotations

from typing import Any

import pytest

from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api

SHOWN = """name timezone phone address bays bufferMinutes leadTimeMinutes horizonDays allowedOrigins
  hours { dayOfWeek opensAt closesAt }"""
UPDATE = f"""mutation($i: UpdateLocationInput!) {{ updateLocation(input: $i) {{
  location {{ {SHOWN} }} errors {{ code field message }} }} }}"""
HOURS = f"""mutation($l: ID!, $h: [OpeningHoursInput!]!) {{ setLocationHours(locationId: $l, hours: $h) {{
  location {{ {SHOWN} }} errors {{ code field message }} }} }}"""
LOCATION = f"query($l: ID!) {{ location(id: $l) {{ {SHOWN} }} }}"
AUDIT = "query { auditLog { edges { node { action target detail } } } }"


def stretch(day: int, opens: str, closes: str) -> dict[str, Any]:
    return {"dayOfWeek": day, "opensAt": opens, "closesAt": closes}


async def test_everything_a_location_says_of_itself_can_be_changed(api: Api, ours: Franchise) -> None:
    given = {
        "name": "  Main Street ",
        "timezone": "America/Denver",
        "phone": "(303) 555-0142",
        "address": "2 Example Street",
        "bays": 4,
        "bufferMinutes": 15,
        "leadTimeMinutes": 60,
        "horizonDays": 90,
        "allowedOrigins": ["https://WWW.example.com/", "http://localhost:3000", "https://www.example.com"],
    }

    answer = (await api.ask(ours.owner, UPDATE, i={"id": ours.location_id, **given})).ok["updateLocation"]

    assert answer["errors"] == []
    wanted = {
        **given,
        "name": "Main Street",
        "phone": "+13035550142",
        "allowedOrigins": ["https://www.example.com", "http://localhost:3000"],
        "hours": [],
    }
    assert answer["location"] == wanted
    assert (await api.ask(ours.owner, LOCATION, l=ours.location_id)).ok["location"] == wanted
    [line] = [e["node"] for e in (await api.ask(ours.owner, AUDIT)).ok["auditLog"]["edges"] if "location" in str(e)][:1]
    assert (line["action"], line["target"]) == ("location.changed", ours.location_id)
    assert sorted(line["detail"]["fields"]) == sorted(given)


async def test_what_is_left_out_stays_and_null_removes_an_address(api: Api, ours: Franchise) -> None:
    await api.ask(ours.owner, UPDATE, i={"id": ours.location_id, "address": "2 Example Street", "bays": 3})

    answer = await api.ask(ours.owner, UPDATE, i={"id": ours.location_id, "address": None, "phone": None})

    place = answer.ok["updateLocation"]["location"]
    assert (place["address"], place["phone"], place["bays"], place["name"]) == (None, None, 3, "Shop 1")


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"name": " "}, "BAD_USER_INPUT", ["name"]),
        ({"name": "x" * 201}, "BAD_USER_INPUT", ["name"]),
        ({"timezone": "America/Nowhere"}, "INVALID_TIME_ZONE", ["timezone"]),
        ({"timezone": None}, "BAD_USER_INPUT", ["timezone"]),
        ({"phone": "call us"}, "INVALID_PHONE", ["phone"]),
        ({"address": "x" * 501}, "BAD_USER_INPUT", ["address"]),
        ({"bays": 0}, "BAD_USER_INPUT", ["bays"]),
        ({"bays": None}, "BAD_USER_INPUT", ["bays"]),
        ({"bays": 101}, "BAD_USER_INPUT", ["bays"]),
        ({"bufferMinutes": 1441}, "BAD_USER_INPUT", ["bufferMinutes"]),
        ({"leadTimeMinutes": -1}, "BAD_USER_INPUT", ["leadTimeMinutes"]),
        ({"horizonDays": 366}, "BAD_USER_INPUT", ["horizonDays"]),
        ({"allowedOrigins": ["https://example.com", "https://example.com/shop"]}, "BAD_USER_INPUT", ["allowedOrigins", "1"]),
        ({"allowedOrigins": ["*"]}, "BAD_USER_INPUT", ["allowedOrigins", "0"]),
        ({"allowedOrigins": ["https://*.example.com"]}, "BAD_USER_INPUT", ["allowedOrigins", "0"]),
        ({"allowedOrigins": ["https://user@example.com"]}, "BAD_USER_INPUT", ["allowedOrigins", "0"]),
        ({"allowedOrigins": ["https://example.com:x"]}, "BAD_USER_INPUT", ["allowedOrigins", "0"]),
        ({"allowedOrigins": ["javascript:alert(1)"]}, "BAD_USER_INPUT", ["allowedOrigins", "0"]),
    ],
)  # fmt: skip
async def test_a_value_that_cannot_be_used_is_named_and_nothing_changes(
    api: Api, ours: Franchise, given: dict[str, Any], code: str, field: list[str]
) -> None:
    before = (await api.ask(ours.owner, LOCATION, l=ours.location_id)).ok

    answer = (await api.ask(ours.owner, UPDATE, i={"id": ours.location_id, "bays": 9, **given})).ok["updateLocation"]

    assert answer["location"] is None
    assert [(error["code"], error["field"]) for error in answer["errors"]] == [(code, field)]
    assert (await api.ask(ours.owner, LOCATION, l=ours.location_id)).ok == before


async def test_hours_replace_each_other_and_may_touch_at_midnight(api: Api, ours: Franchise) -> None:
    await api.ask(ours.owner, HOURS, l=ours.location_id, h=[stretch(1, "09:00", "17:00")])
    hours = [
        stretch(5, "08:00", "12:00"),
        stretch(5, "13:00", "17:00"),
        stretch(5, "20:00", "00:00"),
        stretch(6, "00:00", "02:00"),
    ]

    answer = (await api.ask(ours.owner, HOURS, l=ours.location_id, h=[hours[3], *hours[:3]])).ok["setLocationHours"]

    assert answer["errors"] == []
    assert answer["location"]["hours"] == hours
    none = (await api.ask(ours.owner, HOURS, l=ours.location_id, h=[])).ok["setLocationHours"]
    assert none["location"]["hours"] == []


@pytest.mark.parametrize(
    ("hours", "code", "field"),
    [
        ([stretch(1, "09:00", "12:00"), stretch(1, "11:59", "17:00")], "HOURS_OVERLAP", ["hours", "1", "opensAt"]),
        ([stretch(1, "20:00", "00:00"), stretch(1, "21:00", "22:00")], "HOURS_OVERLAP", ["hours", "1", "opensAt"]),
        ([stretch(1, "09:00", "12:00"), stretch(1, "09:00", "12:00")], "HOURS_OVERLAP", ["hours", "1", "opensAt"]),
        ([stretch(2, "09:00", "12:00"), stretch(1, "20:00", "02:00")], "CLOSES_BEFORE_OPENING", ["hours", "1", "closesAt"]),
        ([stretch(1, "09:00", "09:00")], "CLOSES_BEFORE_OPENING", ["hours", "0", "closesAt"]),
        ([stretch(7, "09:00", "10:00")], "BAD_USER_INPUT", ["hours", "0", "dayOfWeek"]),
        ([stretch(1, "09:00", "10:00")] * 71, "BAD_USER_INPUT", ["hours"]),
    ],
)  # fmt: skip
async def test_hours_that_cannot_be_are_refused_with_their_place(
    api: Api, ours: Franchise, hours: list[dict[str, Any]], code: str, field: list[str]
) -> None:
    kept = [stretch(3, "09:00", "10:00")]
    await api.ask(ours.owner, HOURS, l=ours.location_id, h=kept)

    answer = (await api.ask(ours.owner, HOURS, l=ours.location_id, h=hours)).ok["setLocationHours"]

    assert answer["location"] is None
    assert [(error["code"], error["field"]) for error in answer["errors"]] == [(code, field)]
    assert (await api.ask(ours.owner, LOCATION, l=ours.location_id)).ok["location"]["hours"] == kept


async def test_only_managers_of_the_location_change_it(api: Api, ours: Franchise, theirs: Franchise) -> None:
    agent = api.token(ours.tenant.id, Role.AGENT)
    other_shop = api.token(ours.tenant.id, Role.MANAGER, location_ids=[ours.tenant.locations[1]])
    before = (await api.ask(ours.owner, LOCATION, l=ours.location_id)).ok

    assert (await api.ask(agent, UPDATE, i={"id": ours.location_id, "bays": 2})).codes == ["FORBIDDEN"]
    assert (await api.ask(agent, HOURS, l=ours.location_id, h=[])).codes == ["FORBIDDEN"]
    for token in (other_shop, theirs.owner):
        changed = (await api.ask(token, UPDATE, i={"id": ours.location_id, "bays": 2})).ok["updateLocation"]
        hours = (await api.ask(token, HOURS, l=ours.location_id, h=[])).ok["setLocationHours"]
        assert [(e["code"], e["field"]) for e in changed["errors"] + hours["errors"]] == [
            ("NOT_FOUND", ["id"]),
            ("NOT_FOUND", ["locationId"]),
        ]
    assert (await api.ask(ours.owner, LOCATION, l=ours.location_id)).ok == before
