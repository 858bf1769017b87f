"""The search of leads is backed by an index and shows nobody a lead that is not theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from lead_orchestrator.graphql.repository import is_indexable
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import ReadSession, Scope, Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.database import TestDatabase
from tests.factories import make_lead, make_tenant
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api

LEADS = """query($filter: LeadFilter) { leads(first: 100, filter: $filter) { totalCount edges { node { id } } } }"""


async def found(api: Api, token: str, words: str, **more: Any) -> set[str]:
    answer = (await api.ask(token, LEADS, filter={"search": words, **more})).ok["leads"]
    ids = {edge["node"]["id"] for edge in answer["edges"]}
    assert answer["totalCount"] == len(ids)
    return ids


async def test_a_lead_is_found_by_every_part_of_its_name_address_and_number(
    api: Api, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    tenant = await make_tenant(tenancy, secret_box)
    token = api.token(tenant.id)
    lead = await make_lead(
        tenancy,
        secret_box,
        tenant,
        first_name="Émile",
        last_name="O'Brien 50%_",
        email="em_b@example.com",
        phone="+12135550123",
    )
    await make_lead(tenancy, secret_box, tenant, first_name="Other", last_name=None, phone="+14155550199")
    mine = {f"lead_{lead.id}"}

    for words in ("mile", "ÉMILE o'b", "o'brien", "50%_", "em_b@EXAMPLE", "  Émile ", "555-0123", "(213) 555", "+1213"):
        assert await found(api, token, words) == mine, words
    for words in ("emxb", "50%x", "brien em_b", "\\brien", "213555012344", "zzz", "%%%", "___"):
        assert await found(api, token, words) == set(), words


@pytest.mark.parametrize("words", ["a", "zq", "é", "%", "a b", "zq zr"])
async def test_words_too_short_for_the_index_are_found_as_well(
    api: Api, tenancy: Tenancy, secret_box: SecretBox, words: str
) -> None:
    tenant = await make_tenant(tenancy, secret_box)
    lead = await make_lead(
        tenancy, secret_box, tenant, first_name="zq", last_name="zr é% a b", email="x1@mail.test", phone=None
    )
    await make_lead(tenancy, secret_box, tenant, first_name="Ivo", last_name="Xu", email="x2@mail.test", phone=None)

    assert not is_indexable(words)
    assert f"lead_{lead.id}" in await found(api, api.token(tenant.id), words)
    assert len(await found(api, api.token(tenant.id), words)) == (2 if words == "a" else 1)


async def test_the_search_goes_with_every_other_filter(
    api: Api, ours: Franchise, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    other = await make_lead(tenancy, secret_box, ours.tenant, location=ours.tenant.locations[1])
    other_place = [f"loc_{ours.tenant.locations[1]}"]

    assert await found(api, ours.owner, "example") == {ours.lead_id, f"lead_{other.id}"}
    assert await found(api, ours.owner, "example", locationIds=other_place) == {f"lead_{other.id}"}
    assert await found(api, ours.owner, "example", status=["WON"]) == set()


async def test_other_franchises_and_other_locations_are_not_searched(
    api: Api, ours: Franchise, theirs: Franchise, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    hidden = await make_lead(tenancy, secret_box, ours.tenant, location=ours.tenant.locations[1])
    agent = api.token(ours.tenant.id, Role.AGENT, location_ids=[ours.tenant.location])
    nowhere = api.token(ours.tenant.id, Role.AGENT, location_ids=[])

    for lead in (theirs.lead, hidden):
        for words in (lead.email or "", lead.phone or ""):
            assert await found(api, agent, words) == set()
            assert await found(api, nowhere, words) == set()
    assert await found(api, ours.owner, theirs.lead.email or "") == set()
    assert await found(api, theirs.owner, theirs.lead.email or "") == {theirs.lead_id}
    assert await found(api, ours.owner, hidden.email or "") == {f"lead_{hidden.id}"}
    assert await found(api, agent, "example") == {ours.lead_id}


async def looked_up(session: ReadSession, tenant: UUID, words: str | None) -> list[UUID]:
    rows = await session.scalar(text("SELECT lookup_leads(:tenant, :words, NULL)"), {"tenant": tenant, "words": words})
    return list(rows or [])


async def test_the_look_up_keeps_to_the_settings_whatever_it_is_asked(
    tenancy: Tenancy, ours: Franchise, theirs: Franchise
) -> None:
    async with tenancy.read(ours.tenant.scope) as session:
        assert await looked_up(session, ours.tenant.id, "example") == [ours.lead.id]
        assert await looked_up(session, theirs.tenant.id, "example") == []
        assert await looked_up(session, ours.tenant.id, None) == []
    elsewhere = Scope(ours.tenant.id, frozenset({ours.tenant.locations[1]}))
    for scope in (elsewhere, Scope(ours.tenant.id, frozenset())):
        async with tenancy.read(scope) as session:
            assert await looked_up(session, ours.tenant.id, "example") == []
    async with tenancy.engines.app.connect() as connection:
        nobody = text("SELECT lookup_leads(:tenant, 'example', NULL)")
        assert await connection.scalar(nobody, {"tenant": ours.tenant.id}) == []


FILL = """
INSERT INTO leads (tenant_id, location_id, first_name, email, source, enrolled_at, created_at, last_activity_at)
SELECT $1, $2, 'Name ' || md5(n::text), md5('x' || n) || '@example.com', 'API', now(), now(), now() FROM generate_series(1, 20000) n
"""


async def test_the_index_is_used_inside_the_function_and_for_the_rows(
    tenancy: Tenancy, database: TestDatabase, secret_box: SecretBox
) -> None:
    tenant = await make_tenant(tenancy, secret_box)
    plans: list[str] = []
    connection = await asyncpg.connect(database.admin_url)
    try:
        await connection.execute(FILL, tenant.id, tenant.location)
        await connection.execute("VACUUM ANALYZE leads")
        await connection.execute("LOAD 'auto_explain'")
        connection.add_log_listener(lambda _connection, message: plans.append(str(message.message)))
        for name, value in (("log_min_duration", "0"), ("log_nested_statements", "on"), ("log_format", "json")):
            await connection.execute(f"SET auto_explain.{name} = '{value}'")
        await connection.execute("SET client_min_messages = log")
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE lead_app")
            await connection.execute("SELECT set_config('app.tenant_id', $1, true)", str(tenant.id))
            await connection.execute("SELECT set_config('app.location_ids', '*', true)")
            plans.clear()
            rows = await connection.fetch(
                "SELECT id FROM leads WHERE tenant_id = $1 AND id = ANY ((SELECT lookup_leads($1, $2, NULL))::uuid[])",
                tenant.id,
                "name c4ca42",
            )
    finally:
        await connection.close()

    indexes = {index for plan in plans for index in used_indexes(json.loads(plan[plan.index("{") :]))}
    assert len(rows) == 1
    assert indexes == {"leads_search", "leads_pkey"}


def used_indexes(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "Index Name" in node:
            yield node["Index Name"]
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from used_indexes(part)
