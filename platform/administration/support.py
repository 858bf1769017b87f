"""Support: an administrator sees a franchise as its owner does, for a while, and the franchise is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from lead_orchestrator.administration import repository
from lead_orchestrator.administration.tenants import checked_reason
from lead_orchestrator.clock import real_now
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Claims, Role, TokenIssuer

__all__ = ["Impersonation", "Support"]

LONGEST_MINUTES = 60


@dataclass(frozen=True)
class Impersonation:
    """`token` is an owner's of the franchise, with the administrator as its actor."""

    token: str
    expires_at: datetime


class Support:
    """Hands out tokens of franchises to the platform's administrators."""

    def __init__(self, tenancy: Tenancy, issuer: TokenIssuer) -> None:
        self._tenancy = tenancy
        self._issuer = issuer

    async def impersonate(
        self, claims: Claims, tenant_id: UUID, reason: str, minutes: int, *, changes: bool
    ) -> Impersonation:
        """A token for `minutes`, which only reads unless `changes` is granted; announced in the franchise's audit trail before
        anybody holds it. It ends with the administrator's own session, and with the franchise's suspension.

        Raises:
            NotFoundError: there is no such franchise.
            BadInputError: there is no reason, the time is out of range, or the franchise is suspended.
        """
        why = checked_reason(reason)
        if not 1 <= minutes <= LONGEST_MINUTES:
            raise BadInputError(f"minutes is {minutes}: from 1 to {LONGEST_MINUTES}", field=("minutes",))
        lifetime = timedelta(minutes=minutes)
        async with self._tenancy.platform() as session:
            tenant = await repository.lock_tenant(session, tenant_id)
            if tenant is None:
                raise NotFoundError(f"there is no franchise {encode(Kind.TENANT, tenant_id)}", field=("tenantId",))
            if tenant.status != "ACTIVE":
                raise BadInputError("the franchise is suspended: reinstate it first", code="TENANT_SUSPENDED")
            expires_at = await real_now(session) + lifetime
            detail = {"reason": why, "minutes": minutes, "changes": changes}
            target = encode(Kind.TENANT, tenant_id)
            await session.audit(tenant_id, "support.entered", actor=claims.subject, target=target, detail=detail)
        token = self._issuer.issue(
            subject=claims.subject,
            role=Role.OWNER,
            tenant_id=tenant_id,
            location_ids=None,
            session_id=claims.session_id,
            generation=claims.generation,
            lifetime=lifetime,
            actor=claims.subject,
            read_only=not changes,
        )
        return Impersonation(token, expires_at)
