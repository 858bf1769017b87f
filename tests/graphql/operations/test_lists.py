"""Webhooks, jobs, the audit trail and the people: who may list them, and that each row comes once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.conftest import Franchise
from tests.graphql.operations.rows import NOON, all_pages, make_event, make_job, make_user
from tests.graphql.server import Api

LOWEST = {"webhookEvents": Role.MANAGER, "jobExecutions": Role.MANAGER, "users": Role.MANAGER, "auditLog": Role.OWNER}
STAFF = (Role.AGENT, Role.MANAGER, Role.OWNER)
SESSIONS = "{ mySessions { id createdAt lastSeenAt userAgent current } }"


@pytest.mark.parametrize("field", LOWEST)
@pytest.mark.parametrize("role", [Role.VISITOR, *STAFF])
async def test_each_list_is_for_its_role_and_above(api: Api, ours: Franchise, field: str, role: Role) -> None:
    token = api.token(ours.tenant.id, role, location_ids=[ours.tenant.location])

    answer = await api.ask(token, f"{{ {field} {{ totalCount }} }}")

    order = [Role.VISITOR, *STAFF]
    allowed = order.index(role) >= order.index(LOWEST[field])
    assert answer.codes == ([] if allowed else ["FORBIDDEN"])
    assert (await api.ask(None, f"{{ {field} {{ totalCount }} }}")).codes == ["UNAUTHENTICATED"]


async def test_an_administrator_of_the_platform_lists_nothing_of_a_franchise(api: Api) -> None:
    admin = api.token(None, Role.PLATFORM_ADMIN)
    for field in (*LOWEST, "messages"):
        assert (await api.ask(admin, f"{{ {field} {{ totalCount }} }}")).codes == ["NOT_FOUND"]


async def test_webhook_events_come_once_each_and_by_status(
    api: Api, ours: Franchise, theirs: Franchise, tenancy: Tenancy
) -> None:
    failed = [await make_event(tenancy, ours.tenant) for _ in range(3)]
    done = await make_event(tenancy, ours.tenant, "PROCESSED", received_at=NOON + timedelta(days=1), error=None)
    foreign = await make_event(tenancy, theirs.tenant)

    seen = await all_pages(api, ours.owner, "webhookEvents")

    assert seen[0] == done
    assert set(seen) == {*failed, done}
    assert set(await all_pages(api, ours.owner, "webhookEvents", ", status: FAILED")) == set(failed)
    assert await all_pages(api, ours.owner, "webhookEvents", ", status: UNROUTED") == []
    assert await all_pages(api, theirs.owner, "webhookEvents") == [foreign]


async def test_a_webhook_event_says_what_became_of_it(api: Api, ours: Franchise, tenancy: Tenancy) -> None:
    event = await make_event(tenancy, ours.tenant)
    query = """query($id: ID!) { node(id: $id) { ... on WebhookEvent {
      id source externalId externalLocationId status receivedAt processedAt outcome error attempts } } }"""

    got = (await api.ask(ours.owner, query, id=event)).ok["node"]

    assert (got["id"], got["status"], got["error"], got["attempts"]) == (event, "FAILED", "it broke", 3)
    assert got["externalLocationId"] == ours.tenant.shopmonkey_locations[0]
    assert (got["receivedAt"], got["processedAt"]) == ("2026-03-01T12:00:00+00:00", None)


async def test_a_limited_manager_sees_the_webhooks_of_its_locations(
    api: Api, ours: Franchise, tenancy: Tenancy
) -> None:
    own = await make_event(tenancy, ours.tenant)
    hidden = await make_event(tenancy, ours.tenant, location_id=ours.tenant.locations[1])
    manager = api.token(ours.tenant.id, Role.MANAGER, location_ids=[ours.tenant.location])

    assert await all_pages(api, manager, "webhookEvents") == [own]
    assert (await api.ask(manager, "query($id: ID!) { node(id: $id) { id } }", id=hidden)).ok == {"node": None}


async def test_job_executions_come_once_each_and_by_job(
    api: Api, ours: Franchise, theirs: Franchise, tenancy: Tenancy
) -> None:
    polls = [await make_job(tenancy, ours.tenant) for _ in range(3)]
    failed = await make_job(tenancy, ours.tenant, "dispatch_tenant", status="FAILED", error="it broke")
    await make_job(tenancy, theirs.tenant)

    assert set(await all_pages(api, ours.owner, "jobExecutions")) == {*polls, failed}
    assert set(await all_pages(api, ours.owner, "jobExecutions", ', job: "poll_tenant"')) == set(polls)
    assert await all_pages(api, ours.owner, "jobExecutions", ', job: "nothing"') == []
    assert (await api.ask(ours.owner, f'{{ jobExecutions(job: "{"x" * 101}") {{ totalCount }} }}')).codes == [
        "BAD_USER_INPUT"
    ]


async def test_the_audit_trail_is_paged_by_number(api: Api, ours: Franchise, tenancy: Tenancy) -> None:
    for number in range(5):
        async with tenancy.write(ours.tenant.scope) as session:
            session.audit("test.done", target=f"lead_{ours.lead.id}", detail={"number": number})
    query = "{ auditLog(first: 3) { edges { cursor node { id at actor action target detail } } } }"

    seen = await all_pages(api, ours.owner, "auditLog")
    newest = (await api.ask(ours.owner, query)).ok["auditLog"]["edges"]

    assert len(seen) >= 5
    assert [edge["node"]["detail"] for edge in newest] == [{"number": 4}, {"number": 3}, {"number": 2}]
    assert (newest[0]["node"]["actor"], newest[0]["node"]["action"]) == ("tests", "test.done")
    assert newest[0]["node"]["id"] == seen[0]
    for wrong in ("lev_3", "aud_x", "aud_99999999999999999999"):
        assert (await api.ask(ours.owner, f'{{ auditLog(after: "{wrong}") {{ totalCount }} }}')).codes == [
            "BAD_USER_INPUT"
        ]


async def test_users_come_by_address_with_their_locations(
    api: Api, ours: Franchise, theirs: Franchise, tenancy: Tenancy
) -> None:
    first, second = ours.tenant.locations
    await make_user(tenancy, ours.tenant, "b@example.com", location_ids=[second], name="Bea")
    everywhere = await make_user(tenancy, ours.tenant, "a@example.com", "OWNER")
    nowhere = await make_user(tenancy, ours.tenant, "c@example.com", location_ids=[], active=False)
    await make_user(tenancy, theirs.tenant, "a@example.com")
    manager = api.token(ours.tenant.id, Role.MANAGER)

    answer = await api.ask(manager, "{ users { edges { node { id email name role active locations { id } } } } }")

    users = [edge["node"] for edge in answer.ok["users"]["edges"]]
    assert [user["email"] for user in users] == ["a@example.com", "b@example.com", "c@example.com"]
    assert [user["id"] for user in users[::2]] == [everywhere, nowhere]
    assert [place["id"] for place in users[0]["locations"]] == [f"loc_{first}", f"loc_{second}"]
    assert [place["id"] for place in users[1]["locations"]] == [f"loc_{second}"]
    assert (users[2]["locations"], users[2]["active"]) == ([], False)
    assert len(await all_pages(api, manager, "users")) == 3


async def sign_in(tenancy: Tenancy, franchise: Franchise, user: str, **fields: timedelta) -> UUID:
    values: dict[str, Any] = {"expires": timedelta(days=1), "revoked": None, "seen": timedelta(0), **fields}
    statement = text("""
      INSERT INTO sessions (tenant_id, user_id, refresh_hash, user_agent, last_seen_at, expires_at, revoked_at)
      VALUES (:tenant, :user, :hash, 'Example Browser', now() - cast(:seen AS interval), now() + cast(:expires AS interval),
        now() - cast(:revoked AS interval)) RETURNING id""")
    keys = {"tenant": franchise.tenant.id, "user": UUID(user.removeprefix("user_")), "hash": uuid4().bytes}
    async with tenancy.write(franchise.tenant.scope) as session:
        key: UUID = (await session.execute(statement, {**keys, **values})).scalar_one()
    return key


async def test_my_sessions_are_those_that_are_still_good(api: Api, ours: Franchise, tenancy: Tenancy) -> None:
    me = await make_user(tenancy, ours.tenant, "me@example.com")
    other = await make_user(tenancy, ours.tenant, "other@example.com")
    older = await sign_in(tenancy, ours, me, seen=timedelta(hours=1))
    here = await sign_in(tenancy, ours, me)
    await sign_in(tenancy, ours, me, expires=timedelta(seconds=-1))
    await sign_in(tenancy, ours, me, revoked=timedelta(seconds=1))
    foreign = await sign_in(tenancy, ours, other)
    token = api.token(ours.tenant.id, Role.AGENT, subject=me, session_id=here)

    sessions = (await api.ask(token, SESSIONS)).ok["mySessions"]
    nodes = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    found = (await api.ask(token, nodes, ids=[f"ses_{here}", f"ses_{foreign}"])).ok["nodes"]

    assert [(one["id"], one["current"]) for one in sessions] == [(f"ses_{here}", True), (f"ses_{older}", False)]
    assert sessions[0]["userAgent"] == "Example Browser"
    assert found == [{"id": f"ses_{here}"}, None]


async def test_who_is_no_user_has_no_sessions(api: Api, ours: Franchise) -> None:
    visitor = api.token(ours.tenant.id, Role.VISITOR, location_ids=[ours.tenant.location])

    assert (await api.ask(ours.owner, SESSIONS)).ok == {"mySessions": []}
    assert (await api.ask(api.token(None, Role.PLATFORM_ADMIN), SESSIONS)).ok == {"mySessions": []}
    assert (await api.ask(visitor, SESSIONS)).codes == ["FORBIDDEN"]


async def test_nodes_are_found_by_whom_the_list_is_for(
    api: Api, ours: Franchise, theirs: Franchise, tenancy: Tenancy
) -> None:
    async with tenancy.write(ours.tenant.scope) as session:
        session.audit("test.done")
    (entry, *_) = await all_pages(api, ours.owner, "auditLog")
    ids = [await make_event(tenancy, ours.tenant), await make_job(tenancy, ours.tenant), entry]
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"

    async def seen(token: str) -> list[bool]:
        return [node is not None for node in (await api.ask(token, query, ids=ids)).ok["nodes"]]

    assert await seen(api.token(ours.tenant.id, Role.AGENT)) == [False, False, False]
    assert await seen(api.token(ours.tenant.id, Role.MANAGER)) == [True, True, False]
    assert await seen(ours.owner) == [True, True, True]
    assert await seen(theirs.owner) == [False, False, False]
    assert await seen(api.token(None, Role.PLATFORM_ADMIN)) == [False, False, False]
