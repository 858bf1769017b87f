"""The lists are answered by one planned statement each, as the ordinary executor would answer them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import event

from lead_orchestrator.db import Engines
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.factories import make_lead
from tests.graphql.conftest import Franchise, open_api
from tests.graphql.operations.rows import make_event, make_inbound, make_job, make_message, make_user
from tests.graphql.planner.world import canonical
from tests.graphql.server import Api

PAGE = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount __typename"
MESSAGE = (
    "id kind channel direction status body subject touchNumber dueAt sentAt deliveredAt decision attempts lead { id }"
)
EVENT = "id source externalId externalLocationId status receivedAt processedAt outcome error attempts"
LISTS = [
    ("messages", "", MESSAGE),
    ("messages", 'filter: {kind: [INBOUND], status: [RECEIVED, SENT], channel: [SMS], from: "2026-01-01T00:00:00Z"}', MESSAGE),
    ("messages", 'filter: {to: "2026-03-01T12:00:01Z"}', MESSAGE),
    ("webhookEvents", "", EVENT),
    ("webhookEvents", "status: FAILED", EVENT),
    ("jobExecutions", 'job: "poll_tenant"', "id job startedAt finishedAt status processed error"),
    ("jobExecutions", "", "__typename id"),
    ("auditLog", "", "id at actor action target detail"),
    ("users", "", "id email name role active locations { id name }"),
    ("leads", 'filter: {search: "exa"}', "id name"),
    ("leads", 'filter: {search: "555 01"}', "id name phone"),
]  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def plain(tenancy: Tenancy, secret_box: SecretBox) -> AsyncIterator[Api]:
    """The same API without the planner."""
    async with open_api(tenancy, secret_box, None, development=False) as api:
        yield api


async def filled(tenancy: Tenancy, secret_box: SecretBox, franchise: Franchise) -> None:
    other = await make_lead(tenancy, secret_box, franchise.tenant, location=franchise.tenant.locations[1])
    for lead in (franchise.lead, other):
        await make_message(tenancy, franchise.tenant, lead, subject="Hello")
        await make_inbound(tenancy, franchise.tenant, lead)
        await make_event(tenancy, franchise.tenant, location_id=lead.location_id)
    await make_event(tenancy, franchise.tenant, "IGNORED", outcome="not a lead")
    for job in ("poll_tenant", "dispatch_tenant", "poll_tenant"):
        await make_job(tenancy, franchise.tenant, job)
    await make_user(tenancy, franchise.tenant, "b@example.com", location_ids=[franchise.tenant.location])
    await make_user(tenancy, franchise.tenant, "a@example.com", "OWNER", name="Ada")


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize(("field", "arguments", "node"), LISTS)
async def test_a_planned_list_is_the_executor_s(
    api: Api,
    plain: Api,
    engines: Engines,
    tenancy: Tenancy,
    secret_box: SecretBox,
    ours: Franchise,
    field: str,
    arguments: str,
    node: str,
    *,
    limited: bool,
) -> None:
    await filled(tenancy, secret_box, ours)
    places = [ours.tenant.location] if limited else None
    document = (
        f"query($after: String) {{ it: {field}(first: 2, after: $after {', ' + arguments if arguments else ''})"
        f" {{ edges {{ cursor node {{ {node} }} }} {PAGE} }} }}"
    )
    after: Any = None

    for _ in range(2):
        statements, planned = await counted(
            api, engines, api.token(ours.tenant.id, Role.OWNER, location_ids=places), document, after
        )
        executed = await plain.ask(plain.token(ours.tenant.id, Role.OWNER, location_ids=places), document, after=after)
        assert canonical({"data": planned.ok}) == canonical({"data": executed.ok})
        assert planned.data["it"]["totalCount"] > 0
        assert statements == 0  # of the executor's connections
        after = planned.data["it"]["pageInfo"]["endCursor"]


async def counted(api: Api, engines: Engines, token: str, document: str, after: str | None) -> tuple[int, Any]:
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engines.app.sync_engine, "before_cursor_execute", note)
    try:
        answer = await api.ask(token, document, after=after)
    finally:
        event.remove(engines.app.sync_engine, "before_cursor_execute", note)
    return len(statements), answer
