"""Events processed once more: those of a tenant's inbox, and those that came before their location was onboarded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.leads.ingestion import repository
from lead_orchestrator.leads.ingestion.models import EventSource, EventStatus, WebhookEvent
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.models import UnroutedWebhook
from lead_orchestrator.tenancy.sessions import Scope, Tenancy, WriteSession

__all__ = ["Replayed", "replay_event", "replay_unrouted", "replay_unrouted_event"]


@dataclass(frozen=True)
class Replayed:
    """`event_id` is the event in the tenant's inbox; None if it is there already."""

    row: UnroutedWebhook
    tenant_id: UUID
    event_id: UUID | None


async def replay_event(session: WriteSession, event_id: UUID) -> WebhookEvent:
    """Make an event wait again, with a line in the audit trail.

    Raises:
        NotFoundError: there is none in this scope.
        BadInputError: it waits already; a worker may be at it.
    """
    event = await repository.lock_event(session, event_id)
    if event is None:
        raise NotFoundError(f"there is no webhook event whk_{event_id}")
    if event.status == EventStatus.RECEIVED:
        raise BadInputError("this event waits already: it is processed within seconds", code="ALREADY_WAITING")
    session.audit("webhook.replayed", target=f"whk_{event_id}", detail={"was": event.status})
    await repository.reopen(session, event_id)
    return await repository.reread(session, event)


async def replay_unrouted_event(tenancy: Tenancy, key: UUID, *, actor: str) -> Replayed:
    """Store one kept event for the tenant that has claimed its location since.

    Raises:
        NotFoundError: there is no such event.
        BadInputError: nobody has claimed its location yet, or it was replayed before.
    """
    async with tenancy.platform() as platform:
        row = await tenancy_repository.unrouted_by_id(platform, key)
        if row is None:
            raise NotFoundError(f"there is no unrouted webhook uwh_{key}")
        if row.replayed_at is not None:
            raise BadInputError("this event was replayed before", code="ALREADY_REPLAYED")
        route = await tenancy_repository.location_route(platform, row.route_key)
    if route is None:
        message = f"no franchise has claimed ShopMonkey location {row.route_key!r}: onboard it first"
        raise BadInputError(message, code="STILL_UNROUTED")
    tenant_id, location_id = route
    event_id = await _store_one(tenancy, Scope.service(tenant_id, actor), row, location_id)
    async with tenancy.platform() as platform:
        await tenancy_repository.mark_replayed(platform, [row.id])
        kept = await tenancy_repository.unrouted_by_id(platform, key)
    return Replayed(kept or row, tenant_id, event_id)


async def _store_one(tenancy: Tenancy, scope: Scope, row: UnroutedWebhook, location_id: UUID) -> UUID | None:
    async with tenancy.write(scope) as session:
        session.audit("webhook.replayed", target=f"uwh_{row.id}")
        return await repository.store(session, _event(row, location_id))


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
    if not waiting:
        return 0
    stored = await _store(tenancy, scope, waiting, locations)
    async with tenancy.platform() as platform:
        await tenancy_repository.mark_replayed(platform, [row.id for row in waiting])
    return stored


async def _store(tenancy: Tenancy, scope: Scope, waiting: Sequence[UnroutedWebhook], locations: dict[str, UUID]) -> int:
    stored = 0
    async with tenancy.write(scope) as session:
        for row in waiting:
            stored += await repository.store(session, _event(row, locations[row.route_key])) is not None
    return stored


def _event(row: UnroutedWebhook, location_id: UUID) -> dict[str, object]:
    key = f"replay:{row.id}:{row.attempts}"
    return {
        "location_id": location_id,
        "source": EventSource.REPLAY,
        "delivery_id": key,
        "change_key": key,
        "operation": row.operation,
        "external_id": row.external_id,
        "external_location_id": row.route_key,
    }
