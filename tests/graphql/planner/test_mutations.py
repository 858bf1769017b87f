"""A mutation that the planner answers does and says what the ordinary executor does and says."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text

from lead_orchestrator.graphql.planner.run import Planner
from lead_orchestrator.graphql.schema import make_schema
from lead_orchestrator.leads.models import LeadStatus
from lead_orchestrator.leads.service import locked
from lead_orchestrator.tenancy.reader import Reader
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Scope, Tenancy
from lead_orchestrator.tenancy.tokens import Role
from lead_orchestrator.tenancy.writer import Writer
from tests.factories import MadeTenant, make_lead, make_tenant
from tests.graphql.conftest import Franchise, open_api
from tests.graphql.server import Api

DOCUMENT = """mutation Move($id: ID!, $to: LeadStatus!) {
  moved: updateLead(input: {id: $id, status: $to}) {
    __typename problems: errors { code }
    lead { status location { name } touchesSent timeline { totalCount edges { node { kind } } } } } }"""
STATUSES = [status.value for status in LeadStatus]
START = text("UPDATE leads SET status = :status, touched = :touched, touches_sent = 2 WHERE id = :id")
TOUCHED = [0, 1 << 1, 1 << 1 | 1 << 3, sum(1 << number for number in range(1, 14))]
ROW = text("""SELECT l.status, l.touched, l.answered_after, l.booked_after, l.last_activity_at > l.created_at AS active,
    m.status AS message, m.decision FROM leads l LEFT JOIN scheduled_messages m ON m.lead_id = l.id WHERE l.id = :id""")
EVENTS = text("SELECT kind, detail FROM lead_events WHERE lead_id = :id ORDER BY position")
AUDITS = text("SELECT actor, action, detail FROM audit_log WHERE target = :target ORDER BY number")


@pytest_asyncio.fixture(scope="module")
async def executor(tenancy: Tenancy, secret_box: SecretBox) -> AsyncIterator[Api]:
    """The API without a planner."""
    async with open_api(tenancy, secret_box, None, development=False) as api:
        yield api


@pytest_asyncio.fixture(scope="module")
async def tenant(tenancy: Tenancy, secret_box: SecretBox) -> MadeTenant:
    return await make_tenant(tenancy, secret_box, locations=2)


@pytest.fixture
def planner(tenancy: Tenancy, reader: Reader) -> Planner:
    schema = make_schema(development=False)._schema  # noqa: SLF001 - what the app plans with
    return Planner(schema, reader, Writer(tenancy, reader.connections))


async def started(
    tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant, status: str, touched: int = TOUCHED[2]
) -> UUID:
    lead = await make_lead(tenancy, secret_box, tenant)
    async with tenancy.write(tenant.scope) as session:
        await session.execute(START, {"id": lead.id, "status": status, "touched": touched})
    return lead.id


async def held(tenancy: Tenancy, tenant: MadeTenant, lead_id: UUID) -> Any:
    """All that a change of status may have changed."""
    async with tenancy.read(tenant.scope) as session:
        rows = [tuple(row) for row in await session.execute(ROW, {"id": lead_id})]
        events = [tuple(row) for row in await session.execute(EVENTS, {"id": lead_id})]
        audits = [tuple(row) for row in await session.execute(AUDITS, {"target": f"lead_{lead_id}"})]
    return rows, events, audits


@pytest.mark.parametrize(("before", "after"), list(itertools.product(STATUSES, STATUSES)))
async def test_each_change_of_status_is_the_same_both_ways(
    tenancy: Tenancy,
    secret_box: SecretBox,
    executor: Api,
    planner: Planner,
    tenant: MadeTenant,
    before: str,
    after: str,
) -> None:
    touched = TOUCHED[(STATUSES.index(before) + STATUSES.index(after)) % len(TOUCHED)]
    one, other = [await started(tenancy, secret_box, tenant, before, touched) for _ in range(2)]

    executed = await executor.ask(executor.token(tenant.id), DOCUMENT, id=f"lead_{one}", to=after)
    scope = Scope(tenant.id, subject="tests", role=Role.OWNER)
    planned = await planner.answer(DOCUMENT, {"id": f"lead_{other}", "to": after}, None, scope)

    assert planned is not None, "left to the executor"
    assert json.loads(planned) == {"data": executed.ok}
    assert executed.ok["moved"]["lead"]["status"] == after
    assert await held(tenancy, tenant, other) == await held(tenancy, tenant, one)


LEFT = {
    "more than the status": ('updateLead(input: {id: "ID", status: WON, firstName: "Grace"})', Role.OWNER),
    "no status": ('updateLead(input: {id: "ID", firstName: "Grace"})', Role.OWNER),
    "a status of null": ('updateLead(input: {id: "ID", status: null})', Role.OWNER),
    "an id that is none": ('updateLead(input: {id: "ID?", status: WON})', Role.OWNER),
    "another mutation": ('pauseTouches(leadId: "ID")', Role.OWNER),
    "a visitor": ('updateLead(input: {id: "ID", status: WON})', Role.VISITOR),
}


@pytest.mark.parametrize("case", LEFT)
async def test_what_is_not_a_change_of_status_is_left_and_nothing_done(
    tenancy: Tenancy, secret_box: SecretBox, planner: Planner, tenant: MadeTenant, case: str
) -> None:
    lead_id = await started(tenancy, secret_box, tenant, "NEW")
    before = await held(tenancy, tenant, lead_id)
    asked, role = LEFT[case]
    document = f"mutation {{ {asked.replace('ID', f'lead_{lead_id}')} {{ lead {{ id }} }} }}"

    assert await planner.answer(document, {}, None, Scope(tenant.id, subject="tests", role=role)) is None
    assert await held(tenancy, tenant, lead_id) == before


async def test_several_mutations_are_left_to_the_executor_whole(
    tenancy: Tenancy, secret_box: SecretBox, planner: Planner, tenant: MadeTenant
) -> None:
    lead_id = await started(tenancy, secret_box, tenant, "NEW")
    one = f'updateLead(input: {{id: "lead_{lead_id}", status: WON}}) {{ lead {{ id }} }}'

    assert (
        await planner.answer(f"mutation {{ a: {one} b: {one} }}", {}, None, Scope(tenant.id, role=Role.OWNER)) is None
    )


async def test_a_lead_of_others_is_not_found_in_words(
    api: Api, ours: Franchise, theirs: Franchise, tenancy: Tenancy
) -> None:
    before = await held(tenancy, theirs.tenant, theirs.lead.id)

    answer = await api.ask(ours.owner, DOCUMENT, id=theirs.lead_id, to="WON")

    assert answer.ok["moved"] == {"__typename": "LeadPayload", "problems": [{"code": "NOT_FOUND"}], "lead": None}
    assert await held(tenancy, theirs.tenant, theirs.lead.id) == before


async def test_an_agent_of_another_location_moves_nothing(api: Api, ours: Franchise) -> None:
    elsewhere, here = ([ours.tenant.locations[number]] for number in (1, 0))

    refused = await api.ask(
        api.token(ours.tenant.id, Role.AGENT, location_ids=elsewhere), DOCUMENT, id=ours.lead_id, to="WON"
    )
    assert refused.ok["moved"]["problems"] == [{"code": "NOT_FOUND"}]
    allowed = await api.ask(
        api.token(ours.tenant.id, Role.AGENT, location_ids=here), DOCUMENT, id=ours.lead_id, to="HOT"
    )
    assert allowed.ok["moved"]["lead"]["status"] == "HOT"


async def test_a_commit_that_fails_is_masked_and_changes_nothing(
    api: Api, ours: Franchise, tenancy: Tenancy, failing_commit: AbstractAsyncContextManager[None]
) -> None:
    before = await held(tenancy, ours.tenant, ours.lead.id)

    async with failing_commit:
        answer = await api.ask(ours.owner, DOCUMENT, id=ours.lead_id, to="WON")

    assert (answer.data, answer.codes) == (None, ["INTERNAL"])
    assert "tripwire" not in json.dumps(answer.errors)
    assert await held(tenancy, ours.tenant, ours.lead.id) == before
    assert (await api.ask(ours.owner, DOCUMENT, id=ours.lead_id, to="WON")).ok["moved"]["lead"]["status"] == "WON"


async def test_a_change_waits_for_whoever_has_the_lead_and_goes_on_from_there(
    tenancy: Tenancy, secret_box: SecretBox, planner: Planner, tenant: MadeTenant
) -> None:
    lead_id = await started(tenancy, secret_box, tenant, "NEW")
    scope = Scope(tenant.id, subject="tests", role=Role.OWNER)

    async with tenancy.write(tenant.scope) as session:
        lead = await locked(session, lead_id)
        moving = asyncio.ensure_future(planner.answer(DOCUMENT, {"id": f"lead_{lead_id}", "to": "WON"}, None, scope))
        await wait_for_a_lock(tenancy, tenant)
        lead.status = LeadStatus.BOOKED
    await moving

    _, events, _ = await held(tenancy, tenant, lead_id)
    assert events[-1] == ("lead.status", {"from": "BOOKED", "to": "WON"})


async def wait_for_a_lock(tenancy: Tenancy, tenant: MadeTenant) -> None:
    async with asyncio.timeout(5), tenancy.read(tenant.scope) as session:
        while True:
            if await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                return
            await asyncio.sleep(0.01)
