"""All SQL that takes a location's time and gives it back."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, insert, select, text, update

from lead_orchestrator.booking.models import Appointment, AppointmentService, AppointmentStatus
from lead_orchestrator.catalog.models import Service
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = [
    "appointment",
    "booked_services",
    "by_nonce",
    "cancel_expired_holds",
    "get_for_update",
    "insert_appointment",
    "location_of",
    "lock_location",
]

EXPIRED = "The hold expired"


async def lock_location(session: WriteSession, location_id: UUID) -> None:
    """Until the transaction ends nobody else takes this location's time. A statement of its own: what is read after it is read
    as whoever had the lock before has left it."""
    key = f"booking:{session.scope.tenant_id}:{location_id}"
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


async def cancel_expired_holds(session: WriteSession, location_id: UUID) -> None:
    """Give back what expired: the constraint on overlaps cannot tell the time."""
    statement = (
        update(Appointment)
        .where(
            Appointment.tenant_id == session.scope.tenant_id,
            Appointment.location_id == location_id,
            Appointment.status == AppointmentStatus.HELD,
            Appointment.hold_expires_at <= func.app_now(),
        )
        .values(status=AppointmentStatus.CANCELLED, cancel_reason=EXPIRED)
    )
    await session.execute(statement.execution_options(synchronize_session=False))


async def location_of(session: ReadSession, appointment_id: UUID) -> UUID | None:
    """Where the appointment is; it stays there."""
    statement = select(Appointment.location_id).where(
        Appointment.tenant_id == session.scope.tenant_id, Appointment.id == appointment_id
    )
    return await session.scalar(statement)


async def appointment(session: ReadSession, appointment_id: UUID) -> Appointment | None:
    return await session.get(Appointment, (session.scope.tenant_id, appointment_id))


async def get_for_update(session: WriteSession, appointment_id: UUID) -> Appointment | None:
    statement = (
        select(Appointment)
        .where(Appointment.tenant_id == session.scope.tenant_id, Appointment.id == appointment_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return await session.scalar(statement)


async def by_nonce(session: ReadSession, appointment_id: UUID, nonce: bytes) -> Appointment | None:
    """The appointment, if its customer's link carries this nonce."""
    statement = select(Appointment).where(
        Appointment.tenant_id == session.scope.tenant_id,
        Appointment.id == appointment_id,
        Appointment.manage_nonce == nonce,
    )
    return await session.scalar(statement.execution_options(populate_existing=True))


async def booked_services(session: ReadSession, appointment_id: UUID) -> Sequence[AppointmentService]:
    """What was booked, in its order, as it was then."""
    statement = (
        select(AppointmentService)
        .where(
            AppointmentService.tenant_id == session.scope.tenant_id,
            AppointmentService.appointment_id == appointment_id,
        )
        .order_by(AppointmentService.position)
    )
    return list(await session.scalars(statement))


async def insert_appointment(session: WriteSession, row: Appointment, services: Sequence[Service]) -> None:
    """With what is booked, in this order, at today's names, prices and durations."""
    session.add(row)
    await session.flush()
    booked = [
        {
            "tenant_id": row.tenant_id,
            "location_id": row.location_id,
            "appointment_id": row.id,
            "service_id": service.id,
            "position": position,
            "name": service.name,
            "price_cents": service.price_cents,
            "duration_minutes": service.duration_minutes,
        }
        for position, service in enumerate(services)
    ]
    await session.execute(insert(AppointmentService), booked)
