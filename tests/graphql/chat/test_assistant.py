"""What a franchise sets about its assistant through the API."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api

SET = "mutation($i: AssistantInput!) { setAssistant(input: $i) { tenant { id } errors { code field } } }"


async def kept(tenancy: Tenancy, franchise: Franchise) -> dict[str, Any]:
    async with tenancy.read(franchise.tenant.scope) as session:
        rows = await session.execute(
            text(
                "SELECT c.enabled, c.model, c.prompt_version, p.instructions FROM tenant_assistant_configs c"
                " LEFT JOIN assistant_prompts p ON p.tenant_id = c.tenant_id AND p.version = c.prompt_version"
            )
        )
        return dict(rows.mappings().one())


async def test_what_is_left_out_stays_and_each_wording_is_a_version(
    api: Api, tenancy: Tenancy, ours: Franchise
) -> None:
    first = (await api.ask(ours.owner, SET, i={"model": "gpt-x", "instructions": "We speak of film."})).ok[
        "setAssistant"
    ]
    await api.ask(ours.owner, SET, i={"enabled": False})
    await api.ask(ours.owner, SET, i={"instructions": "We speak of film."})
    same = await kept(tenancy, ours)
    await api.ask(ours.owner, SET, i={"instructions": "", "model": ""})

    assert first == {"tenant": {"id": f"tenant_{ours.tenant.id}"}, "errors": []}
    assert same == {"enabled": False, "model": "gpt-x", "prompt_version": 1, "instructions": "We speak of film."}
    assert await kept(tenancy, ours) == {"enabled": False, "model": None, "prompt_version": 2, "instructions": ""}


async def test_another_franchise_is_not_found_and_an_administrator_must_name_one(
    api: Api, tenancy: Tenancy, ours: Franchise, theirs: Franchise
) -> None:
    admin = api.token(None, Role.PLATFORM_ADMIN)
    named = f"tenant_{theirs.tenant.id}"

    foreign = (await api.ask(ours.owner, SET, i={"tenantId": named, "enabled": False})).ok["setAssistant"]
    nobody = (await api.ask(admin, SET, i={"enabled": False})).ok["setAssistant"]
    done = (await api.ask(admin, SET, i={"tenantId": named, "enabled": False})).ok["setAssistant"]

    assert [error["code"] for error in foreign["errors"]] == ["NOT_FOUND"]
    assert [error["code"] for error in nobody["errors"]] == ["BAD_USER_INPUT"]
    assert done["errors"] == []
    assert (await kept(tenancy, theirs))["enabled"] is False


@pytest.mark.parametrize("field", ["instructions", "model"])
async def test_a_text_that_is_too_long_is_refused(api: Api, ours: Franchise, field: str) -> None:
    answer = (await api.ask(ours.owner, SET, i={field: "x" * 9_000})).ok["setAssistant"]

    assert answer["errors"] == [{"code": "BAD_USER_INPUT", "field": [field]}]


FORCE = "assistant { enabled model instructions promptVersion debounceSeconds leadTokensPerDay }"


async def test_what_is_set_is_read_back_and_what_is_not_has_its_default(api: Api, ours: Franchise) -> None:
    set_ = SET.replace("tenant { id }", f"tenant {{ {FORCE} }}")
    before = (await api.ask(ours.owner, f"{{ tenant {{ {FORCE} }} }}")).ok["tenant"]["assistant"]
    given = {"debounceSeconds": 2.5, "leadTokensPerDay": 9_000, "model": "gpt-x", "instructions": "We speak of film."}

    answered = (await api.ask(ours.owner, set_, i=given)).ok["setAssistant"]
    await api.ask(ours.owner, SET, i={"enabled": False})
    after = (await api.ask(ours.owner, f"{{ tenant {{ {FORCE} }} }}")).ok["tenant"]["assistant"]

    defaults = {"model": None, "instructions": "", "promptVersion": 0, "debounceSeconds": 1.0}
    assert before == {"enabled": True, "leadTokensPerDay": 60_000, **defaults}
    assert answered == {"tenant": {"assistant": {"enabled": True, "promptVersion": 1, **given}}, "errors": []}
    assert after == {**answered["tenant"]["assistant"], "enabled": False}


async def test_an_administrator_reads_it_too(api: Api, ours: Franchise, theirs: Franchise) -> None:
    admin = api.token(None, Role.PLATFORM_ADMIN)
    await api.ask(ours.owner, SET, i={"debounceSeconds": 0})
    query = f'{{ node(id: "tenant_{ours.tenant.id}") {{ ... on Tenant {{ {FORCE} }} }} }}'

    assert (await api.ask(admin, query)).ok["node"]["assistant"]["debounceSeconds"] == 0
    assert (await api.ask(theirs.owner, query)).ok["node"] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("debounceSeconds", -0.001), ("debounceSeconds", 30.001), ("leadTokensPerDay", -1)],
)
async def test_a_number_out_of_range_is_refused_and_nothing_is_set(
    api: Api, ours: Franchise, field: str, value: float
) -> None:
    answer = (await api.ask(ours.owner, SET, i={field: value, "model": "gpt-x"})).ok["setAssistant"]
    read = (await api.ask(ours.owner, f"{{ tenant {{ {FORCE} }} }}")).ok["tenant"]["assistant"]

    assert answer == {"tenant": None, "errors": [{"code": "BAD_USER_INPUT", "field": [field]}]}
    assert (read["model"], read["debounceSeconds"], read["leadTokensPerDay"]) == (None, 1.0, 60_000)


USED = "usage { leadTokensToday leadTokenBudget leadsUsedUpToday }"
SPENT = text("""
WITH chat AS (
  INSERT INTO chat_sessions (tenant_id, location_id, lead_id, channel, state, verified, created_at)
  SELECT tenant_id, location_id, id, 'WEB_CHAT', 'ASSISTANT', :verified, now() FROM leads WHERE id = :lead RETURNING *)
