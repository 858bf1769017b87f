"""All SQL about the schedule of touches."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, delete, exists, func, or_, select, text
from sqlalchemy.orm import aliased

from lead_orchestrator.leads.models import MessageKind, MessageStatus, ScheduledMessage
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession
from lead_orchestrator.touches.models import TouchTemplate

__all__ = ["add", "in_flight", "lock_schedule", "replace_templates", "templates"]

_TEMPLATES = select(TouchTemplate).where(  # asked for with every batch: written once
    TouchTemplate.tenant_id == bindparam("tenant", type_=Uuid()),
    or_(
        TouchTemplate.location_id.is_(None),
        TouchTemplate.location_id == any_(bindparam("places", type_=ARRAY(Uuid()))),
    ),
)


async def templates(session: ReadSession, location_ids: Sequence[UUID]) -> Sequence[TouchTemplate]:
    """The tenant's own templates and those of these locations."""
    values = {"tenant": session.scope.tenant_id, "places": list(location_ids)}
    return list(await session.scalars(_TEMPLATES, values))


def add(session: WriteSession, message: ScheduledMessage) -> None:
    """Insert `message` with the session's next flush."""
    session.add(message)


async def lock_schedule(session: WriteSession) -> None:
    """Until the transaction ends nobody else changes the tenant's schedules."""
    key = f"touch_schedule:{session.scope.tenant_id}"
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


async def replace_templates(session: WriteSession, location_id: UUID | None, rows: Sequence[TouchTemplate]) -> None:
    """`rows` become the whole schedule of the location, or (None) of the tenant."""
    place = TouchTemplate.location_id.is_(None) if location_id is None else TouchTemplate.location_id == location_id
    await session.execute(delete(TouchTemplate).where(TouchTemplate.tenant_id == session.scope.tenant_id, place))
    session.add_all(rows)
    await session.flush()


async def in_flight(session: ReadSession, location_id: UUID | None) -> int:
    """How many leads wait for a touch of the schedule of the location, or (None) of the tenant's own."""
    statement = select(func.count(func.distinct(ScheduledMessage.lead_id))).where(
        ScheduledMessage.tenant_id == session.scope.tenant_id,
        ScheduledMessage.kind == MessageKind.TOUCH,
        ScheduledMessage.status == MessageStatus.SCHEDULED,
    )
    if location_id is not None:
        statement = statement.where(ScheduledMessage.location_id == location_id)
    else:
        own = aliased(TouchTemplate)
        has_own = exists().where(
            own.tenant_id == ScheduledMessage.tenant_id, own.location_id == ScheduledMessage.location_id
        )
        statement = statement.where(~has_own)
    return int(await session.scalar(statement) or 0)
