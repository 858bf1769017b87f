"""One operation is one transaction: parts of it can be undone alone, and it always ends."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from lead_orchestrator.db import Engines
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.app import GraphQLServices, create_graphql_app
from lead_orchestrator.graphql.context import Context
from lead_orchestrator.leads.models import Lead, LeadEvent
from lead_orchestrator.leads.service import Leads, locked
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import TokenVerifier
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api

_WAITS = "SELECT pg_advisory_xact_lock(7)"
_WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted"


@pytest.fixture
def services(api: Api, tenancy: Tenancy, secret_box: SecretBox) -> GraphQLServices:
    async def wake(_tenant: UUID) -> None: ...

    verifier = TokenVerifier([api.issuer.public_key_pem], "https://issuer.example.com", "lead-orchestrator")
    return GraphQLServices(tenancy, Leads(secret_box), Access(verifier, RevocationList()), wake)


async def rename(context: Context, lead_id: UUID, name: str) -> None:
    async with context.writing() as session:
        lead = await locked(session, lead_id)
        lead.first_name = name
        session.record(f"lead.{name}", location_id=lead.location_id, lead_id=lead.id)
        session.audit(f"lead.{name}")
        if name == "Broken":
            await session.flush()
            raise BadInputError("too late")


async def kept(tenancy: Tenancy, ours: Franchise) -> tuple[str | None, list[str], list[str]]:
    async with tenancy.read(ours.tenant.scope) as session:
        name = await session.scalar(select(Lead.first_name))
        events = list(await session.scalars(select(LeadEvent.kind).order_by(LeadEvent.position)))
        audits = list(
            await session.scalars(text("SELECT action FROM audit_log WHERE action LIKE 'lead.%' ORDER BY number"))
        )
    return name, events, audits


async def test_what_raised_is_undone_alone(services: GraphQLServices, tenancy: Tenancy, ours: Franchise) -> None:
    context = Context(services, f"Bearer {ours.owner}")

    await rename(context, ours.lead.id, "First")
    with pytest.raises(BadInputError):
        await rename(context, ours.lead.id, "Broken")
    await context.finish(commit=True)

    assert await kept(tenancy, ours) == ("First", ["lead.created", "lead.First"], ["lead.First"])


async def test_without_a_commit_nothing_stays(services: GraphQLServices, tenancy: Tenancy, ours: Franchise) -> None:
    context = Context(services, f"Bearer {ours.owner}")

    await rename(context, ours.lead.id, "First")
    await context.finish(commit=False)
    await context.finish(commit=True)

    assert await kept(tenancy, ours) == ("Ada", ["lead.created"], [])


async def test_who_comes_after_the_end_gets_no_session(services: GraphQLServices, ours: Franchise) -> None:
    context = Context(services, f"Bearer {ours.owner}")
    await context.finish(commit=True)

    with pytest.raises(RuntimeError, match="ended"):
        await rename(context, ours.lead.id, "Late")


async def test_a_query_cannot_write(services: GraphQLServices, ours: Franchise) -> None:
    context = Context(services, f"Bearer {ours.owner}")

    async def reads(session: Any) -> bool:
        return session is not None

    assert await context.run(reads)
    with pytest.raises(TypeError):
        await rename(context, ours.lead.id, "First")
    await context.finish(commit=False)


async def test_a_statement_that_nobody_waits_for_leaves_the_transaction_to_the_fields_that_follow(
    services: GraphQLServices, engines: Engines, tenancy: Tenancy, ours: Franchise
) -> None:
    context = Context(services, f"Bearer {ours.owner}")
    await rename(context, ours.lead.id, "First")

    async with engines.platform.connect() as holder:
        await holder.execute(text("SELECT pg_advisory_lock(7)"))
        asking = asyncio.create_task(context.run(lambda session: session.execute(text(_WAITS))))
        async with asyncio.timeout(60):
            while not await holder.scalar(text(_WAITING)):  # noqa: ASYNC110 - a lock rings no bell
                await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await holder.execute(text("SELECT pg_advisory_unlock(7)"))

    await rename(context, ours.lead.id, "Second")
    await context.finish(commit=True)
    assert (await kept(tenancy, ours))[0] == "Second"


async def test_a_cancelled_request_gives_its_connection_back(
    services: GraphQLServices, engines: Engines, ours: Franchise
) -> None:
    app = create_graphql_app(services)
    document = (
        'mutation($l: ID!) { updateLead(input: {id: $l, firstName: "Cut"}) { lead { timeline { totalCount } } } }'
    )
    body = json.dumps({"query": document, "variables": {"l": ours.lead_id}}).encode()
    headers = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {ours.owner}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "headers": headers}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(_message: Any) -> None: ...

    for number in range(40):
        with suppress(TimeoutError):
            await asyncio.wait_for(app(dict(scope), receive, send), timeout=0.0005 * number)

    assert engines.app.pool.checkedout() == 0  # type: ignore[attr-defined]  # a queue's own
    async with engines.platform.connect() as connection:
        statement = (
            "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in t%' AND datname = current_database()"
        )
        assert await connection.scalar(text(statement)) == 0
