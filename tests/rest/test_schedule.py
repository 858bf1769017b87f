"""`POST /api/schedule`: for staff whatever they could send otherwise, for a lead's token its welcome once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from lead_orchestrator.leads.models import Lead
from lead_orchestrator.tenancy.links import LEAD_TICKET
from lead_orchestrator.tenancy.tokens import Role
from tests.database import Cluster, TestDatabase
from tests.messaging.leads import make_lead
from tests.messaging.test_unknown import dispatch
from tests.serving import bearer, serving
from tests.stack import Stack, open_stack

WELCOME = {"template": "WELCOME"}
WELCOMED = {"kind": "WELCOME", "status": "ACCEPTED", **dict.fromkeys(("id", "leadId", "channel", "dueAt", "decision"))}


@pytest_asyncio.fixture
async def stack(fresh_database: TestDatabase, cluster: Cluster) -> AsyncIterator[Stack]:
    async with open_stack(fresh_database, cluster.redis_url, public_url="https://app.example.com") as stack:
        yield stack


@pytest_asyncio.fixture
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(stack.settings) as client:
        yield client


def ticket(stack: Stack, lead: Lead, lifetime: timedelta = timedelta(hours=1)) -> dict[str, str]:
    ends = datetime.now(UTC) + lifetime
    token = stack.services.links.ticket(LEAD_TICKET, lead.tenant_id, lead.location_id, ends, lead.id)
    return {"Authorization": f"Bearer {token}"}


async def post(http: httpx.AsyncClient, headers: dict[str, str], **body: Any) -> tuple[int, Any]:
    answer = await http.post("/api/schedule", json=body, headers=headers)
    return answer.status_code, answer.json()


async def planned(stack: Stack) -> list[dict[str, Any]]:
    return await stack.rows(
        "SELECT kind, channel, body, status FROM scheduled_messages WHERE kind <> 'TOUCH' ORDER BY id"
    )


async def test_staff_sends_words_of_its_own_or_a_template_once_for_each_key(
    stack: Stack, http: httpx.AsyncClient
) -> None:
    lead = await make_lead(stack)
    await dispatch(stack)
    to = {"leadId": f"lead_{lead.id}"}
    agent = bearer(stack, Role.AGENT)

    own = await post(http, agent | {"Idempotency-Key": "a"}, **to, channel="SMS", body="Hello {you}")
    again = await post(http, agent, **to, channel="SMS", body="Hello {you}", idempotencyKey="a")
    day = {"appointment_day": "Tuesday"}
    reminder = await post(http, agent, **to, template="REMINDER", values=day, channel="EMAIL", idempotencyKey="b")
    other = await post(http, agent, **to, channel="SMS", body="Other", idempotencyKey="a")

    assert (own[0], again, reminder[0]) == (201, own, 201)
    assert own[1]["decision"].startswith("Will go out by SMS")
    assert (other[0], other[1]["error"]["code"]) == (400, "IDEMPOTENCY_KEY_REUSED")
    rows = await planned(stack)
    assert [(row["kind"], row["channel"]) for row in rows] == [("AD_HOC", "SMS"), ("REMINDER", "EMAIL")]
    assert (rows[0]["body"], "Tuesday" in rows[1]["body"]) == ("Hello {you}", True)
    await dispatch(stack)
    assert stack.texts(lead.phone)[-1] == "Hello {you}"


async def test_what_is_wrong_is_said_with_its_field_and_nothing_is_written(
    stack: Stack, http: httpx.AsyncClient
) -> None:
    lead = await make_lead(stack)
    right = {"leadId": f"lead_{lead.id}", "channel": "SMS", "body": "Hello", "idempotencyKey": "k"}
    template = {"leadId": right["leadId"], "template": "REMINDER", "idempotencyKey": "k"}
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({**right, "leadId": "4711"}, ["leadId"]),
        ({**right, "channel": "FAX"}, ["channel"]),
        ({**right, "body": 7}, ["body"]),
        ({**right, "body": " "}, ["body"]),
        ({**right, "dueAt": "tomorrow"}, ["dueAt"]),
        ({**right, "dueAt": "2020-01-01T00:00:00Z"}, ["dueAt"]),
        ({**right, "to": "+12135550199"}, ["to"]),
        ({**right, "idempotencyKey": ""}, ["idempotencyKey"]),
        ({**right, "template": "WELCOME"}, ["body"]),
        ({"leadId": right["leadId"], "template": "TOUCH", "idempotencyKey": "k"}, ["template"]),
        ({**template, "values": {"x": "y"}}, ["values", "x"]),
        ({**template, "values": {"services": 7}}, ["values", "services"]),
        ({**template, "values": {"services": "x" * 301}}, ["values", "services"]),
        ({**template, "dueAt": "2020-01-01T00:00:00Z"}, ["dueAt"]),
        ({**template, "dueAt": "9999-01-01T00:00:00Z"}, ["dueAt"]),
        ({"leadId": right["leadId"], "idempotencyKey": "k"}, ["channel"]),
    ]

    for body, field in cases:
        status, answer = await post(http, bearer(stack), **body)
        assert (status, answer["error"]["field"]) == (400, field), body
    half = json.dumps({**template, "values": {"services": "\ud800"}, "\udfff": "x"}).encode()
    headers = bearer(stack) | {"Content-Type": "application/json"}
    for content, expected in ((b"{", 400), (b"[]", 400), (half, 400), (b"x" * 200_000, 413)):
        assert (await http.post("/api/schedule", content=content, headers=headers)).status_code == expected
    assert await planned(stack) == []


async def test_who_has_no_token_of_staff_or_of_the_lead_is_refused(stack: Stack, http: httpx.AsyncClient) -> None:
    lead = await make_lead(stack)
    body = {"leadId": f"lead_{lead.id}", "channel": "SMS", "body": "Hello", "idempotencyKey": "k"}
    chat = {"Authorization": f"Bearer {stack.services.links.token('chat', lead.tenant_id, lead.id)}"}

    refused = {
        name: (await post(http, headers, **body))[0]
        for name, headers in {
            "nobody": {},
            "a visitor": bearer(stack, Role.VISITOR),
            "a chat link": chat,
            "an expired ticket": ticket(stack, lead, timedelta(seconds=-1)),
        }.items()
    }
    expired = (await post(http, ticket(stack, lead, timedelta(seconds=-1)), **WELCOME))[0]

    assert refused == {"nobody": 401, "a visitor": 403, "a chat link": 401, "an expired ticket": 403}
    assert expired == 401
    assert await planned(stack) == []


async def test_a_leads_token_welcomes_once(stack: Stack, http: httpx.AsyncClient) -> None:
    lead = await make_lead(stack)
    headers = ticket(stack, lead)

    first = await post(http, headers, **WELCOME)
    await dispatch(stack)
    await dispatch(stack)
    again = await post(http, headers, **WELCOME)
    await dispatch(stack)

    assert (first, again) == ((201, WELCOMED), (201, WELCOMED))
    assert [(row["kind"], row["status"]) for row in await planned(stack)] == [("WELCOME", "SENT")]
    assert len([words for words in stack.texts(lead.phone) if "We have your answers" in words]) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"template": "REMINDER"},
        {"channel": "SMS", "body": "Buy now"},
        {"template": "WELCOME", "body": "Buy now"},
        {"template": "WELCOME", "values": {"first_name": "Buy now"}},
        {"template": "WELCOME", "channel": "EMAIL"},
        {"template": "WELCOME", "leadId": "lead_00000000-0000-7000-8000-000000000001"},
    ],
)
async def test_a_leads_token_is_good_for_nothing_else(
    stack: Stack, http: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    lead = await make_lead(stack)

    status, answer = await post(http, ticket(stack, lead), **body)

    assert (status, answer["error"]["code"]) == (403, "FORBIDDEN")
    assert await planned(stack) == []


async def test_a_lead_of_another_franchise_does_not_exist(stack: Stack, http: httpx.AsyncClient) -> None:
    body = {"channel": "SMS", "body": "Hello", "idempotencyKey": "k"}

    status, answer = await post(http, bearer(stack), leadId="lead_00000000-0000-7000-8000-000000000001", **body)

    assert (status, answer["error"]["code"]) == (404, "NOT_FOUND")


async def test_staff_of_another_location_finds_no_such_lead(stack: Stack, http: httpx.AsyncClient) -> None:
    here, there = sorted(stack.locations.values())[:2]
    lead = await make_lead(stack, location_id=here)
    to = {"leadId": f"lead_{lead.id}", "idempotencyKey": "k"}
    agents = {place: bearer(stack, Role.AGENT, location_ids=[place]) for place in (here, there)}

    for body in ({"channel": "SMS", "body": "Hello"}, {"template": "REMINDER"}):
        assert (await post(http, agents[there], **to, **body))[0] == 404
    assert await planned(stack) == []
    assert (await post(http, agents[here], **to, template="REMINDER"))[0] == 201
