"""What an administrator changes of a franchise, and what the franchise is told of it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import jwt
import pytest
from sqlalchemy import text

from lead_orchestrator.ids import decode, kind_of
from lead_orchestrator.tenancy.sessions import Scope, Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api

TENANT = "tenant { id status demoMode demoAllowlist limits { assistantTokenBudget requestsPerMinute messagesPerDay } }"
SUSPEND = """mutation($id: ID!, $why: String!) {
  it: suspendTenant(tenantId: $id, reason: $why) { tenant { status } errors { code field } } }"""
REINSTATE = "mutation($id: ID!) { it: reinstateTenant(tenantId: $id) { tenant { status } errors { code } } }"
DEMO = f"""mutation($id: ID!, $on: Boolean!, $list: [String!], $force: Boolean, $why: String) {{
  it: setDemoMode(tenantId: $id, enabled: $on, allowlist: $list, force: $force, reason: $why) {{
    {TENANT} errors {{ code message field }} }} }}"""
ENTER = """mutation($id: ID!, $why: String!, $minutes: Int, $changes: Boolean) {
  it: impersonateTenant(tenantId: $id, reason: $why, minutes: $minutes, changes: $changes) { token expiresAt errors { code } } }"""
RENAME = """mutation($id: ID!) {
  it: updateLocation(input: {id: $id, name: "Renamed"}) { location { name } errors { code } } }"""
PAUSE = "mutation($id: ID!) { it: pauseTouches(leadId: $id) { lead { touchesPaused } errors { code } } }"


@pytest.fixture
def admin(api: Api) -> str:
    return api.token(None, Role.PLATFORM_ADMIN, subject="user_admin")


async def done(api: Api, token: str, document: str, **variables: Any) -> Any:
    answer = (await api.ask(token, document, **variables)).ok["it"]
    assert answer["errors"] == []
    return answer


async def refused(api: Api, token: str, document: str, **variables: Any) -> list[str]:
    return [error["code"] for error in (await api.ask(token, document, **variables)).ok["it"]["errors"]]


async def told(tenancy: Tenancy, franchise: Franchise) -> list[tuple[str, str, Any]]:
    """What stands in the franchise's audit trail since it was made."""
    async with tenancy.read(franchise.tenant.scope) as session:
        rows = await session.execute(text("SELECT actor, action, detail FROM audit_log ORDER BY number"))
        return [tuple(row) for row in rows if row.action.startswith(("tenant.", "support."))][1:]


def named(franchise: Franchise) -> str:
    return f"tenant_{franchise.tenant.id}"


async def test_suspending_twice_is_suspending_once(
    api: Api, admin: str, ours: Franchise, theirs: Franchise, tenancy: Tenancy
) -> None:
    for _ in range(2):
        assert (await done(api, admin, SUSPEND, id=named(ours), why="unpaid"))["tenant"] == {"status": "SUSPENDED"}
    for _ in range(2):
        assert (await done(api, admin, REINSTATE, id=named(ours)))["tenant"] == {"status": "ACTIVE"}

    lines = await told(tenancy, ours)
    assert lines == [
        ("user_admin", "tenant.suspended", {"reason": "unpaid"}),
        ("user_admin", "tenant.reinstated", None),
    ]
    assert await told(tenancy, theirs) == []


async def test_nobody_is_suspended_without_a_reason_or_who_is_not_there(api: Api, admin: str, ours: Franchise) -> None:
    assert await refused(api, admin, SUSPEND, id=named(ours), why=" ") == ["REASON_MISSING"]
    assert await refused(api, admin, SUSPEND, id=f"tenant_{uuid4()}", why="unpaid") == ["NOT_FOUND"]
    assert await refused(api, admin, SUSPEND, id=ours.lead_id, why="unpaid") == ["BAD_USER_INPUT"]


async def test_going_live_takes_what_is_required_or_a_reason(
    api: Api, admin: str, ours: Franchise, tenancy: Tenancy
) -> None:
    await done(api, admin, DEMO, id=named(ours), on=True, list=[" +1???55501?? ", "Test@Example.com"])

    answer = (await api.ask(admin, DEMO, id=named(ours), on=False)).ok["it"]
    assert [error["code"] for error in answer["errors"]] == ["NOT_READY"]
    assert "webhook_received (no signed webhook has come from ShopMonkey yet" in answer["errors"][0]["message"]
    assert "opening_hours (0 of 2 locations have opening hours)" in answer["errors"][0]["message"]
    assert "calendar" not in answer["errors"][0]["message"]
    assert await refused(api, admin, DEMO, id=named(ours), on=False, force=True) == ["REASON_MISSING"]
    state = (await api.ask(ours.owner, f"{{ {TENANT} }}")).ok["tenant"]
    assert (state["demoMode"], state["demoAllowlist"]) == (True, ["+1???55501??", "test@example.com"])

    live = await done(api, admin, DEMO, id=named(ours), on=False, force=True, why="a pilot of one shop")

    assert (live["tenant"]["demoMode"], live["tenant"]["demoAllowlist"]) == (False, state["demoAllowlist"])
    lines = await told(tenancy, ours)
    assert [(action, detail["fields"]) for _, action, detail in lines] == [
        ("tenant.demo", ["demo_allowlist", "demo_mode"]),
        ("tenant.live", ["demo_mode"]),
    ]
    assert lines[-1][2]["reason"] == "a pilot of one shop"
    assert lines[-1][2]["missing"] > 3


