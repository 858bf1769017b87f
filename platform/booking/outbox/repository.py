"""All SQL about what other systems have to be told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Update, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from lead_orchestrator.booking.calendar.models import GoogleCredential
from lead_orchestrator.booking.models import Appointment, AppointmentService
from lead_orchestrator.booking.outbox.models import OutboxEntry, OutboxKind, OutboxStatus
from lead_orchestrator.leads.models import Lead, LeadOrder
from lead_orchestrator.tenancy.models import CrmConfig, Location
from lead_orchestrator.tenancy.repository import is_active
from lead_orchestrator.tenancy.sessions import Alarm, ReadSession, WriteSession

__all__ = ["Claimed", "Facts", "claim", "done", "facts", "owe", "put_off", "settle"]

MOST_ASKED = 5


@dataclass(frozen=True)
class Claimed:
    """An entry that is ours for the time of a lease. `asked` are the times for which a create may have gone out before."""

    id: UUID
    appointment_id: UUID
    kind: OutboxKind
    version: int
    attempts: int
    external_id: str | None
    asked: Sequence[datetime]


@dataclass(frozen=True)
class Facts:
    """An appointment as other systems are told of it; `services` are the names of what it is for."""

    appointment_id: UUID
    status: str
    starts_at: datetime
    ends_at: datetime
    bay: int
    timezone: str
    customer: str
    services: str
    order_id: str | None
    shopmonkey_location_id: str | None
    crm_key: bytes | None
    credential: GoogleCredential | None


async def owe(session: WriteSession, appointment: Appointment, kinds: Collection[OutboxKind]) -> None:
    """The appointment was made or changed: these systems have to follow, whatever became of earlier attempts."""
    if not kinds:
        return
    of_appointment = {
        "tenant_id": appointment.tenant_id,
        "location_id": appointment.location_id,
        "appointment_id": appointment.id,
    }
    statement = insert(OutboxEntry).values([{**of_appointment, "kind": kind} for kind in kinds])
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
    session.ring(Alarm.OUTBOX)


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


async def claim(session: WriteSession, lease: timedelta, most: int) -> Sequence[Claimed]:
    """Entries that are due and nobody's. What may be asked for is written here, before any call."""
    due = (
        select(OutboxEntry, Appointment.starts_at, func.clock_timestamp())
        .join(Appointment, _of_entry())
        .where(
            OutboxEntry.tenant_id == session.scope.tenant_id,
            OutboxEntry.status == OutboxStatus.PENDING,
            OutboxEntry.next_attempt_at <= func.now(),
            or_(OutboxEntry.lease_until.is_(None), OutboxEntry.lease_until < func.now()),
            is_active(session.scope.tenant_id),
        )
        .order_by(OutboxEntry.next_attempt_at)
        .limit(most)
        .with_for_update(of=OutboxEntry, skip_locked=True)
    )
    return [_claimed(row, starts_at, now + lease) for row, starts_at, now in await session.execute(due)]


def _claimed(row: OutboxEntry, starts_at: datetime, until: datetime) -> Claimed:
    stated = row.payload.get("asked")
    asked = [str(moment) for moment in stated] if isinstance(stated, list) else []
    external = row.payload.get("id")
    row.attempts += 1
    row.lease_until = row.next_attempt_at = until
    now_asked = [*(moment for moment in asked if moment != starts_at.isoformat()), starts_at.isoformat()]
    row.payload = {**row.payload, "asked": now_asked[-MOST_ASKED:]}
    return Claimed(
        id=row.id,
        appointment_id=row.appointment_id,
        kind=OutboxKind(row.kind),
        version=row.version,
        attempts=row.attempts,
        external_id=external if isinstance(external, str) else None,
        asked=[datetime.fromisoformat(moment) for moment in asked],
    )


