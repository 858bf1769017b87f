"""All SQL about job executions."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, func

from lead_orchestrator.jobs.models import JobExecution
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["add", "prune"]


def add(session: WriteSession, execution: JobExecution) -> None:
    session.add(execution)


async def prune(session: WriteSession, older_than: timedelta) -> int:
    """Delete the executions of more than `older_than` ago; returns how many."""
    statement = (
        delete(JobExecution)
        .where(JobExecution.tenant_id == session.scope.tenant_id, JobExecution.started_at < func.now() - older_than)
        .returning(JobExecution.id)
    )
    return len(list(await session.scalars(statement.execution_options(synchronize_session=False))))
