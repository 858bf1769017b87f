"""A franchise as a whole: on or off, live or not, and how much it may use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy import func

from lead_orchestrator.administration import repository
from lead_orchestrator.administration.readiness import readiness
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.models import Tenant
from lead_orchestrator.tenancy.sessions import PlatformSession, Scope, Tenancy

__all__ = ["MOST_ALLOWED", "Tenants", "checked_reason"]

LONGEST_REASON = 500
MOST_ALLOWED, LONGEST_ENTRY = 200, 200


class Tenants:
    """Changes franchises; each change is a line in the franchise's own audit trail."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    async def suspend(self, tenant_id: UUID, reason: str, *, actor: str) -> Tenant:
        """Stop everything within a second: its tokens and sockets end, nothing is sent, polled or written elsewhere. What
        comes in is kept, and what was due waits. Doing it twice is doing it once.

        Raises:
            NotFoundError: there is no such franchise.
            BadInputError: there is no reason.
        """
        why = checked_reason(reason)
        return await self._set_status(tenant_id, "SUSPENDED", "tenant.suspended", {"reason": why}, actor)

    async def reinstate(self, tenant_id: UUID, *, actor: str) -> Tenant:
        """Let it work again, on what has waited first. Doing it twice is doing it once.

        Raises:
            NotFoundError: there is no such franchise.
        """
        return await self._set_status(tenant_id, "ACTIVE", "tenant.reinstated", None, actor)

    async def set_demo_mode(
        self,
        tenant_id: UUID,
        *,
        enabled: bool,
        allowlist: Sequence[str] | None = None,
        force: bool = False,
        reason: str | None = None,
        actor: str,
    ) -> Tenant:
        """Contact the allow-list only, or (`enabled` false: the franchise goes live) everybody who writes from now on. Leads
        that came before stay as they are: their touches ended when they were suppressed.

        Raises:
            NotFoundError: there is no such franchise.
            BadInputError: the list cannot be used, or a required check fails (NOT_READY) and it is not forced with a reason.
        """
        entries = _checked_allowlist(allowlist) if allowlist is not None else None
        missing = [] if enabled else await self._missing(tenant_id)
        if missing and not force:
            named = "; ".join(missing)
            message = f"the franchise is not ready: {named}. See to it, or force it with a reason"
            raise BadInputError(message, code="NOT_READY", field=("enabled",))
        why = checked_reason(reason or "") if missing else None
        async with self._locked(tenant_id) as (session, tenant):
            values: dict[str, object] = {"demo_mode": enabled}
            if entries is not None:
                values["demo_allowlist"] = entries
            changed = [name for name, value in values.items() if getattr(tenant, name) != value]
            if changed:
                await repository.change_tenant(session, tenant, values)
                action = "tenant.changed" if "demo_mode" not in changed else f"tenant.{'demo' if enabled else 'live'}"
                forced = {"reason": why, "missing": len(missing)} if missing else {}
                detail = {"fields": sorted(changed), **forced}
                await session.audit(tenant.id, action, actor=actor, target=_named(tenant), detail=detail)
        return tenant

    async def set_limits(self, tenant_id: UUID, limits: Mapping[str, int | None], *, actor: str) -> Tenant:
        """Set the limits that are named: `assistant_token_budget` (a month), `requests_per_minute`, `messages_per_day`, and
        `webhook_retention_days` and `conversation_retention_days`; None gives the limit of all franchises back.

        Raises:
            NotFoundError: there is no such franchise.
            BadInputError: a limit is out of range.
        """
        for name, value in limits.items():
            _check_limit(name, value)
        async with self._locked(tenant_id) as (session, tenant):
            changed = [name for name, value in limits.items() if getattr(tenant, name) != value]
            if changed:
                await repository.change_tenant(session, tenant, dict(limits))
                detail = {"fields": sorted(changed)}
                await session.audit(
                    tenant.id, "tenant.limits_changed", actor=actor, target=_named(tenant), detail=detail
                )
        return tenant

    async def requests_per_minute(self, tenant_id: UUID) -> int | None:
        """The franchise's own limit, if it has one."""
        async with self._tenancy.read(Scope.service(tenant_id, "limits")) as session:
            return (await tenancy_repository.tenant(session)).requests_per_minute

    async def _missing(self, tenant_id: UUID) -> Sequence[str]:
        async with self._tenancy.read(Scope.service(tenant_id, "readiness")) as session:
            checks = await readiness(session, demo_mode=True)
        return [f"{check.name} ({check.detail})" for check in checks if check.required and not check.ok]

    async def _set_status(
        self, tenant_id: UUID, status: str, action: str, detail: Mapping[str, object] | None, actor: str
    ) -> Tenant:
        async with self._locked(tenant_id) as (session, tenant):
            if tenant.status != status:
                changed = {"status": status, "status_changed_at": func.clock_timestamp()}
                await repository.change_tenant(session, tenant, changed)
                await session.audit(tenant.id, action, actor=actor, target=_named(tenant), detail=detail)
        return tenant

    @asynccontextmanager
    async def _locked(self, tenant_id: UUID) -> AsyncIterator[tuple[PlatformSession, Tenant]]:
        async with self._tenancy.platform() as session:
            tenant = await repository.lock_tenant(session, tenant_id)
            if tenant is None:
                raise NotFoundError(f"there is no franchise {encode(Kind.TENANT, tenant_id)}", field=("tenantId",))
            yield session, tenant


def checked_reason(reason: str) -> str:
    """Raises BadInputError: it is empty, or too long."""
    words = reason.strip()
    if not words or len(words) > LONGEST_REASON:
        message = (
            f"reason has {len(words)} characters: say in {LONGEST_REASON} at most why, for the franchise's audit log"
        )
        raise BadInputError(message, code="REASON_MISSING" if not words else None, field=("reason",))
    return words


def _checked_allowlist(entries: Sequence[str]) -> list[str]:
    read = [entry.strip().lower() for entry in entries]
    wrong = next((entry for entry in read if not entry or len(entry) > LONGEST_ENTRY), None)
    if wrong is not None or len(read) > MOST_ALLOWED:
        message = (
            f"allowlist takes {MOST_ALLOWED} numbers or addresses of {LONGEST_ENTRY} characters at most, none empty"
        )
        raise BadInputError(message, field=("allowlist",))
    return read


_HIGHEST = 2**31 - 1
_RANGES = {
    "assistant_token_budget": (0, _HIGHEST, "assistantTokenBudget"),
    "requests_per_minute": (1, _HIGHEST, "requestsPerMinute"),
    "messages_per_day": (0, _HIGHEST, "messagesPerDay"),
    "webhook_retention_days": (1, 365, "webhookRetentionDays"),
    "conversation_retention_days": (1, 3_650, "conversationRetentionDays"),
}


def _check_limit(name: str, value: int | None) -> None:
    least, most, called = _RANGES[name]
    if value is not None and not least <= value <= most:
        message = f"{called} is {value}: from {least} to {most}, or null for the limit of all franchises"
        raise BadInputError(message, field=(called,))


def _named(tenant: Tenant) -> str:
    return encode(Kind.TENANT, tenant.id)
