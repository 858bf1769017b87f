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
