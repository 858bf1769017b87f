from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import select, text

from lead_orchestrator.leads.models import Lead, LeadEvent, ScheduledMessage
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.factories import phone_number
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api

CREATE = """mutation($input: CreateLeadInput!) { createLead(input: $input) {
  lead { id name phone email status source timeZone consents { channel granted source wording } nextTouch { number }
    timeline { edges { node { kind } } } location { id } vehicle { year } }
  errors { code message field } } }"""
UPDATE = """mutation($input: UpdateLeadInput!) { updateLead(input: $input) {
  lead { id status firstName lastName phone email nextTouch { number } } errors { code message field } } }"""


async def create(api: Api, franchise: Franchise, **given: Any) -> dict[str, Any]:
    given = {"locationId": franchise.location_id, **given}
    answer = (await api.ask(franchise.owner, CREATE, input=given)).ok
    made: dict[str, Any] = answer["createLead"]
    return made


async def test_a_lead_is_made_with_its_consents_and_its_first_touch(api: Api, ours: Franchise) -> None:
    number = phone_number()

    made = await create(
        api,
        ours,
        firstName=" Ada ",
        lastName="Lovelace",
        phone=f"({number[2:5]}) {number[5:8]}-{number[8:]}",
        email="Ada.L@Example.com",
        timeZone="America/Chicago",
        postalCode="60601",
        vehicle={"year": 2020, "make": "Ford", "color": "red"},
        survey={"tint": ["sides"]},
        consent={"sms": True, "email": False, "wording": "I agree"},
    )

    assert made["errors"] == []
    lead = made["lead"]
    assert (lead["name"], lead["phone"], lead["email"]) == ("Ada Lovelace", number, "ada.l@example.com")
    assert (lead["status"], lead["source"], lead["timeZone"]) == ("NEW", "API", "America/Chicago")
    assert lead["nextTouch"] == {"number": 1}
    assert {(c["channel"], c["granted"], c["source"], c["wording"]) for c in lead["consents"]} == {
        ("SMS", True, "api", "I agree"),
        ("EMAIL", False, "api", "I agree"),
    }
    assert ours.tenant.id in api.woken
    again = await api.ask(
        ours.owner, "query($id: ID!) { lead(id: $id) { name timeline { edges { node { kind } } } } }", id=lead["id"]
    )
    assert [edge["node"]["kind"] for edge in again.ok["lead"]["timeline"]["edges"]] == ["lead.created"]


async def test_the_same_person_is_the_same_lead(api: Api, ours: Franchise) -> None:
    number = phone_number()

    first = await create(api, ours, phone=number)
    second = await create(api, ours, phone=number, firstName="Ada")

    assert second["lead"]["id"] == first["lead"]["id"]
    assert second["lead"]["name"] == "Ada"


async def test_one_person_asking_many_times_at_once_is_one_lead(api: Api, ours: Franchise) -> None:
    number = phone_number()

    made = await asyncio.gather(*(create(api, ours, phone=number) for _ in range(6)))

    assert len({answer["lead"]["id"] for answer in made}) == 1


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({}, "ADDRESS_MISSING", ["phone"]),
        ({"phone": "  ", "email": ""}, "ADDRESS_MISSING", ["phone"]),
        ({"phone": "12"}, "INVALID_PHONE", ["phone"]),
        ({"email": "nobody"}, "INVALID_EMAIL", ["email"]),
        ({"phone": "+12135550101", "timeZone": "Mars/Olympus"}, "INVALID_TIME_ZONE", ["timeZone"]),
        ({"phone": "+12135550101", "timeZone": "../../etc/passwd"}, "INVALID_TIME_ZONE", ["timeZone"]),
        ({"phone": "+12135550101", "locationId": "shop"}, "BAD_USER_INPUT", ["locationId"]),
        (
            {"phone": "+12135550101", "locationId": "loc_0199aaaa-0000-7000-8000-000000000000"},
            "NOT_FOUND",
            ["locationId"],
        ),
        ({"phone": "+12135550101", "firstName": "x" * 101}, "BAD_USER_INPUT", ["firstName"]),
        ({"phone": "+12135550101", "vehicle": "Honda"}, "BAD_USER_INPUT", ["vehicle"]),
        (
            {"phone": "+12135550101", "vehicle": {"year": "\u0662\u0660\u0662\u0660"}},
            "BAD_USER_INPUT",
            ["vehicle", "year"],
        ),
        ({"phone": "+12135550101", "vehicle": {"year": 10**12}}, "BAD_USER_INPUT", ["vehicle", "year"]),
        ({"phone": "+12135550101", "vehicle": {"make": ["a"]}}, "BAD_USER_INPUT", ["vehicle", "make"]),
        ({"phone": "+12135550101", "survey": [1]}, "BAD_USER_INPUT", ["survey"]),
    ],
)
async def test_input_that_cannot_be_used_is_explained(
    api: Api, tenancy: Tenancy, ours: Franchise, given: dict[str, Any], code: str, field: list[str]
) -> None:
    made = await create(api, ours, **given)

    assert made["lead"] is None
    assert [(error["code"], error["field"]) for error in made["errors"]] == [(code, field)]
    async with tenancy.read(ours.tenant.scope) as session:
        assert [lead.id for lead in await session.scalars(select(Lead))] == [ours.lead.id]


