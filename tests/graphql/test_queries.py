from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, text, update

from lead_orchestrator.db import Engines
from lead_orchestrator.leads.consents import ConsentGiven
from lead_orchestrator.leads.models import Channel, Lead, LeadSource, ScheduledMessage
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.tenancy.models import User
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.factories import make_lead, make_tenant
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api

LEADS = """query($first: Int, $after: String, $filter: LeadFilter, $orderBy: LeadOrder) {
  leads(first: $first, after: $after, filter: $filter, orderBy: $orderBy) {
    edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }"""


async def ids_of(api: Api, token: str, **variables: Any) -> list[str]:
    found = (await api.ask(token, LEADS, **variables)).ok["leads"]
    return [edge["node"]["id"] for edge in found["edges"]]


async def test_a_lead_answers_everything_about_itself(
    api: Api, ours: Franchise, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    lead = await make_lead(
        tenancy,
        secret_box,
        ours.tenant,
        source=LeadSource.SURVEY,
        vehicle={"year": "2021", "make": "Honda", "model": "Civic"},
        survey={"answers": [1, {"deep": True}]},
        time_zone="America/Chicago",
        postal_code="60601",
        consents=[ConsentGiven(Channel.SMS, True, "survey", "Text me"), ConsentGiven(Channel.EMAIL, False, "survey")],
    )
    query = """query($id: ID!) { lead(id: $id) {
      id firstName lastName name email phone status source externalOrderId touchesSent touchesPaused optedOut timeZone
      postalCode survey createdAt lastActivityAt firstContactedAt
      vehicle { year make model } location { id name hours { opensAt } } consents { channel granted source wording at }
      nextTouch { number day channel dueAt localTime decision }
      timeline { edges { cursor node { kind detail at cursor lead { id } } } totalCount } } }"""

    got = (await api.ask(ours.owner, query, id=f"lead_{lead.id}")).ok["lead"]

    assert got["name"] == "Ada Example"
    assert (got["phone"], got["email"]) == (lead.phone, lead.email)
    assert (got["status"], got["source"], got["touchesSent"]) == ("NEW", "SURVEY", 0)
    assert got["vehicle"] == {"year": 2021, "make": "Honda", "model": "Civic"}
    assert got["survey"] == {"answers": [1, {"deep": True}]}
    assert got["location"]["id"] == ours.location_id
    assert {(c["channel"], c["granted"], c["wording"]) for c in got["consents"]} == {
        ("SMS", True, "Text me"),
        ("EMAIL", False, None),
    }
    assert (got["nextTouch"]["number"], got["nextTouch"]["day"], got["nextTouch"]["channel"]) == (1, 0, "SMS")
    assert datetime.fromisoformat(got["createdAt"]) == lead.created_at
    assert [edge["node"]["kind"] for edge in got["timeline"]["edges"]] == ["lead.created"]
    assert got["timeline"]["totalCount"] == 1
    assert got["timeline"]["edges"][0]["cursor"] == got["timeline"]["edges"][0]["node"]["cursor"]


async def test_pages_give_each_lead_once_even_at_the_same_instant(
    api: Api, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    tenant = await make_tenant(tenancy, secret_box)
    made = {f"lead_{(await make_lead(tenancy, secret_box, tenant)).id}" for _ in range(7)}
    async with tenancy.write(tenant.scope) as session:
        same = datetime(2026, 1, 1, tzinfo=UTC)
        await session.execute(
            update(Lead).where(Lead.tenant_id == tenant.id).values(created_at=same, last_activity_at=same)
        )
    token = api.token(tenant.id)

    for order in ("CREATED_AT_DESC", "CREATED_AT_ASC", "LAST_ACTIVITY_DESC"):
        seen: list[str] = []
        after, more, pages = None, True, 0
        while more and pages < 5:
            page = (await api.ask(token, LEADS, first=2, after=after, orderBy=order)).ok["leads"]
            assert page["totalCount"] == 7
            assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
            seen += [edge["node"]["id"] for edge in page["edges"]]
            after, more, pages = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"], pages + 1
        assert pages == 4
        assert len(seen) == 7
        assert set(seen) == made


async def test_leads_are_filtered_by_everything(
    api: Api, ours: Franchise, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    other = await make_lead(
        tenancy,
        secret_box,
        ours.tenant,
        location=ours.tenant.locations[1],
        first_name="100%",
        last_name="Su_e",
        email="sue@example.com",
        source=LeadSource.SURVEY,
    )
    one, two = ours.lead_id, f"lead_{other.id}"
    later = (other.created_at + timedelta(seconds=1)).isoformat()

    async def found(**given: Any) -> set[str]:
        return set(await ids_of(api, ours.owner, filter=given))

    assert await found() == {one, two}
    assert await found(status=["NEW"], source=["SURVEY"]) == {two}
    assert await found(status=["WON"]) == set()
    assert await found(status=[]) == set()
    assert await found(locationIds=[ours.location_id]) == {one}
    assert await found(search="ada exam") == {one}
    assert await found(search="SUE@EXAMPLE") == {two}
    assert await found(search="%") == {two}
    assert await found(search="_") == {two}
    assert await found(search=f"({other.phone[2:5]}) {other.phone[5:8]}-{other.phone[8:]}" if other.phone else "") == {
        two
    }
    assert await found(createdFrom=other.created_at.isoformat(), createdTo=later) == {two}
    assert await found(createdTo=ours.lead.created_at.isoformat()) == set()


async def test_statements_do_not_grow_with_the_number_of_leads(
    api: Api, engines: Engines, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    tenant = await make_tenant(tenancy, secret_box, locations=3)
    for number in range(12):
        await make_lead(tenancy, secret_box, tenant, location=tenant.locations[number % 3])
    token = api.token(tenant.id)
    query = """query($n: Int) { leads(first: $n) { edges { node { name location { name hours { opensAt } }
      nextTouch { dueAt day } consents { channel } messages(first: 3) { totalCount edges { node { body lead { name } } } }
      timeline(first: 2) { edges { node { kind } } } } } } }"""
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    async def counted(first: int) -> int:
        statements.clear()
        answer = (await api.ask(token, query, n=first)).ok
        assert len(answer["leads"]["edges"]) == first
        return len(statements)

    event.listen(engines.app.sync_engine, "before_cursor_execute", note)
    try:
        few, many = await counted(1), await counted(12)
    finally:
        event.remove(engines.app.sync_engine, "before_cursor_execute", note)

    assert many == few
    assert many <= 12


async def test_the_total_is_counted_only_when_asked_for(api: Api, engines: Engines, ours: Franchise) -> None:
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engines.app.sync_engine, "before_cursor_execute", note)
    try:
        await api.ask(ours.owner, "{ leads { edges { cursor } } }")
    finally:
        event.remove(engines.app.sync_engine, "before_cursor_execute", note)

    assert not any("count(" in statement for statement in statements)


async def test_messages_are_what_is_to_be_sent_and_what_came_in(api: Api, ours: Franchise, tenancy: Tenancy) -> None:
    lead, at = ours.lead, ours.lead.created_at
    async with tenancy.write(ours.tenant.scope) as session:
        statement = (
            update(ScheduledMessage)
            .where(ScheduledMessage.lead_id == lead.id)
            .values(
                status="DELIVERED",
                attempt=2,
                body=None,
                sent_at=at,
                provider_message_id="SM2",
                segments=1,
                decision="Sent",
            )
            .returning(ScheduledMessage.id)
        )
        touch = (await session.execute(statement)).scalar_one()
        common: dict[str, Any] = {"tenant_id": lead.tenant_id, "location_id": lead.location_id, "lead_id": lead.id}
        common |= {"channel": "SMS", "address": "+12135550101", "sender": "+12135550102"}
        for attempt in (1, 2):
            session.add(
                MessageLog(
                    **common,
                    message_id=touch,
                    attempt=attempt,
                    direction="OUTBOUND",
                    body=f"Hi {attempt}",
                    status="SENT",
                    at=at,
                )
            )
        inbound = MessageLog(
            **common, attempt=1, direction="INBOUND", body="Yes please", status="RECEIVED", at=at + timedelta(minutes=1)
        )
        session.add(inbound)
    query = """query($id: ID!, $after: String) { lead(id: $id) { messages(first: 1, after: $after) {
      totalCount pageInfo { hasNextPage endCursor } edges { node { id kind channel direction status body subject touchNumber
      dueAt sentAt deliveredAt decision providerMessageId errorCode attempts segments lead { id } } } } } }"""

    newest = (await api.ask(ours.owner, query, id=ours.lead_id)).ok["lead"]["messages"]
    older = (await api.ask(ours.owner, query, id=ours.lead_id, after=newest["pageInfo"]["endCursor"])).ok["lead"][
        "messages"
    ]

    assert newest["totalCount"] == 2
    assert newest["pageInfo"]["hasNextPage"] is True
    got = newest["edges"][0]["node"]
    assert (got["id"], got["kind"], got["direction"], got["status"]) == (
        f"log_{inbound.id}",
        "INBOUND",
        "INBOUND",
        "RECEIVED",
    )
    assert got["body"] == "Yes please"
    assert older["pageInfo"]["hasNextPage"] is False
    sent = older["edges"][0]["node"]
    assert (sent["id"], sent["kind"], sent["status"], sent["attempts"]) == (f"msg_{touch}", "TOUCH", "DELIVERED", 2)
    assert (sent["body"], sent["segments"], sent["decision"], sent["touchNumber"]) == ("Hi 2", 1, "Sent", 1)
    nodes = await api.ask(
        ours.owner, "query($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }", ids=[got["id"], sent["id"]]
    )
    assert [node["id"] for node in nodes.ok["nodes"]] == [got["id"], sent["id"]]
    assert {node["__typename"] for node in nodes.data["nodes"]} == {"Message"}


async def test_the_viewer_is_the_user_of_the_token(api: Api, ours: Franchise, tenancy: Tenancy) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        user = User(
            tenant_id=ours.tenant.id,
            email=f"{uuid4()}@example.com",
            name="Grace",
            role="AGENT",
            location_ids=[ours.tenant.locations[1]],
        )
        session.add(user)
    token = api.token(ours.tenant.id, Role.AGENT, location_ids=[ours.tenant.locations[1]], subject=f"user_{user.id}")
    query = """{ viewer { role expiresAt tenant { name readiness { name ok detail } }
      locations { id } user { id email active role locations { id } } } }"""

    got = (await api.ask(token, query)).ok["viewer"]

    assert got["role"] == "AGENT"
    assert [place["id"] for place in got["locations"]] == [f"loc_{ours.tenant.locations[1]}"]
    assert got["user"]["id"] == f"user_{user.id}"
    assert [place["id"] for place in got["user"]["locations"]] == [f"loc_{ours.tenant.locations[1]}"]
    checks = {check["name"]: check for check in got["tenant"]["readiness"]}
    assert checks["shopmonkey_key"] == {"name": "shopmonkey_key", "ok": True, "detail": None}
    assert checks["locations_claimed"]["ok"] is True
    assert checks["sms_sender"]["ok"] is False
    assert checks["live"]["ok"] is True


async def test_locations_are_listed_searched_and_found_by_slug(api: Api, ours: Franchise) -> None:
    query = """query($first: Int, $after: String, $search: String) { locations(first: $first, after: $after, search: $search) {
      totalCount pageInfo { hasNextPage endCursor } edges { node { id name bays timezone allowedOrigins survey hours { dayOfWeek
      opensAt closesAt } } } } }"""

    first = (await api.ask(ours.owner, query, first=1)).ok["locations"]
    second = (await api.ask(ours.owner, query, first=1, after=first["pageInfo"]["endCursor"])).ok["locations"]
    found = (await api.ask(ours.owner, query, search="shop 2")).ok["locations"]
    by_slug = await api.ask(ours.owner, "query($s: String) { location(slug: $s) { id } }", s=f"{ours.tenant.slug}-1")

    assert first["totalCount"] == 2
    assert [p["edges"][0]["node"]["name"] for p in (first, second)] == ["Shop 1", "Shop 2"]
    assert second["pageInfo"]["hasNextPage"] is False
    assert [edge["node"]["name"] for edge in found["edges"]] == ["Shop 2"]
    assert by_slug.ok["location"]["id"] == ours.location_id


async def test_opening_hours_are_wall_times(api: Api, ours: Franchise, engines: Engines) -> None:
    async with engines.platform.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO location_hours (tenant_id, location_id, day_of_week, opens_at, closes_at)"
                " VALUES (:t, :l, 1, '09:00', '17:30')"
            ),
            {"t": ours.tenant.id, "l": ours.tenant.location},
        )

    got = await api.ask(
        ours.owner,
        "query($id: ID!) { location(id: $id) { hours { dayOfWeek opensAt closesAt } } }",
        id=ours.location_id,
    )

    assert got.ok["location"]["hours"] == [{"dayOfWeek": 1, "opensAt": "09:00", "closesAt": "17:30"}]


@pytest.mark.parametrize("first", [0, -1, 101, 2**31 - 1])
async def test_a_page_of_a_size_out_of_range_is_refused(api: Api, ours: Franchise, first: int) -> None:
    answer = await api.ask(ours.owner, LEADS, first=first)

    assert answer.codes == ["BAD_USER_INPUT"]
    assert str(first) in answer.errors[0]["message"]
