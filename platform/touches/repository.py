"""All SQL about the schedule of touches."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import or_, select

from lead_orchestrator.leads.models import ScheduledMessage
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession
from lead_orchestrator.touches.models import TouchTemplate

__all__ = ["add", "templates"]


async def templates(session: ReadSession, location_ids: Sequence[UUID]) -> Sequence[TouchTemplate]:
    """The tenant's own templates and those of these locations."""
    statement = select(TouchTemplate).where(
        TouchTemplate.tenant_id == session.scope.tenant_id,
        or_(TouchTemplate.location_id.is_(None), TouchTemplate.location_id.in_(location_ids)),
    )
    return list(await session.scalars(statement))


def add(session: WriteSession, message: ScheduledMessage) -> None:
    """Insert `message` with the session's next flush."""
    session.add(message)