async def facts(session: ReadSession, appointment_id: UUID) -> Facts:
    """What there is to tell now."""
    services = (
        select(func.string_agg(AppointmentService.name, ", "))
        .where(AppointmentService.tenant_id == Appointment.tenant_id)
        .where(AppointmentService.appointment_id == Appointment.id)
        .correlate(Appointment)
        .scalar_subquery()
    )
    order = (
        select(func.max(LeadOrder.order_id))
        .where(LeadOrder.tenant_id == Lead.tenant_id, LeadOrder.lead_id == Lead.id)
        .where(LeadOrder.enrolment == Lead.enrolment)
        .correlate(Lead)
        .scalar_subquery()
    )
    statement = (
        select(Appointment, Location, Lead, services, order, CrmConfig.api_key, GoogleCredential)
        .join(Location, (Location.tenant_id == Appointment.tenant_id) & (Location.id == Appointment.location_id))
        .outerjoin(Lead, (Lead.tenant_id == Appointment.tenant_id) & (Lead.id == Appointment.lead_id))
        .outerjoin(CrmConfig, CrmConfig.tenant_id == Appointment.tenant_id)
        .outerjoin(
            GoogleCredential,
            (GoogleCredential.tenant_id == Appointment.tenant_id)
            & (GoogleCredential.location_id == Appointment.location_id),
        )
        .where(Appointment.tenant_id == session.scope.tenant_id, Appointment.id == appointment_id)
    )
    row, place, lead, names, order_id, crm_key, credential = (await session.execute(statement)).one()
    return Facts(
        appointment_id=row.id,
        status=row.status,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        bay=row.bay,
        timezone=place.timezone,
        customer=lead.name if lead else "",
        services=names or "",
        order_id=order_id,
        shopmonkey_location_id=place.shopmonkey_location_id,
        crm_key=crm_key,
        credential=credential,
    )


async def done(session: WriteSession, entry: Claimed, external_id: str | None) -> None:
    """The other system was told; its id is kept whatever changed meanwhile, and what changed is told at once."""
    await _lock_appointment(session, entry)
    kept = {"payload": OutboxEntry.payload.op("||")(func.jsonb_build_object("id", external_id))} if external_id else {}
    await session.execute(_this(session, entry).values(lease_until=None, next_attempt_at=func.now(), **kept))
    if entry.kind is OutboxKind.SHOPMONKEY_APPOINTMENT and external_id is not None:
        await session.execute(_appointment_of(session, entry).values(shopmonkey_appointment_id=external_id))
    await settle(session, entry.id, entry.version)
    await _show(session, entry)


async def put_off(session: WriteSession, entry: Claimed, error: str, pause: timedelta | None) -> None:
    """Try again after `pause`; None: this will not succeed, until the appointment changes again."""
    await _lock_appointment(session, entry)
    changed = OutboxEntry.version != entry.version
    if pause is None:
        ended = _this(session, entry).where(~changed).values(status=OutboxStatus.FAILED, last_error=error)
        await session.execute(ended)
    later = func.now() + (pause or timedelta())
    await session.execute(_this(session, entry).values(lease_until=None, next_attempt_at=later, last_error=error))
    await _show(session, entry)


async def _lock_appointment(session: WriteSession, entry: Claimed) -> None:
    """Before the entries, as whoever changes it does: the last of its systems sees what became of the others."""
    own = select(Appointment.id).where(
        Appointment.tenant_id == session.scope.tenant_id, Appointment.id == entry.appointment_id
    )
    await session.execute(own.with_for_update(key_share=True))


async def _show(session: WriteSession, entry: Claimed) -> None:
    """How far the appointment's other systems are, on the appointment itself."""
    of_appointment = (
        OutboxEntry.tenant_id == session.scope.tenant_id,
        OutboxEntry.appointment_id == entry.appointment_id,
    )
    states = set(await session.scalars(select(OutboxEntry.status).where(*of_appointment)))
    errors = select(OutboxEntry.last_error).where(*of_appointment, OutboxEntry.last_error.is_not(None))
    worst = next((state for state in ("FAILED", "PENDING") if state in states), "SYNCED")
    error = await session.scalar(errors.order_by(OutboxEntry.kind).limit(1))
    await session.execute(_appointment_of(session, entry).values(sync_status=worst, sync_error=error))


def _this(session: WriteSession, entry: Claimed) -> Update:
    return (
        update(OutboxEntry)
        .where(OutboxEntry.tenant_id == session.scope.tenant_id, OutboxEntry.id == entry.id)
        .execution_options(synchronize_session=False)
    )


def _appointment_of(session: WriteSession, entry: Claimed) -> Update:
    return (
        update(Appointment)
        .where(Appointment.tenant_id == session.scope.tenant_id, Appointment.id == entry.appointment_id)
        .execution_options(synchronize_session=False)
    )


def _of_entry() -> ColumnElement[bool]:
    return (Appointment.tenant_id == OutboxEntry.tenant_id) & (Appointment.id == OutboxEntry.appointment_id)