async def test_staff_corrects_a_lead_and_sets_any_status(api: Api, tenancy: Tenancy, ours: Franchise) -> None:
    number = phone_number()

    answer = await api.ask(
        ours.owner,
        UPDATE,
        input={"id": ours.lead_id, "status": "WON", "firstName": "Grace", "lastName": None, "phone": number},
    )

    lead = answer.ok["updateLead"]["lead"]
    assert (lead["status"], lead["firstName"], lead["lastName"], lead["phone"]) == ("WON", "Grace", None, number)
    assert lead["email"] == ours.lead.email
    assert lead["nextTouch"] is None
    async with tenancy.read(ours.tenant.scope) as session:
        kinds = list(await session.scalars(select(LeadEvent.kind).order_by(LeadEvent.position)))
        audited = list(
            await session.scalars(text("SELECT action FROM audit_log WHERE actor = 'tests' ORDER BY number"))
        )
    assert kinds == ["lead.created", "lead.updated", "lead.status"]
    assert audited[-2:] == ["lead.corrected", "lead.set_status"]


async def test_an_update_that_fails_changes_nothing(api: Api, tenancy: Tenancy, ours: Franchise) -> None:
    answer = await api.ask(
        ours.owner,
        UPDATE,
        input={"id": ours.lead_id, "status": "WON", "firstName": "Grace", "phone": None, "email": None},
    )

    assert answer.ok["updateLead"]["lead"] is None
    assert answer.ok["updateLead"]["errors"][0]["field"] == ["phone"]
    async with tenancy.read(ours.tenant.scope) as session:
        [lead] = await session.scalars(select(Lead))
        kinds = list(await session.scalars(select(LeadEvent.kind)))
    assert (lead.status, lead.first_name, lead.phone) == ("NEW", "Ada", ours.lead.phone)
    assert kinds == ["lead.created"]


async def test_touches_are_paused_and_resumed(api: Api, ours: Franchise) -> None:
    pause = (
        "mutation($l: ID!) { pauseTouches(leadId: $l) { lead { touchesPaused nextTouch { number } } errors { code } } }"
    )
    resume = pause.replace("pauseTouches", "resumeTouches")

    paused = (await api.ask(ours.owner, pause, l=ours.lead_id)).ok["pauseTouches"]
    resumed = (await api.ask(ours.owner, resume, l=ours.lead_id)).ok["resumeTouches"]

    assert paused["lead"] == {"touchesPaused": True, "nextTouch": None}
    assert resumed["lead"] == {"touchesPaused": False, "nextTouch": {"number": 1}}
    assert ours.tenant.id in api.woken


async def test_touches_that_ended_are_not_resumed(api: Api, ours: Franchise) -> None:
    await api.ask(ours.owner, UPDATE, input={"id": ours.lead_id, "status": "BOOKED"})

    answer = await api.ask(
        ours.owner,
        "mutation($l: ID!) { resumeTouches(leadId: $l) { lead { id } errors { code message } } }",
        l=ours.lead_id,
    )

    assert answer.ok["resumeTouches"]["lead"] is None
    assert answer.ok["resumeTouches"]["errors"][0]["code"] == "TOUCHES_ENDED"


async def test_a_lead_opts_out_of_one_channel_and_of_all(api: Api, ours: Franchise) -> None:
    document = """mutation($l: ID!, $c: Channel, $r: String) { optOutLead(leadId: $l, channel: $c, reason: $r) {
      lead { optedOut status } errors { code field } } }"""

    nowhere = await api.ask(ours.owner, document, l=ours.lead_id, c="WEB_CHAT")
    one = await api.ask(ours.owner, document, l=ours.lead_id, c="SMS", r="said so")
    every = await api.ask(ours.owner, document, l=ours.lead_id)

    assert nowhere.ok["optOutLead"]["errors"] == [{"code": "ADDRESS_MISSING", "field": ["channel"]}]
    assert one.ok["optOutLead"]["lead"]["optedOut"] == ["SMS"]
    assert every.ok["optOutLead"]["lead"] == {"optedOut": ["EMAIL", "SMS", "WHATSAPP"], "status": "OPTED_OUT"}


async def test_a_field_that_fails_undoes_itself_and_no_other(api: Api, tenancy: Tenancy, ours: Franchise) -> None:
    document = """mutation($l: ID!) {
      rename: updateLead(input: {id: $l, firstName: "One"}) { lead { firstName } errors { code } }
      break: updateLead(input: {id: $l, firstName: "Two", phone: null, email: null}) { lead { firstName } errors { code } }
      settle: updateLead(input: {id: $l, lastName: "Three"}) { lead { firstName lastName } errors { code } } }"""

    answer = (await api.ask(ours.owner, document, l=ours.lead_id)).ok

    assert answer["rename"]["lead"] == {"firstName": "One"}
    assert answer["break"] == {"lead": None, "errors": [{"code": "BAD_USER_INPUT"}]}
    assert answer["settle"]["lead"] == {"firstName": "One", "lastName": "Three"}
    async with tenancy.read(ours.tenant.scope) as session:
        kinds = list(await session.scalars(select(LeadEvent.kind).order_by(LeadEvent.position)))
    assert kinds == ["lead.created", "lead.updated", "lead.updated"]


async def test_a_defect_undoes_the_whole_request_and_says_nothing_of_itself(
    api: Api, failing_pause: AbstractAsyncContextManager[None], tenancy: Tenancy, ours: Franchise
) -> None:
    document = """mutation($l: ID!) {
      fine: updateLead(input: {id: $l, firstName: "Kept"}) { lead { id } errors { code } }
      defect: pauseTouches(leadId: $l) { lead { id } errors { code } } }"""

    async with failing_pause:
        answer = await api.ask(ours.owner, document, l=ours.lead_id)

    assert answer.data is None
    assert answer.codes == ["INTERNAL"]
    assert answer.errors[0]["extensions"]["id"] in answer.errors[0]["message"]
    assert "tripwire" not in str(answer.errors)
    async with tenancy.read(ours.tenant.scope) as session:
        [lead] = await session.scalars(select(Lead))
        [touch] = await session.scalars(select(ScheduledMessage))
    assert (lead.first_name, touch.status) == ("Ada", "SCHEDULED")
