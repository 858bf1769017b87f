"""What the platform's administrators see: franchises, counts, and webhooks that belong to none."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text, update

from lead_orchestrator.chat.assistant.models import TOKENS_A_MONTH, AssistantMonth
from lead_orchestrator.clock import app_now
from lead_orchestrator.leads.models import ScheduledMessage
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.factories import make_lead
from tests.graphql.conftest import Franchise
from tests.graphql.operations.rows import all_pages, make_message, make_unrouted
from tests.graphql.server import Api

USAGE = "usage { leads messagesThisMonth assistantTokensThisMonth assistantTokenBudget }"


@pytest.fixture
def admin(api: Api) -> str:
    return api.token(None, Role.PLATFORM_ADMIN)


async def test_an_administrator_lists_every_franchise(api: Api, admin: str, ours: Franchise, theirs: Franchise) -> None:
    seen = await all_pages(api, admin, "tenants", first=100)
    found = await api.ask(
        admin,
        "query($s: String) { tenants(search: $s) { totalCount edges { node { id slug status } } } }",
        s=ours.tenant.slug[2:],
    )

    assert {f"tenant_{ours.tenant.id}", f"tenant_{theirs.tenant.id}"} <= set(seen)
    node = {"id": f"tenant_{ours.tenant.id}", "slug": ours.tenant.slug, "status": "ACTIVE"}
    assert found.ok["tenants"] == {"totalCount": 1, "edges": [{"node": node}]}
    assert await all_pages(api, admin, "tenants", ', search: "%"') == []
    assert await all_pages(api, admin, "tenants", f', search: "{uuid4().hex}"') == []


@pytest.mark.parametrize("field", ["tenants", "unroutedWebhooks"])
@pytest.mark.parametrize("role", [Role.VISITOR, Role.AGENT, Role.MANAGER, Role.OWNER])
async def test_staff_of_a_franchise_is_refused(api: Api, ours: Franchise, field: str, role: Role) -> None:
    token = api.token(ours.tenant.id, role, location_ids=[ours.tenant.location])

    assert (await api.ask(token, f"{{ {field} {{ totalCount }} }}")).codes == ["FORBIDDEN"]
    assert (await api.ask(None, f"{{ {field} {{ totalCount }} }}")).codes == ["UNAUTHENTICATED"]


async def test_usage_counts_leads_and_what_was_sent_this_month(
    api: Api, admin: str, ours: Franchise, theirs: Franchise, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    other = await make_lead(tenancy, secret_box, ours.tenant, location=ours.tenant.locations[1])
    sent = [await make_message(tenancy, ours.tenant, lead) for lead in (ours.lead, ours.lead, other)]
    await make_message(tenancy, ours.tenant, ours.lead, status="FAILED")
    async with tenancy.write(ours.tenant.scope) as session:
        for message, moment in zip(sent, ("now()", "date_trunc('month', now())", "now()"), strict=True):
            row = update(ScheduledMessage).where(ScheduledMessage.id == message.removeprefix("msg_"))
            await session.execute(row.values(sent_at=text(moment)))
        this_month = (await app_now(session)).date().replace(day=1)
        session.add_all(
            AssistantMonth(tenant_id=ours.tenant.id, month=month, calls=1, tokens=tokens)
            for month, tokens in ((this_month, 1234), (this_month.replace(year=2020), 99))
        )
    await make_message(tenancy, ours.tenant, ours.lead, sent_at=ours.lead.created_at.replace(year=2020))
    node = f'{{ node(id: "tenant_{ours.tenant.id}") {{ ... on Tenant {{ {USAGE} readiness {{ name ok }} }} }} }}'
    agent = api.token(ours.tenant.id, Role.AGENT, location_ids=[ours.tenant.location])

    as_owner = (await api.ask(ours.owner, f"{{ tenant {{ {USAGE} }} }}")).ok["tenant"]["usage"]
    as_admin = (await api.ask(admin, node)).ok["node"]
    as_agent = (await api.ask(agent, f"{{ tenant {{ {USAGE} }} }}")).ok["tenant"]["usage"]

    spent = {"assistantTokensThisMonth": 1234, "assistantTokenBudget": TOKENS_A_MONTH}
    assert as_owner == as_admin["usage"] == {"leads": 2, "messagesThisMonth": 3, **spent}
    assert as_agent == {"leads": 1, "messagesThisMonth": 2, **spent}
    assert {"name": "shopmonkey_key", "ok": True} in as_admin["readiness"]
    assert (await api.ask(theirs.owner, node)).ok == {"node": None}


async def test_readiness_of_many_franchises_is_each_one_s_own(
    api: Api, admin: str, ours: Franchise, theirs: Franchise
) -> None:
    query = (
        "query($s: String) { tenants(search: $s) { edges { node { slug usage { leads } readiness { name ok } } } } }"
    )

    for franchise in (ours, theirs):
        answer = await api.ask(admin, query, s=franchise.tenant.slug)
        (edge,) = answer.ok["tenants"]["edges"]
        assert (edge["node"]["slug"], edge["node"]["usage"]) == (franchise.tenant.slug, {"leads": 1})


async def test_an_administrator_is_somebody(api: Api, tenancy: Tenancy) -> None:
    async with tenancy.platform() as session:
        insert = text("INSERT INTO platform_users (email, name) VALUES (:email, 'Root Example') RETURNING id")
        key = (await session.execute(insert, {"email": f"{uuid4().hex}@example.com"})).scalar_one()
    query = "{ viewer { role expiresAt user { id name role active locations { id } } tenant { id } locations { id } } }"

    known = (await api.ask(api.token(None, Role.PLATFORM_ADMIN, subject=f"user_{key}"), query)).ok["viewer"]
    unknown = (await api.ask(api.token(None, Role.PLATFORM_ADMIN, subject=f"user_{uuid4()}"), query)).ok["viewer"]

    user = {"id": f"user_{key}", "name": "Root Example", "role": "PLATFORM_ADMIN", "active": True, "locations": []}
    assert (known["user"], known["tenant"], known["locations"]) == (user, None, [])
    assert unknown["user"] is None


@pytest.mark.parametrize("role", [Role.AGENT, Role.MANAGER, Role.OWNER])
async def test_staff_sees_itself_its_franchise_and_its_locations(api: Api, ours: Franchise, role: Role) -> None:
    token = api.token(ours.tenant.id, role, location_ids=[ours.tenant.location])

    viewer = (await api.ask(token, "{ viewer { role user { id } tenant { id } locations { id } } }")).ok["viewer"]

    tenant = {"id": f"tenant_{ours.tenant.id}"}
    assert viewer == {"role": role.value, "user": None, "tenant": tenant, "locations": [{"id": ours.location_id}]}


async def test_unrouted_webhooks_wait_newest_first(api: Api, admin: str, tenancy: Tenancy) -> None:
    made = [await make_unrouted(tenancy, uuid4().hex) for _ in range(3)]

    seen = [one for one in await all_pages(api, admin, "unroutedWebhooks") if one in made]
    node = await api.ask(
        admin,
        "query($id: ID!) { node(id: $id) { ... on WebhookEvent { id status source attempts } } }",
        id=made[0],
    )

    assert seen == made[::-1]
    assert node.ok["node"] == {"id": made[0], "status": "UNROUTED", "source": "shopmonkey", "attempts": 1}
