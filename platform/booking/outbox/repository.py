"""All SQL about what other systems have to be told."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert

from lead_orchestrator.booking.models import Appointment
from lead_orchestrator.booking.outbox.models import OutboxEntry, OutboxKind, OutboxStatus
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["owe", "settle"]


async def owe(session: WriteSession, appointment: Appointment, kinds: Collection[OutboxKind]) -> None:
    """The appointment was made or changed: these systems have to follow, whatever became of earlier attempts."""
    for kind in kinds:
        statement = insert(OutboxEntry).values(
            tenant_id=appointment.tenant_id,
            location_id=appointment.location_id,
            appointment_id=appointment.id,
            kind=kind,
        )
        again = {
            "version": OutboxEntry.version + 1,
            "status": OutboxStatus.PENDING,
            "attempts": 0,
            "next_attempt_at": func.now(),
            "last_error": None,
        }
        await session.execute(
            statement.on_conflict_do_update(index_elements=["tenant_id", "appointment_id", "kind"], set_=again)
        )


async def settle(session: WriteSession, entry_id: UUID, version: int) -> bool:
    """The other system matches what the appointment was at `version`; False if it has changed since, and stays owed."""
    statement = (
        update(OutboxEntry)
        .where(
            OutboxEntry.tenant_id == session.scope.tenant_id,
            OutboxEntry.id == entry_id,
            OutboxEntry.version == version,
        )
        .values(status=OutboxStatus.DONE, lease_until=None, last_error=None)
        .returning(OutboxEntry.id)
    )
    return await session.scalar(statement) is not None
