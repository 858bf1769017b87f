"""Sending, planning and deciding about messages through the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.factories import make_lead
from tests.graphql.conftest import Franchise
from tests.graphql.operations.rows import make_message
from tests.graphql.server import Api

_MESSAGE = (
    "{ message { id kind channel status body subject dueAt segments lead { id } } errors { code field message } }"
)
SEND = f"mutation($i: SendMessageInput!) {{ done: sendMessage(input: $i) {_MESSAGE} }}"
SCHEDULE = f"mutation($i: ScheduleMessageInput!) {{ done: scheduleMessage(input: $i) {_MESSAGE} }}"
CANCEL = f"mutation($id: ID!) {{ done: cancelMessage(id: $id) {_MESSAGE} }}"
RETRY = f"mutation($id: ID!) {{ done: retryMessage(id: $id) {_MESSAGE} }}"
RESOLVE = f"mutation($id: ID!) {{ done: resolveUnknownMessage(id: $id, sent: true) {_MESSAGE} }}"
HELD = """query($l: ID!) { messages(first: 100, filter: {leadId: $l}) { edges { node { id kind status body } } } }"""


def text(franchise: Franchise, **fields: Any) -> dict[str, Any]:
    return {"leadId": franchise.lead_id, "channel": "SMS", "body": "Hello", "idempotencyKey": "k", **fields}


async def done(api: Api, token: str, document: str, **variables: Any) -> tuple[Any, list[Any]]:
    payload = (await api.ask(token, document, **variables)).ok["done"]
    return payload["message"], payload["errors"]


async def bodies(api: Api, franchise: Franchise) -> list[str]:
    """What the lead's messages say, but for its first touch."""
    found = (await api.ask(franchise.owner, HELD, l=franchise.lead_id)).ok["messages"]["edges"]
    return [edge["node"]["body"] for edge in found if edge["node"]["kind"] != "TOUCH"]


async def test_an_agent_sends_a_message_and_the_sender_is_woken(api: Api, ours: Franchise) -> None:
    api.woken.clear()

    message, errors = await done(api, api.token(ours.tenant.id, Role.AGENT), SEND, i=text(ours))

    assert errors == []
    assert {name: message[name] for name in ("kind", "channel", "status", "body", "subject", "segments", "lead")} == {
        "kind": "AD_HOC",
        "channel": "SMS",
        "status": "SCHEDULED",
        "body": "Hello",
        "subject": None,
        "segments": 1,
        "lead": {"id": ours.lead_id},
    }
    assert datetime.fromisoformat(message["dueAt"]) <= datetime.now(UTC)
    assert api.woken == [ours.tenant.id]


async def test_a_long_text_with_other_letters_costs_more_segments(api: Api, ours: Franchise) -> None:
    message, _ = await done(api, ours.owner, SEND, i=text(ours, body="ы" * 71))

    assert message["segments"] == 2


async def test_the_same_key_is_answered_with_the_same_message(api: Api, ours: Franchise) -> None:
    first, _ = await done(api, ours.owner, SEND, i=text(ours))
    again, errors = await done(api, ours.owner, SEND, i=text(ours))
    other, refused = await done(api, ours.owner, SEND, i=text(ours, body="Other"))

    assert (again["id"], errors) == (first["id"], [])
    assert other is None
    assert [(error["code"], error["field"]) for error in refused] == [("IDEMPOTENCY_KEY_REUSED", ["idempotencyKey"])]
    assert await bodies(api, ours) == ["Hello"]


async def test_the_answer_to_a_key_is_given_under_the_callers_rights(api: Api, ours: Franchise) -> None:
    first, _ = await done(api, ours.owner, SEND, i=text(ours))
    elsewhere = api.token(ours.tenant.id, Role.AGENT, location_ids=[ours.tenant.locations[1]])  # the same subject

    again, errors = await done(api, elsewhere, SEND, i=text(ours))

    assert first["id"].startswith("msg_")
    assert again is None
    assert [error["code"] for error in errors] == ["NOT_FOUND"]