INSERT INTO assistant_days (tenant_id, location_id, session_id, day, calls, tokens)
SELECT tenant_id, location_id, id, (app_now() AT TIME ZONE 'UTC')::date - cast(:ago AS int), 1, :tokens FROM chat""")


async def test_what_customers_used_today_stands_beside_what_they_may(
    api: Api, tenancy: Tenancy, ours: Franchise
) -> None:
    """A customer's proven conversations count together, a stranger's by itself, yesterday's not at all."""
    await api.ask(ours.owner, SET, i={"leadTokensPerDay": 700})
    none = (await api.ask(ours.owner, f"{{ tenant {{ {USED} }} }}")).ok["tenant"]["usage"]
    async with tenancy.write(ours.tenant.scope) as session:
        for tokens, verified, ago in ((300, True, 0), (400, True, 0), (600, False, 0), (9_000, True, 1)):
            spent = {"lead": ours.lead.id, "tokens": tokens, "verified": verified, "ago": ago}
            await session.execute(SPENT, spent)
    admin = api.token(None, Role.PLATFORM_ADMIN)
    node = f'{{ node(id: "tenant_{ours.tenant.id}") {{ ... on Tenant {{ {USED} }} }} }}'
    elsewhere = api.token(ours.tenant.id, Role.AGENT, location_ids=[ours.tenant.locations[1]])

    planned = (await api.ask(ours.owner, f"{{ tenant {{ {USED} }} }}")).ok["tenant"]["usage"]
    executed = (await api.ask(admin, node)).ok["node"]["usage"]
    of_others = (await api.ask(elsewhere, f"{{ tenant {{ {USED} }} }}")).ok["tenant"]["usage"]

    assert none == of_others == {"leadTokensToday": 0, "leadTokenBudget": 700, "leadsUsedUpToday": 0}
    assert planned == executed == {"leadTokensToday": 700, "leadTokenBudget": 700, "leadsUsedUpToday": 1}
