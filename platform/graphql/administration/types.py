"""What administrators are answered."""

from __future__ import annotations

from datetime import datetime

import strawberry

from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.tenant_types import Tenant

__all__ = ["ImpersonationPayload", "OnboardTenantPayload", "TenantPayload"]


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


@strawberry.type
class OnboardTenantPayload:
    """`webhookUrl` and `webhookSecret` go into ShopMonkey's webhook, `ownerInviteUrl` to the owner, who is mailed it as well. The
    secret is shown where it was made here and until the onboarding has ended once."""

    tenant: Tenant | None = None
    owner_invite_url: str | None = None
    webhook_url: str | None = None
    webhook_secret: str | None = None
    errors: list[UserError]