async def test_limits_are_set_one_by_one_and_given_back(
    api: Api, admin: str, ours: Franchise, theirs: Franchise, tenancy: Tenancy
) -> None:
    def limiting(arguments: str) -> str:
        set_ = f"setTenantLimits(tenantId: $id, {arguments})"
        return f"mutation($id: ID!) {{ it: {set_} {{ {TENANT} errors {{ code field }} }} }}"

    await done(api, admin, limiting("requestsPerMinute: 7, messagesPerDay: 5"), id=named(ours))
    both = await done(api, admin, limiting("assistantTokenBudget: 0, messagesPerDay: null"), id=named(ours))
    assert await refused(api, admin, limiting("requestsPerMinute: 0"), id=named(ours)) == ["BAD_USER_INPUT"]
    assert await refused(api, admin, limiting("messagesPerDay: -1"), id=named(ours)) == ["BAD_USER_INPUT"]

    none = {"assistantTokenBudget": None, "requestsPerMinute": None, "messagesPerDay": None}
    assert both["tenant"]["limits"] == {**none, "assistantTokenBudget": 0, "requestsPerMinute": 7}
    assert (await api.ask(ours.owner, f"{{ {TENANT} }}")).ok["tenant"]["limits"] == both["tenant"]["limits"]
    assert (await api.ask(theirs.owner, f"{{ {TENANT} }}")).ok["tenant"]["limits"] == none
    assert [(action, detail) for _, action, detail in await told(tenancy, ours)] == [
        ("tenant.limits_changed", {"fields": ["messages_per_day", "requests_per_minute"]}),
        ("tenant.limits_changed", {"fields": ["assistant_token_budget", "messages_per_day"]}),
    ]


async def test_support_sees_what_the_owner_sees_and_changes_nothing(
    api: Api, admin: str, ours: Franchise, theirs: Franchise, tenancy: Tenancy
) -> None:
    token = (await done(api, admin, ENTER, id=named(ours), why="ticket 12", minutes=5))["token"]

    seen = (await api.ask(token, "query($id: ID!) { viewer { role } lead(id: $id) { id phone } }", id=ours.lead_id)).ok
    foreign = (await api.ask(token, "query($id: ID!) { lead(id: $id) { id } }", id=theirs.lead_id)).ok
    assert await refused(api, token, PAUSE, id=ours.lead_id) == ["READ_ONLY"]
    assert await refused(api, token, PAUSE, id=theirs.lead_id) == ["READ_ONLY"]

    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["act"], claims["read_only"], claims["exp"] - claims["iat"]) == ({"sub": "user_admin"}, True, 300)
    assert seen == {"viewer": {"role": "OWNER"}, "lead": {"id": ours.lead_id, "phone": ours.lead.phone}}
    assert foreign == {"lead": None}
    async with tenancy.read(ours.tenant.scope) as session:
        assert not await session.scalar(text("SELECT bool_or(touches_paused) FROM leads"))
    entered = {"reason": "ticket 12", "minutes": 5, "changes": False}
    assert await told(tenancy, ours) == [("user_admin", "support.entered", entered)]


async def test_support_that_was_granted_changes_is_named_by_what_it_did(
    api: Api, admin: str, ours: Franchise, tenancy: Tenancy
) -> None:
    token = (await done(api, admin, ENTER, id=named(ours), why="ticket 13", changes=True))["token"]

    await done(api, token, RENAME, id=ours.location_id)

    async with tenancy.read(ours.tenant.scope) as session:
        latest = text("SELECT actor FROM audit_log ORDER BY number DESC LIMIT 1")
        assert await session.scalar(latest) == "user_admin (support)"


@pytest.mark.parametrize(
    ("given", "code"),
    [({"minutes": 0}, "BAD_USER_INPUT"), ({"minutes": 61}, "BAD_USER_INPUT"), ({"why": ""}, "REASON_MISSING")],
)
async def test_support_needs_a_reason_and_an_end(
    api: Api, admin: str, ours: Franchise, tenancy: Tenancy, given: dict[str, Any], code: str
) -> None:
    assert await refused(api, admin, ENTER, **{"id": named(ours), "why": "ticket 14", **given}) == [code]
    assert await told(tenancy, ours) == []


async def test_a_suspended_franchise_is_not_entered(api: Api, admin: str, ours: Franchise) -> None:
    await done(api, admin, SUSPEND, id=named(ours), why="unpaid")

    assert await refused(api, admin, ENTER, id=named(ours), why="ticket 15") == ["TENANT_SUSPENDED"]


async def test_the_session_itself_refuses_who_may_only_read(tenancy: Tenancy, ours: Franchise) -> None:
    reading = Scope(ours.tenant.id, read_only=True)

    with pytest.raises(Exception, match="may only read"):
        async with tenancy.write(reading):
            raise AssertionError("it was opened")
    async with tenancy.read(reading) as session:
        kind = kind_of(ours.lead_id)
        assert kind is not None
        lead = text("SELECT id FROM leads WHERE id = :id")
        assert await session.scalar(lead, {"id": decode(kind, ours.lead_id)}) == ours.lead.id
