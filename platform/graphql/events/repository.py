"""All SQL of live events."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, literal, select, text

from lead_orchestrator.leads.models import Lead, LeadEvent
from lead_orchestrator.tenancy.sessions import ReadSession

__all__ = ["Place", "Wanted", "events_between", "head", "places_after"]


@dataclass(frozen=True)
class Place:
    """Where an event stands, without what happened."""

    position: int
    location_id: UUID
    kind: str


@dataclass(frozen=True)
class Wanted:
    """Which events: of these locations (None: all the session sees), of kinds that begin with `prefix`."""

    location_ids: Collection[UUID] | None = None
    prefix: str = ""

    def wants(self, place: Place) -> bool:
        return (self.location_ids is None or place.location_id in self.location_ids) and place.kind.startswith(
            self.prefix
        )


async def head(session: ReadSession) -> int:
    """The newest position of the session's tenant; whatever commits later has a higher one."""
    statement = text("SELECT position FROM tenant_heads WHERE tenant_id = :tenant")
    return int(await session.scalar(statement, {"tenant": session.scope.tenant_id}) or 0)


async def places_after(session: ReadSession, position: int, limit: int) -> Sequence[Place]:
    """The first `limit` events after `position`. Positions are given away in the order of commits: none is missing below."""
    event = LeadEvent
    statement = (
        select(event.position, event.location_id, event.kind)
        .where(event.tenant_id == session.scope.tenant_id, event.position > _big(position))
        .order_by(event.position)
        .limit(limit)
    )
    return [Place(*row) for row in await session.execute(statement)]


async def events_between(
    session: ReadSession, wanted: Wanted, after: int, until: int, limit: int
) -> Sequence[tuple[LeadEvent, Lead]]:
    """The first `limit` events above `after` and up to `until` that the session sees, with their leads as they are now."""
    event = LeadEvent
    terms = [event.tenant_id == session.scope.tenant_id, event.position > _big(after), event.position <= _big(until)]
    if wanted.location_ids is not None:
        terms.append(event.location_id.in_(wanted.location_ids))
    if wanted.prefix:
        terms.append(event.kind.startswith(wanted.prefix, autoescape=True))
    same = (Lead.tenant_id == event.tenant_id) & (Lead.id == event.lead_id)
    rows = select(event, Lead).join(Lead, same).where(*terms).order_by(event.position).limit(limit)
    return [(found, lead) for found, lead in await session.execute(rows)]


def _big(position: int) -> ColumnElement[int]:
    """The mapped column is a plain int, which the driver would send with 32 bits."""
    return literal(position, BigInteger)
