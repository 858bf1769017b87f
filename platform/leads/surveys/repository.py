"""All SQL about surveys."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select

from lead_orchestrator.leads.surveys.models import SurveyVersion
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = ["add", "definition", "last_version"]


async def last_version(session: ReadSession, location_id: UUID) -> int:
    """The number of the location's newest survey; 0 before the first."""
    statement = select(func.max(SurveyVersion.version)).where(
        SurveyVersion.tenant_id == session.scope.tenant_id, SurveyVersion.location_id == location_id
    )
    return int(await session.scalar(statement) or 0)


async def definition(session: ReadSession, location_id: UUID, version: int) -> dict[str, object] | None:
    """The location's survey as it was in that version."""
    statement = select(SurveyVersion.definition).where(
        SurveyVersion.tenant_id == session.scope.tenant_id,
        SurveyVersion.location_id == location_id,
        SurveyVersion.version == version,
    )
    return await session.scalar(statement)


def add(session: WriteSession, row: SurveyVersion) -> None:
    """Insert `row` with the session's next flush."""
    session.add(row)
