"""Franchises as the platform's administrators see them."""

from __future__ import annotations

from functools import partial
from uuid import UUID

import strawberry

from lead_orchestrator.graphql.connections import Connection, Node
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.cursors import Key, cursor, page
from lead_orchestrator.graphql.operations import repository
from lead_orchestrator.graphql.operations.types import UNROUTED_ORDER, WebhookEvent, WebhookEventConnection
from lead_orchestrator.graphql.tenant_types import Tenant
from lead_orchestrator.ids import Kind

__all__ = ["TenantConnection", "administrators_node", "tenants", "unrouted_webhooks"]

TENANT_ORDER = "tenant.slug"


@strawberry.type
class TenantConnection(Connection[Tenant]):
    """By slug."""


async def tenants(info: Request, first: int | None, after: str | None, search: str | None) -> TenantConnection:
    wanted = page(first, after, TENANT_ORDER, (Kind.TENANT,), moments=False)
    async with info.context.services.tenancy.platform() as session:
        rows = await repository.tenants_page(session, search, wanted)
    found = ((cursor(TENANT_ORDER, Key(row.slug, row.id), Kind.TENANT), Tenant.of(row)) for row in rows)
    return TenantConnection.page(found, wanted.first, after, partial(_count_tenants, info, search))


async def _count_tenants(info: Request, search: str | None) -> int:
    async with info.context.services.tenancy.platform() as session:
        return await repository.count_tenants(session, search)


async def unrouted_webhooks(info: Request, first: int | None, after: str | None) -> WebhookEventConnection:
    order, kind = UNROUTED_ORDER, Kind.UNROUTED_WEBHOOK
    wanted = page(first, after, order, (kind,))
    async with info.context.services.tenancy.platform() as session:
        rows = await repository.unrouted_page(session, wanted)
    found = ((cursor(order, Key(row.received_at, row.id), kind), WebhookEvent.of_unrouted(row)) for row in rows)
    return WebhookEventConnection.page(found, wanted.first, after, partial(_count_unrouted, info))


async def _count_unrouted(info: Request) -> int:
    async with info.context.services.tenancy.platform() as session:
        return await repository.count_unrouted(session)


async def administrators_node(info: Request, kind: Kind, key: UUID) -> Node | None:
    """What an administrator of the platform finds by its id: a franchise, or a webhook that belongs to none."""
    async with info.context.services.tenancy.platform() as session:
        if kind is Kind.TENANT:
            found = await repository.tenant_by_id(session, key)
            return Tenant.of(found) if found else None
        if kind is Kind.UNROUTED_WEBHOOK:
            row = await repository.unrouted_by_id(session, key)
            return WebhookEvent.of_unrouted(row) if row else None
    return None
