"""Events that came before their location was onboarded, put into the inbox of the tenant that now has it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from lead_orchestrator.leads.ingestion import repository
from lead_orchestrator.leads.ingestion.models import EventSource
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.models import UnroutedWebhook
from lead_orchestrator.tenancy.sessions import Scope, Tenancy

__all__ = ["replay_unrouted"]


async def replay_unrouted(tenancy: Tenancy, tenant_id: UUID) -> int:
    """Store what was kept for this tenant's ShopMonkey locations; returns how many events are new.

    Nothing of them was verified, so they are hints like any other: the order is fetched with the tenant's key.
    """
    scope = Scope.service(tenant_id, "replay")
    async with tenancy.read(scope) as session:
        locations = {
            place.shopmonkey_location_id or "": place.id for place in await repository.shopmonkey_locations(session)
        }
    async with tenancy.platform() as platform:
        waiting = await tenancy_repository.unrouted(platform, list(locations))
    stored = await _store(tenancy, scope, waiting, locations)
    async with tenancy.platform() as platform:
        await tenancy_repository.mark_replayed(platform, [row.id for row in waiting])
    return stored


async def _store(tenancy: Tenancy, scope: Scope, waiting: Sequence[UnroutedWebhook], locations: dict[str, UUID]) -> int:
    stored = 0
    async with tenancy.write(scope) as session:
        for row in waiting:
            key = f"replay:{row.id}:{row.attempts}"
            event = {
                "location_id": locations[row.route_key],
                "source": EventSource.REPLAY,
                "delivery_id": key,
                "change_key": key,
                "operation": row.operation,
                "external_id": row.external_id,
                "external_location_id": row.route_key,
            }
            stored += await repository.store(session, event) is not None
    return stored
