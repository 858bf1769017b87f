"""What belongs to another franchise does not exist, whichever way it is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from lead_orchestrator.leads.models import Lead, ScheduledMessage
from lead_orchestrator.tenancy.models import User
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.factories import make_lead, make_tenant
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api

LEADS = """query($filter: LeadFilter, $after: String) {
  leads(filter: $filter, after: $after) { totalCount edges { cursor node { id } } pageInfo { endCursor } } }"""


async def foreign_ids(tenancy: Tenancy, theirs: Franchise) -> list[str]:
    async with tenancy.write(theirs.tenant.scope) as session:
        user = User(tenant_id=theirs.tenant.id, email="someone@example.com", role="AGENT")
        session.add(user)
        message = await session.scalar(select(ScheduledMessage.id).where(ScheduledMessage.lead_id == theirs.lead.id))
    return [
        theirs.lead_id,
        theirs.location_id,
        f"tenant_{theirs.tenant.id}",
        f"user_{user.id}",
        f"msg_{message}",
        f"log_{message}",
    ]


async def test_no_node_of_another_tenant_is_found(
    api: Api, tenancy: Tenancy, ours: Franchise, theirs: Franchise
) -> None:
    ids = await foreign_ids(tenancy, theirs)

    together = await api.ask(ours.owner, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    own = await api.ask(theirs.owner, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)

    assert together.ok["nodes"] == [None] * 6
    assert [node and node["id"] for node in own.ok["nodes"]] == [*ids[:5], None]
    for foreign in ids:
        alone = await api.ask(ours.owner, "query($id: ID!) { node(id: $id) { id __typename } }", id=foreign)
        assert alone.ok == {"node": None}


async def test_no_lead_or_location_of_another_tenant_is_found(api: Api, ours: Franchise, theirs: Franchise) -> None:
    lead = await api.ask(ours.owner, "query($id: ID!) { lead(id: $id) { id phone } }", id=theirs.lead_id)
    place = await api.ask(ours.owner, "query($id: ID) { location(id: $id) { id } }", id=theirs.location_id)
    slug = await api.ask(ours.owner, "query($s: String) { location(slug: $s) { id } }", s=f"{theirs.tenant.slug}-1")

    assert lead.ok == {"lead": None}
    assert place.ok == {"location": None}
    assert slug.ok == {"location": None}


async def test_filters_with_their_ids_find_nothing(api: Api, ours: Franchise, theirs: Franchise) -> None:
    for given in ({"locationIds": [theirs.location_id]}, {"search": theirs.lead.email}):
        answer = await api.ask(ours.owner, LEADS, filter=given)
        assert answer.ok["leads"]["edges"] == []
        assert answer.ok["leads"]["totalCount"] == 0
    both = await api.ask(ours.owner, LEADS, filter={"locationIds": [theirs.location_id, ours.location_id]})
    assert [edge["node"]["id"] for edge in both.ok["leads"]["edges"]] == [ours.lead_id]


async def test_their_cursor_shows_our_rows_only(
    api: Api, tenancy: Tenancy, secret_box: SecretBox, ours: Franchise, theirs: Franchise
) -> None:
    await make_lead(tenancy, secret_box, theirs.tenant)
    foreign = (await api.ask(theirs.owner, LEADS)).ok["leads"]["pageInfo"]["endCursor"]

    answer = await api.ask(ours.owner, LEADS, after=foreign)

    assert {edge["node"]["id"] for edge in answer.ok["leads"]["edges"]} <= {ours.lead_id}
    assert answer.data["leads"]["totalCount"] == 1


@pytest.mark.parametrize(
    "mutation",
    [
        'createLead(input: {locationId: $loc, phone: "+12135550101"})',
        "updateLead(input: {id: $lead, status: WON})",
        "pauseTouches(leadId: $lead)",
        "resumeTouches(leadId: $lead)",
        "optOutLead(leadId: $lead)",
    ],
)
async def test_a_mutation_of_theirs_is_not_found_and_changes_nothing(
    api: Api, tenancy: Tenancy, ours: Franchise, theirs: Franchise, mutation: str
) -> None:
    variable, given = (
        ("$loc", {"loc": theirs.location_id}) if "$loc" in mutation else ("$lead", {"lead": theirs.lead_id})
    )
    document = f"mutation({variable}: ID!) {{ it: {mutation} {{ lead {{ id }} errors {{ code field }} }} }}"

    answer = await api.ask(ours.owner, document, **given)

    assert answer.ok["it"]["lead"] is None
    assert [error["code"] for error in answer.ok["it"]["errors"]] == ["NOT_FOUND"]
    async with tenancy.read(theirs.tenant.scope) as session:
        leads = list(await session.scalars(select(Lead)))
    assert [(lead.id, lead.status, lead.touches_paused, lead.opted_out) for lead in leads] == [
        (theirs.lead.id, "NEW", False, [])
    ]


async def test_a_limited_agent_sees_its_locations_only(api: Api, tenancy: Tenancy, secret_box: SecretBox) -> None:
    tenant = await make_tenant(tenancy, secret_box, locations=2)
    mine, other = tenant.locations
    own = await make_lead(tenancy, secret_box, tenant, location=mine)
    hidden = await make_lead(tenancy, secret_box, tenant, location=other)
    agent = api.token(tenant.id, Role.AGENT, location_ids=[mine])
    nobody = api.token(tenant.id, Role.AGENT, location_ids=[])

    listed = (await api.ask(agent, LEADS)).ok["leads"]
    nodes = await api.ask(
        agent, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[f"lead_{hidden.id}", f"loc_{other}"]
    )
    places = await api.ask(agent, "{ locations { totalCount edges { node { id } } } }")
    create = 'mutation($l: ID!) { createLead(input: {locationId: $l, email: "a@example.com"}) { lead { id } errors { code } } }'
    refused = await api.ask(agent, create, l=f"loc_{other}")
    paused = await api.ask(
        agent, "mutation($l: ID!) { pauseTouches(leadId: $l) { errors { code } } }", l=f"lead_{hidden.id}"
    )

    assert ([edge["node"]["id"] for edge in listed["edges"]], listed["totalCount"]) == ([f"lead_{own.id}"], 1)
    assert nodes.ok["nodes"] == [None, None]
    assert [edge["node"]["id"] for edge in places.ok["locations"]["edges"]] == [f"loc_{mine}"]
    assert [error["code"] for error in refused.ok["createLead"]["errors"]] == ["NOT_FOUND"]
    assert [error["code"] for error in paused.ok["pauseTouches"]["errors"]] == ["NOT_FOUND"]
    assert (await api.ask(nobody, LEADS)).ok["leads"]["edges"] == []


async def test_an_agent_finds_itself_but_no_colleague(api: Api, tenancy: Tenancy, ours: Franchise) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        users = [User(tenant_id=ours.tenant.id, email=f"{name}@example.com", role="AGENT") for name in ("a", "b")]
        session.add_all(users)
    ids = [f"user_{user.id}" for user in users]
    document = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"

    as_agent = await api.ask(api.token(ours.tenant.id, Role.AGENT, subject=ids[0]), document, ids=ids)
    as_manager = await api.ask(api.token(ours.tenant.id, Role.MANAGER), document, ids=ids)

    assert as_agent.ok["nodes"] == [{"id": ids[0]}, None]
    assert as_manager.ok["nodes"] == [{"id": ids[0]}, {"id": ids[1]}]


FIELDS = [
    "tenant { id }",
    "locations { totalCount }",
    'location(slug: "x") { id }',
    "leads { totalCount }",
    'lead(id: "lead_0199aaaa-0000-7000-8000-000000000000") { id }',
    'node(id: "lead_0199aaaa-0000-7000-8000-000000000000") { id }',
    "nodes(ids: []) { id }",
]


@pytest.mark.parametrize("field", FIELDS)
async def test_a_visitor_is_refused_and_strangers_are_asked_who_they_are(api: Api, ours: Franchise, field: str) -> None:
    visitor = api.token(ours.tenant.id, Role.VISITOR, location_ids=[ours.tenant.location], lead_id=ours.lead.id)

    assert (await api.ask(visitor, f"{{ {field} }}")).codes == ["FORBIDDEN"]
    assert (await api.ask(None, f"{{ {field} }}")).codes == ["UNAUTHENTICATED"]
    assert (await api.ask("no.such.token", f"{{ {field} }}")).codes == ["UNAUTHENTICATED"]


async def test_a_visitor_knows_what_it_is(api: Api, ours: Franchise) -> None:
    visitor = api.token(ours.tenant.id, Role.VISITOR, location_ids=[ours.tenant.location])

    answer = await api.ask(visitor, "{ viewer { role expiresAt tenant { id } user { id } locations { id } } }")

    viewer: dict[str, Any] = answer.ok["viewer"]
    assert (viewer["role"], viewer["tenant"], viewer["user"], viewer["locations"]) == ("VISITOR", None, None, [])


async def test_a_visitor_changes_nothing(api: Api, tenancy: Tenancy, ours: Franchise) -> None:
    visitor = api.token(ours.tenant.id, Role.VISITOR, location_ids=[ours.tenant.location], lead_id=ours.lead.id)

    answer = await api.ask(visitor, "mutation($l: ID!) { pauseTouches(leadId: $l) { lead { id } } }", l=ours.lead_id)

    assert answer.codes == ["FORBIDDEN"]
    async with tenancy.read(ours.tenant.scope) as session:
        assert [lead.touches_paused for lead in await session.scalars(select(Lead))] == [False]


async def test_an_administrator_of_the_platform_has_no_franchise(api: Api, ours: Franchise) -> None:
    admin = api.token(None, Role.PLATFORM_ADMIN)

    own = "query($l: ID!) { viewer { role tenant { id } locations { id } } node(id: $l) { id } }"
    nothing: dict[str, Any] = {"viewer": {"role": "PLATFORM_ADMIN", "tenant": None, "locations": []}, "node": None}
    assert (await api.ask(admin, own, l=ours.lead_id)).ok == nothing
    for asked in (
        "query($l: ID!) { lead(id: $l) { id } }",
        "query($p: ID!) { location(id: $p) { id } }",
        "{ tenant { id } }",
        "{ leads { totalCount } }",
        "mutation($l: ID!) { pauseTouches(leadId: $l) { errors { code } } }",
    ):
        variables = {
            name: value for name, value in (("l", ours.lead_id), ("p", ours.location_id)) if f"${name}" in asked
        }
        assert (await api.ask(admin, asked, **variables)).codes == ["NOT_FOUND"]