async def test_a_message_is_planned_and_taken_back(api: Api, ours: Franchise) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)

    planned, errors = await done(api, ours.owner, SCHEDULE, i=text(ours, dueAt=tomorrow.isoformat()))
    cancelled, _ = await done(api, ours.owner, CANCEL, id=planned["id"])

    assert errors == []
    assert (planned["status"], datetime.fromisoformat(planned["dueAt"])) == ("SCHEDULED", tomorrow)
    assert (cancelled["id"], cancelled["status"]) == (planned["id"], "CANCELLED")


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"body": "  "}, "BAD_USER_INPUT", ["body"]),
        ({"body": "x" * 1601}, "BAD_USER_INPUT", ["body"]),
        ({"subject": "Hi"}, "BAD_USER_INPUT", ["subject"]),
        ({"channel": "EMAIL", "subject": "two\nlines"}, "BAD_USER_INPUT", ["subject"]),
        ({"channel": "WEB_CHAT"}, "CHANNEL_UNAVAILABLE", ["channel"]),
        ({"idempotencyKey": " "}, "BAD_USER_INPUT", ["idempotencyKey"]),
        ({"leadId": "4711"}, "BAD_USER_INPUT", ["leadId"]),
        ({"dueAt": "2020-01-01T00:00:00Z"}, "IN_THE_PAST", ["dueAt"]),
        ({"dueAt": "2420-01-01T00:00:00Z"}, "BAD_USER_INPUT", ["dueAt"]),
    ],
)
async def test_what_cannot_be_sent_is_refused_with_its_field(
    api: Api, ours: Franchise, fields: dict[str, Any], code: str, field: list[str]
) -> None:
    document = SCHEDULE if "dueAt" in fields else SEND

    message, errors = await done(api, ours.owner, document, i=text(ours, **fields))

    assert message is None
    assert [(error["code"], error["field"]) for error in errors] == [(code, field)]
    assert await bodies(api, ours) == []


async def test_a_lead_without_the_address_cannot_be_written_to_there(
    api: Api, ours: Franchise, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    lead = await make_lead(tenancy, secret_box, ours.tenant, email=None)

    _, errors = await done(api, ours.owner, SEND, i=text(ours, leadId=f"lead_{lead.id}", channel="EMAIL"))

    assert [(error["code"], error["field"]) for error in errors] == [("ADDRESS_MISSING", ["channel"])]


@pytest.mark.parametrize(
    ("document", "status", "becomes"),
    [(CANCEL, "SCHEDULED", "CANCELLED"), (RETRY, "FAILED", "SCHEDULED"), (RETRY, "UNDELIVERED", "SCHEDULED")],
)
async def test_each_decision_is_for_its_status(
    api: Api, ours: Franchise, tenancy: Tenancy, document: str, status: str, becomes: str
) -> None:
    right = await make_message(tenancy, ours.tenant, ours.lead, status=status)
    wrong = await make_message(tenancy, ours.tenant, ours.lead, status="SENT")

    message, _ = await done(api, ours.owner, document, id=right)
    _, errors = await done(api, ours.owner, document, id=wrong)

    assert message["status"] == becomes
    assert [(error["code"], error["field"]) for error in errors] == [
        ("NOT_SCHEDULED" if document is CANCEL else "NOT_FAILED", ["id"])
    ]


@pytest.mark.parametrize("document", [CANCEL, RETRY, RESOLVE])
async def test_another_tenants_and_another_locations_messages_do_not_exist(
    api: Api, ours: Franchise, theirs: Franchise, tenancy: Tenancy, document: str
) -> None:
    status = {CANCEL: "SCHEDULED", RETRY: "FAILED", RESOLVE: "UNKNOWN"}[document]
    made = await make_message(tenancy, ours.tenant, ours.lead, status=status, body="Ours")
    elsewhere = api.token(ours.tenant.id, Role.AGENT, location_ids=[ours.tenant.locations[1]])

    for token in (theirs.owner, elsewhere):
        message, errors = await done(api, token, document, id=made)
        assert message is None
        assert [error["code"] for error in errors] == ["NOT_FOUND"]

    found = (await api.ask(ours.owner, HELD, l=ours.lead_id)).ok["messages"]["edges"]
    assert [edge["node"]["status"] for edge in found if edge["node"]["body"] == "Ours"] == [status]


async def test_another_tenants_lead_is_not_written_to(api: Api, ours: Franchise, theirs: Franchise) -> None:
    message, errors = await done(api, theirs.owner, SEND, i=text(ours))

    assert message is None
    assert [error["code"] for error in errors] == ["NOT_FOUND"]
    assert await bodies(api, ours) == []


@pytest.mark.parametrize("document", [CANCEL, RETRY, RESOLVE])
async def test_a_visitor_decides_nothing(api: Api, ours: Franchise, tenancy: Tenancy, document: str) -> None:
    made = await make_message(tenancy, ours.tenant, ours.lead, status="SCHEDULED")

    answer = await api.ask(api.token(ours.tenant.id, Role.VISITOR, lead_id=ours.lead.id), document, id=made)

    assert answer.codes == ["FORBIDDEN"]


async def test_a_visitor_sends_nothing(api: Api, ours: Franchise) -> None:
    answer = await api.ask(api.token(ours.tenant.id, Role.VISITOR, lead_id=ours.lead.id), SEND, i=text(ours))

    assert answer.codes == ["FORBIDDEN"]
    assert await bodies(api, ours) == []
