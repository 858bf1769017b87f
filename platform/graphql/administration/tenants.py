"""A franchise as a whole: on or off, live or not, how much it may use, and who looks into it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import strawberry

from lead_orchestrator.administration.service import Administration
from lead_orchestrator.errors import AppError, UnavailableError
from lead_orchestrator.graphql.administration.types import ImpersonationPayload, TenantPayload
from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.tenant_types import Tenant
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.tenancy import models

__all__ = ["TenantMutations", "administration", "answered"]

Work = Callable[[Administration, UUID, str], Awaitable[models.Tenant]]


@strawberry.type
class TenantMutations:
    @strawberry.mutation
    async def suspend_tenant(self, info: Request, tenant_id: strawberry.ID, reason: str) -> TenantPayload:
        """Stop a franchise within a second; what comes in is kept, and what was due waits for `reinstateTenant`."""
        return await answered(info, tenant_id, lambda all_, key, who: all_.tenants.suspend(key, reason, actor=who))

    @strawberry.mutation
    async def reinstate_tenant(self, info: Request, tenant_id: strawberry.ID) -> TenantPayload:
        return await answered(info, tenant_id, lambda all_, key, who: all_.tenants.reinstate(key, actor=who))

    @strawberry.mutation
    async def set_demo_mode(
        self,
        info: Request,
        tenant_id: strawberry.ID,
        enabled: bool,
        allowlist: list[str] | None = None,
        force: bool | None = False,
        reason: str | None = None,
    ) -> TenantPayload:
        """With `enabled` false the franchise goes live: refused (NOT_READY) while a required check of `readiness` fails, unless
        `force`d with a reason. Leads that came before get nothing."""

        def work(all_: Administration, key: UUID, who: str) -> Awaitable[models.Tenant]:
            given = {"enabled": enabled, "allowlist": allowlist, "force": bool(force), "reason": reason}
            return all_.tenants.set_demo_mode(key, actor=who, **given)  # type: ignore[arg-type]  # as they are named there

        return await answered(info, tenant_id, work)

    @strawberry.mutation
    async def set_tenant_limits(
        self,
        info: Request,
        tenant_id: strawberry.ID,
        assistant_token_budget: int | None = strawberry.UNSET,
        requests_per_minute: int | None = strawberry.UNSET,
        messages_per_day: int | None = strawberry.UNSET,
        webhook_retention_days: int | None = strawberry.UNSET,
        conversation_retention_days: int | None = strawberry.UNSET,
    ) -> TenantPayload:
        """What is left out stays; null is the limit that all franchises have. The assistant's budget is a month's. Bodies of
        webhooks are kept for 14 days, and conversations for good, unless told."""
        given = {
            "assistant_token_budget": assistant_token_budget,
            "requests_per_minute": requests_per_minute,
            "messages_per_day": messages_per_day,
            "webhook_retention_days": webhook_retention_days,
            "conversation_retention_days": conversation_retention_days,
        }
        limits = {name: value for name, value in given.items() if value is not strawberry.UNSET}
        return await answered(info, tenant_id, lambda all_, key, who: all_.tenants.set_limits(key, limits, actor=who))

    @strawberry.mutation
    async def impersonate_tenant(
        self,
        info: Request,
        tenant_id: strawberry.ID,
        reason: str,
        minutes: int | None = 30,
        changes: bool | None = False,
    ) -> ImpersonationPayload:
        """A token that sees the franchise as its owner does; it only reads unless `changes` is granted. The franchise finds
        who asked for it, why and for how long in its audit log."""
        try:
            key = decode(Kind.TENANT, tenant_id, field="tenantId")
            support, claims = administration(info).support, info.context.claims
            wished = 30 if minutes is None else minutes
            made = await support.impersonate(claims, key, reason, wished, changes=bool(changes))
        except AppError as error:
            return ImpersonationPayload(token=None, expires_at=None, errors=[UserError.of(error)])
        return ImpersonationPayload(token=made.token, expires_at=made.expires_at, errors=[])


def administration(info: Request) -> Administration:
    """Raises UnavailableError: this process does not administer."""
    found = info.context.services.administration
    if found is None:
        raise UnavailableError("franchises are not administered here")
    return found


async def answered(info: Request, tenant_id: str, work: Work) -> TenantPayload:
    """What `work` made of the franchise with this id, or why nothing."""
    try:
        key = decode(Kind.TENANT, tenant_id, field="tenantId")
        tenant = await work(administration(info), key, info.context.claims.subject)
    except AppError as error:
        return TenantPayload(tenant=None, errors=[UserError.of(error)])
    return TenantPayload(tenant=Tenant.of(tenant), errors=[])
