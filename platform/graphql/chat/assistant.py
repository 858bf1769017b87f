"""What a franchise sets about its assistant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import strawberry

from lead_orchestrator.chat.assistant.setup import Change, change
from lead_orchestrator.errors import AppError, BadInputError, NotFoundError
from lead_orchestrator.graphql.administration.types import TenantPayload
from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.operations.repository import tenant_by_id
from lead_orchestrator.graphql.tenant_types import Tenant
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.sessions import Scope, WriteSession
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["AssistantMutations"]


@strawberry.input
class AssistantInput:
    """`tenantId` is for administrators, who belong to no franchise. What is left out stays; an empty `model` is the
    installation's, empty `instructions` are none. `debounceSeconds`: from 0 to 30. `leadTokensPerDay`: what one customer may use on a
    day."""

    tenant_id: strawberry.ID | None = None
    enabled: bool | None = None
    model: str | None = None
    instructions: str | None = None
    debounce_seconds: float | None = None
    lead_tokens_per_day: int | None = None

    def change(self) -> Change:
        return Change(self.enabled, self.model, self.instructions, self.debounce_seconds, self.lead_tokens_per_day)


@strawberry.type
class AssistantMutations:
    @strawberry.mutation
    async def set_assistant(self, info: Request, input: AssistantInput) -> TenantPayload:  # noqa: A002 - the contract's name
        """Switch the assistant on or off, choose its model, put a new version of its instructions in force, say how long it waits
        out a burst of messages and what one customer may use on a day."""
        try:
            async with _writing(info, _named(info, input.tenant_id)) as session:
                await change(session, input.change())
                tenant = await tenancy_repository.tenant(session)
        except AppError as error:
            return TenantPayload(tenant=None, errors=[UserError.of(error)])
        return TenantPayload(tenant=Tenant.of(tenant), errors=[])


def _named(info: Request, tenant_id: str | None) -> UUID:
    """The franchise that is meant: staff has one, and finds no other."""
    own = info.context.claims.tenant_id
    if tenant_id is None and own is None:
        raise BadInputError("tenantId is missing: name the franchise", field=("tenantId",))
    named = decode(Kind.TENANT, tenant_id, field="tenantId") if tenant_id is not None else own
    if named is None or (own is not None and named != own):
        raise NotFoundError(f"there is no franchise {tenant_id}", field=("tenantId",))
    return named


@asynccontextmanager
async def _writing(info: Request, tenant_id: UUID) -> AsyncIterator[WriteSession]:
    """The caller's own session, an administrator's in the name of the franchise's service."""
    if info.context.claims.role is not Role.PLATFORM_ADMIN:
        async with info.context.writing() as session:
            yield session
        return
    tenancy = info.context.services.tenancy
    async with tenancy.platform() as platform:
        if await tenant_by_id(platform, tenant_id) is None:
            raise NotFoundError(f"there is no franchise tenant_{tenant_id}", field=("tenantId",))
    async with tenancy.write(Scope.service(tenant_id, info.context.claims.subject)) as session:
        yield session
