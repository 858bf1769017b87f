"""All SQL about services and closures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, insert, or_, select, text
from sqlalchemy.orm import InstrumentedAttribute, aliased

from lead_orchestrator.catalog.models import Closure, Service
from lead_orchestrator.tenancy.models import CrmConfig, Location
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = [
    "add",
    "add_services",
    "closures_by_id",
    "closures_of",
    "crm_key",
    "last_order",
    "lock_catalog",
    "name_is_taken",
    "offered_at",
    "remove",
    "service",
    "services_by_id",
    "synced_services",
    "unset_durations",
]


async def offered_at(
    session: ReadSession, location_ids: Sequence[UUID], *, active_only: bool, of: Sequence[UUID] | None = None
) -> Mapping[UUID, list[Service]]:
    """What each of these locations sells, of the services `of` (None: of all): its own rows, and the tenant's where it has none
    of that name."""
    statement = (
        select(Location.id, Service)
        .join(Service, and_(Service.tenant_id == Location.tenant_id, _offered(Location.id)))
        .where(Location.tenant_id == session.scope.tenant_id, Location.id.in_(location_ids))
        .order_by(Service.display_order, Service.name, Service.id)
    )
    if active_only:
        statement = statement.where(Service.active)
    if of is not None:
        statement = statement.where(Service.id.in_(of))
    found: dict[UUID, list[Service]] = {location_id: [] for location_id in location_ids}
    for location_id, row in await session.execute(statement):
        found[location_id].append(row)
    return found


def _offered(location_id: InstrumentedAttribute[UUID]) -> ColumnElement[bool]:
    own = aliased(Service)
    replaced = exists().where(
        own.tenant_id == Service.tenant_id,
        own.location_id == location_id,
        func.lower(own.name) == func.lower(Service.name),
    )
    here = or_(Service.location_id == location_id, Service.location_id.is_(None))
    return and_(here, or_(Service.location_id.is_not(None), ~replaced))


async def service(session: ReadSession, service_id: UUID) -> Service | None:
    return (await services_by_id(session, [service_id])).get(service_id)


async def services_by_id(session: ReadSession, ids: Sequence[UUID]) -> Mapping[UUID, Service]:
    statement = select(Service).where(Service.tenant_id == session.scope.tenant_id, Service.id.in_(ids))
    return {row.id: row for row in await session.scalars(statement)}


async def name_is_taken(session: ReadSession, location_id: UUID | None, name: str, but: UUID | None) -> bool:
    """Whether another service of our own at this place (None: of the tenant) has this name."""
    place = Service.location_id.is_(None) if location_id is None else Service.location_id == location_id
    statement = select(Service.id).where(
        Service.tenant_id == session.scope.tenant_id,
        place,
        Service.shopmonkey_id.is_(None),
        func.lower(Service.name) == func.lower(name),
    )
    return any(found != but for found in await session.scalars(statement))


async def last_order(session: ReadSession, location_id: UUID | None) -> int:
    """The highest place in the display order there; -1 when nothing is there yet."""
    place = Service.location_id.is_(None) if location_id is None else Service.location_id == location_id
    statement = select(func.max(Service.display_order)).where(Service.tenant_id == session.scope.tenant_id, place)
    highest = await session.scalar(statement)
    return -1 if highest is None else int(highest)


async def lock_catalog(session: WriteSession) -> None:
    """Until the transaction ends nobody else adds to the tenant's catalog."""
    key = f"catalog:{session.scope.tenant_id}"
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


async def synced_services(session: ReadSession, location_id: UUID) -> Mapping[str, Service]:
    """The location's rows that come from ShopMonkey, by their id there."""
    statement = select(Service).where(
        Service.tenant_id == session.scope.tenant_id,
        Service.location_id == location_id,
        Service.shopmonkey_id.is_not(None),
    )
    return {str(row.shopmonkey_id): row for row in await session.scalars(statement)}


async def crm_key(session: ReadSession) -> bytes | None:
    """The tenant's sealed ShopMonkey key."""
    return await session.scalar(select(CrmConfig.api_key).where(CrmConfig.tenant_id == session.scope.tenant_id))


async def unset_durations(session: ReadSession) -> int:
    """How many services are sold whose duration is only their category's."""
    statement = select(func.count()).where(
        Service.tenant_id == session.scope.tenant_id, Service.active, ~Service.duration_is_set
    )
    return int(await session.scalar(statement) or 0)


async def closures_of(session: ReadSession, location_ids: Sequence[UUID]) -> Mapping[UUID, list[Closure]]:
    """The closures of each of these locations, the first one first."""
    statement = (
        select(Closure)
        .where(Closure.tenant_id == session.scope.tenant_id, Closure.location_id.in_(location_ids))
        .order_by(Closure.starts_at, Closure.id)
    )
    found: dict[UUID, list[Closure]] = {}
    for row in await session.scalars(statement):
        found.setdefault(row.location_id, []).append(row)
    return found


async def closures_by_id(session: ReadSession, ids: Sequence[UUID]) -> Mapping[UUID, Closure]:
    statement = select(Closure).where(Closure.tenant_id == session.scope.tenant_id, Closure.id.in_(ids))
    return {row.id: row for row in await session.scalars(statement)}


async def add_services(session: WriteSession, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert services of the tenant, all at once; each row has the same columns."""
    if rows:
        await session.execute(insert(Service), [{"tenant_id": session.scope.tenant_id, **row} for row in rows])


def add(session: WriteSession, row: Service | Closure) -> None:
    """Insert `row` with the session's next flush."""
    session.add(row)


async def remove(session: WriteSession, row: Closure) -> None:
    await session.delete(row)
