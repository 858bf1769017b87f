"""Conversations through the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lead_orchestrator.chat.models import ChatSession
from lead_orchestrator.tenancy.models import User
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api
from tests.graphql.shop import START, add_chat, add_service

CHATS = """query($f: ChatSessionFilter, $n: Int, $a: String) { chatSessions(filter: $f, first: $n, after: $a) {
  totalCount pageInfo { hasNextPage endCursor } edges { node { id } } } }"""
MESSAGES = """query($i: ID!, $first: Int, $after: String, $last: Int, $before: String) { chatSession(id: $i) {
  messages(first: $first, after: $after, last: $last, before: $before) { totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor node { text } } } } }"""


def numbers(page: dict[str, Any]) -> list[int]:
    return [int(edge["node"]["text"].split()[1]) for edge in page["edges"]]


async def read(api: Api, franchise: Franchise, session: ChatSession, **page: Any) -> dict[str, Any]:
    answer = await api.ask(franchise.owner, MESSAGES, i=f"chat_{session.id}", **page)
    found: dict[str, Any] = answer.ok["chatSession"]["messages"]
    return found


async def test_a_conversation_shows_everything_of_it(api: Api, tenancy: Tenancy, ours: Franchise) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        user = User(tenant_id=ours.tenant.id, email="staff@example.com", role="AGENT")
        session.add(user)
        await session.flush()
        service = await add_service(session, ours.tenant, None, "Sunroof")
        chat = await add_chat(
            session,
            ours.tenant,
            lead=ours.lead,
            messages=3,
            services=[service],
            state="HUMAN",
            assigned_to=user.id,
            unread=2,
        )
    query = """query($i: ID!) { chatSession(id: $i) { id channel state unread createdAt lastMessageAt lead { id }
      location { id } assignedTo { email } messages(last: 1) { edges { node { id role text clientId createdAt
      slots { startsAt endsAt localStart token } services { id name } } } } } }"""

    shown = (await api.ask(ours.owner, query, i=f"chat_{chat.id}")).ok["chatSession"]

    [edge] = shown.pop("messages")["edges"]
    assert shown == {
        "id": f"chat_{chat.id}",
        "channel": "WEB_CHAT",
        "state": "HUMAN",
        "unread": 2,
        "createdAt": "2026-03-01T09:30:00.123456+00:00",
        "lastMessageAt": "2026-03-01T09:33:00.123456+00:00",
        "lead": {"id": ours.lead_id},
        "location": {"id": ours.location_id},
        "assignedTo": {"email": "staff@example.com"},
    }
    message = edge["node"]
    assert message.pop("id").startswith("cmsg_")
    assert message == {
        "role": "STAFF",
        "text": "Message 3 ü",
        "clientId": "c3",
        "createdAt": "2026-03-01T09:33:00.123456+00:00",
        "slots": [
            {
                "startsAt": "2026-03-01T09:33:00.123456+00:00",
                "endsAt": "2026-03-01T10:33:00.123456+00:00",
                "localStart": "Sun 2026-03-01 09:30",
                "token": "slot-token",
            }
        ],
        "services": [{"id": f"svc_{service.id}", "name": "Sunroof"}],
    }


async def test_messages_are_read_from_either_end(api: Api, tenancy: Tenancy, ours: Franchise) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        chat = await add_chat(session, ours.tenant, messages=30)

    opening, beginning, end = (
        await read(api, ours, chat),
        await read(api, ours, chat, first=2),
        await read(api, ours, chat, last=2),
    )
    follows = await read(api, ours, chat, first=2, after=beginning["pageInfo"]["endCursor"])
    precedes = await read(api, ours, chat, last=2, before=end["pageInfo"]["startCursor"])
    between = await read(api, ours, chat, last=5, after="cmv_1", before="cmv_4")

    assert numbers(opening) == list(range(1, 26))
    assert (numbers(beginning), numbers(follows)) == ([1, 2], [3, 4])
    assert (numbers(end), numbers(precedes), numbers(between)) == ([29, 30], [27, 28], [2, 3])
    assert [page["totalCount"] for page in (opening, end)] == [30, 30]
    flags = [
        (page["pageInfo"]["hasPreviousPage"], page["pageInfo"]["hasNextPage"])
        for page in (beginning, follows, end, precedes, between)
    ]
    assert flags == [(False, True), (True, True), (True, False), (True, True), (False, True)]
    assert precedes["pageInfo"]["startCursor"] == precedes["edges"][0]["cursor"] == "cmv_27"
    assert precedes["pageInfo"]["endCursor"] == "cmv_28"


@pytest.mark.parametrize(
    ("page", "field"),
    [
        ({"first": 1, "last": 1}, "last"),
        ({"last": 0}, "last"),
        ({"last": 101}, "last"),
        ({"first": 101}, "first"),
        ({"after": "lev_1"}, "after"),
        ({"before": "cmv_"}, "before"),
        ({"before": "cmv_99999999999999999999"}, "before"),
    ],
)
async def test_a_page_that_cannot_be_is_refused(
    api: Api, tenancy: Tenancy, ours: Franchise, page: dict[str, Any], field: str
) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        chat = await add_chat(session, ours.tenant)

    answer = await api.ask(ours.owner, MESSAGES, i=f"chat_{chat.id}", **page)

    assert answer.codes == ["BAD_USER_INPUT"]
    assert answer.errors[0]["extensions"]["field"] == [field]


async def test_pages_hold_every_conversation_once_the_most_recently_active_first(
    api: Api, tenancy: Tenancy, ours: Franchise
) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        rows = [
            await add_chat(session, ours.tenant, messages=n % 3, created_at=START + timedelta(hours=n // 2))
            for n in range(7)
        ]
    wanted = [f"chat_{row.id}" for row in sorted(rows, key=lambda row: (row.active_at, row.id), reverse=True)]

    seen: list[str] = []
    after, more = None, True
    while more:
        page = (await api.ask(ours.owner, CHATS, n=2, a=after)).ok["chatSessions"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        assert page["totalCount"] == 7

    assert seen == wanted


async def test_filters_narrow_and_a_lead_shows_its_own(api: Api, tenancy: Tenancy, ours: Franchise) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        own = await add_chat(session, ours.tenant, lead=ours.lead, state="CLOSED")
        other = await add_chat(session, ours.tenant, location=ours.tenant.locations[1], channel="SMS", messages=1)
    query = "query($l: ID!) { lead(id: $l) { chatSessions { totalCount edges { node { id lastMessageAt } } } } }"

    async def found(**given: Any) -> list[str]:
        page = (await api.ask(ours.owner, CHATS, f=given)).ok["chatSessions"]
        assert page["totalCount"] == len(page["edges"])
        return [edge["node"]["id"] for edge in page["edges"]]

    assert await found() == [f"chat_{other.id}", f"chat_{own.id}"]
    assert await found(state=["CLOSED"]) == await found(leadId=ours.lead_id) == [f"chat_{own.id}"]
    assert await found(channel=["SMS"]) == [f"chat_{other.id}"]
    assert await found(locationIds=[ours.location_id]) == [f"chat_{own.id}"]
    shown = (await api.ask(ours.owner, query, l=ours.lead_id)).ok["lead"]["chatSessions"]
    assert shown == {"totalCount": 1, "edges": [{"node": {"id": f"chat_{own.id}", "lastMessageAt": None}}]}


async def test_what_is_another_tenants_or_locations_does_not_exist(
    api: Api, tenancy: Tenancy, ours: Franchise, theirs: Franchise
) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        chat = await add_chat(session, ours.tenant, lead=ours.lead, messages=2)
    agent = api.token(ours.tenant.id, Role.AGENT, location_ids=[ours.tenant.locations[1]])
    query = "query($i: ID!) { chatSession(id: $i) { messages(first: 1) { edges { node { id } } } } }"
    shown = (await api.ask(ours.owner, query, i=f"chat_{chat.id}")).ok["chatSession"]
    message = shown["messages"]["edges"][0]["node"]["id"]
    ids = [f"chat_{chat.id}", message]

    for token in (theirs.owner, agent):
        assert (await api.ask(token, CHATS)).ok["chatSessions"] == {
            "totalCount": 0,
            "pageInfo": {"hasNextPage": False, "endCursor": None},
            "edges": [],
        }
        assert (await api.ask(token, MESSAGES, i=ids[0])).ok == {"chatSession": None}
        assert (await api.ask(token, "query($i: [ID!]!) { nodes(ids: $i) { id } }", i=ids)).ok == {
            "nodes": [None, None]
        }
    own = await api.ask(ours.owner, "query($i: [ID!]!) { nodes(ids: $i) { id } }", i=ids)
    assert [node["id"] for node in own.ok["nodes"]] == ids
