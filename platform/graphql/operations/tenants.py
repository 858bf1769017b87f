"""Franchises as the platform's administrators see them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from uuid import UUID

import strawberry

from lead_orchestrator.graphql.connections import Node, PageInfo, page_info
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.cursors import Key, Page, cursor, page
from lead_orchestrator.graphql.operations import repository
from lead_orchestrator.graphql.operations.types import UNROUTED_ORDER, WebhookEvent, WebhookEventConnection
from lead_orchestrator.graphql.tenant_types import Tenant
from lead_orchestrator.ids import Kind
from lead_orchestrator.tenancy import models

__all__ = ["TenantConnection", "administrators_node", "tenants", "unrouted_webhooks"]

TENANT_ORDER = "tenant.slug"


@strawberry.type
class TenantEdge:
    cursor: str
    node: Tenant


@strawberry.type
class TenantConnection:
    """By slug."""

    edges: list[TenantEdge]
    page_info: PageInfo
    search: strawberry.Private[str | None]

    @classmethod
    def of(
        cls, rows: Sequence[models.Tenant], wanted: Page, *, after: str | None, search: str | None
    ) -> TenantConnection:
        shown = rows[: wanted.first]
        cursors = [cursor(TENANT_ORDER, Key(row.slug, row.id), Kind.TENANT) for row in shown]
        edges = [TenantEdge(cursor=at, node=Tenant.of(row)) for at, row in zip(cursors, shown, strict=True)]
        return cls(edges=edges, page_info=page_info(cursors, more=len(rows) > wanted.first, after=after), search=search)

    @strawberry.field
    async def total_count(self, info: Request) -> int:
        async with info.context.services.tenancy.platform() as session:
            return await repository.count_tenants(session, self.search)


async def tenants(info: Request, first: int | None, after: str | None, search: str | None) -> TenantConnection:
    wanted = page(first, after, TENANT_ORDER, (Kind.TENANT,), moments=False)
    async with info.context.services.tenancy.platform() as session:
        rows = await repository.tenants_page(session, search, wanted)
    return TenantConnection.of(rows, wanted, after=after, search=search)


async def unrouted_webhooks(info: Request, first: int | None, after: str | None) -> WebhookEventConnection:
    wanted = page(first, after, UNROUTED_ORDER, (Kind.UNROUTED_WEBHOOK,))
    async with info.context.services.tenancy.platform() as session:
        rows = await repository.unrouted_page(session, wanted)
    return WebhookEventConnection.of_unrouted(rows, wanted, after=after, count=partial(_count_unrouted, info))


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
