"""What administrators are answered."""

from __future__ import annotations

from datetime import datetime

import strawberry

from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.tenant_types import Tenant

__all__ = ["ImpersonationPayload", "TenantPayload"]


@strawberry.type
class TenantPayload:
    tenant: Tenant | None
    errors: list[UserError]


@strawberry.type
class ImpersonationPayload:
    """`token` is an owner's of the franchise; it carries who acts with it."""

    token: str | None
    expires_at: datetime | None
    errors: list[UserError]
