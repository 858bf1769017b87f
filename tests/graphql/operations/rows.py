"""Rows of operations as a test needs them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from lead_orchestrator.jobs.models import JobExecution
from lead_orchestrator.leads.ingestion.models import WebhookEvent
from lead_orchestrator.leads.models import Lead, ScheduledMessage
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.tenancy.models import User
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.factories import MadeTenant
from tests.graphql.server import Api

__all__ = ["NOON", "all_pages", "make_event", "make_inbound", "make_job", "make_message", "make_unrouted", "make_user"]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def all_pages(api: Api, token: str, field: str, arguments: str = "", *, first: int = 2) -> list[str]:
    """The ids of a whole list, page by page."""
    document = (
        f"query($first: Int, $after: String) {{ list: {field}(first: $first, after: $after{arguments})"
        " { edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }"
    )
    seen: list[str] = []
    after, more, total = None, True, 0
    while more:
        found = (await api.ask(token, document, first=first, after=after)).ok["list"]
        info, edges = found["pageInfo"], found["edges"]
        assert info["hasPreviousPage"] is (after is not None)
        assert len(edges) <= first
        if edges:
            assert (info["startCursor"], info["endCursor"]) == (edges[0]["cursor"], edges[-1]["cursor"])
        seen += [edge["node"]["id"] for edge in edges]
        after, more = info["endCursor"], info["hasNextPage"]
        total = found["totalCount"]
    assert total == len(seen) == len(set(seen))
    return seen


async def make_message(tenancy: Tenancy, tenant: MadeTenant, lead: Lead, **fields: Any) -> str:
    """The id of a message that is or was to be sent."""
    values: dict[str, Any] = {"kind": "AD_HOC", "channel": "SMS", "body": "Hello", "status": "SENT", **fields}
    values = {"due_at": NOON, "created_at": NOON, **values}
    async with tenancy.write(tenant.scope) as session:
        row = ScheduledMessage(tenant_id=tenant.id, location_id=lead.location_id, lead_id=lead.id, **values)
        session.add(row)
        await session.flush()
        return f"msg_{row.id}"


async def make_inbound(tenancy: Tenancy, tenant: MadeTenant, lead: Lead, **fields: Any) -> str:
    """The id of a message that came in."""
    values = {"channel": "SMS", "body": "Hi", "at": NOON, **fields}
    async with tenancy.write(tenant.scope) as session:
        row = MessageLog(
            tenant_id=tenant.id,
            location_id=lead.location_id,
            lead_id=lead.id,
            attempt=1,
            direction="INBOUND",
            address=lead.phone,
            sender="+12135550100",
            status="RECEIVED",
            **values,
        )
        session.add(row)
        await session.flush()
        return f"log_{row.id}"


async def make_event(tenancy: Tenancy, tenant: MadeTenant, status: str = "FAILED", **fields: Any) -> str:
    """The id of a webhook event of the tenant's first location unless told otherwise."""
    key = uuid4().hex
    values = {"location_id": tenant.location, "received_at": NOON, "attempts": 3, "error": "it broke", **fields}
    async with tenancy.write(tenant.scope) as session:
        row = WebhookEvent(
            tenant_id=tenant.id,
            source="shopmonkey",
            delivery_id=key,
            change_key=key,
            operation="update",
            external_id=f"order-{key}",
            external_location_id=tenant.shopmonkey_locations[0],
            status=status,
            **values,
        )
        session.add(row)
        await session.flush()
        return f"whk_{row.id}"


async def make_job(tenancy: Tenancy, tenant: MadeTenant, job: str = "poll_tenant", **fields: Any) -> str:
    values = {"started_at": NOON, "status": "OK", "processed": 1, **fields}
    async with tenancy.write(tenant.scope) as session:
        row = JobExecution(tenant_id=tenant.id, job=job, **values)
        session.add(row)
        await session.flush()
        return f"job_{row.id}"


async def make_user(tenancy: Tenancy, tenant: MadeTenant, email: str, role: str = "AGENT", **fields: Any) -> str:
    async with tenancy.write(tenant.scope) as session:
        row = User(tenant_id=tenant.id, email=email, role=role, **fields)
        session.add(row)
        await session.flush()
        return f"user_{row.id}"


async def make_unrouted(tenancy: Tenancy, route_key: str, *, age: timedelta = timedelta(0)) -> str:
    """The id of an event that came for a ShopMonkey location of nobody's."""
    statement = text("SELECT record_unrouted('shopmonkey', :route, :order, 'update')")
    async with tenancy.engines.app.begin() as connection:
        assert await connection.scalar(statement, {"route": route_key, "order": f"order-{uuid4().hex}"})
    async with tenancy.platform() as session:
        found = text(
            "UPDATE unrouted_webhooks SET received_at = received_at - cast(:age AS interval) WHERE route_key = :route RETURNING id"
        )
        key: UUID = (await session.execute(found, {"route": route_key, "age": age})).scalar_one()
    return f"uwh_{key}"
