"""All SQL about the calendars outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import Range, insert

from lead_orchestrator.booking.calendar.models import (
    SHOWN,
    CalendarStatus,
    GoogleCalendarEvent,
    GoogleCredential,
    ShopMonkeyAppointment,
)
from lead_orchestrator.booking.models import Appointment, AppointmentStatus
from lead_orchestrator.integrations.google_calendar.models import Busy, CalendarEvent
from lead_orchestrator.leads.models import LeadOrder
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.repository import is_active
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = [
    "add",
    "claim_crm_locations",
    "claim_due",
    "connections_of",
    "credential",
    "drop_credential",
    "forget_events",
    "forget_shopmonkey",
    "hurry",
    "leads_of_orders",
    "locked_credential",
    "mark_connected",
    "our_shopmonkey_ids",
    "put_events",
    "put_shopmonkey",
    "schedule_crm",
    "upcoming",
]

_DUE = (CalendarStatus.CONNECTED, CalendarStatus.ERROR, CalendarStatus.ENDING)


def add(session: WriteSession, row: GoogleCredential) -> None:
    session.add(row)


async def credential(session: ReadSession, location_id: UUID) -> GoogleCredential | None:
    return await session.scalar(select(GoogleCredential).where(*_mine(session, location_id)))


async def locked_credential(session: WriteSession, location_id: UUID) -> GoogleCredential | None:
    """As `credential`, locked and fresh."""
    statement = select(GoogleCredential).where(*_mine(session, location_id)).with_for_update()
    return await session.scalar(statement.execution_options(populate_existing=True))


async def connections_of(session: ReadSession, location_ids: Sequence[UUID]) -> Mapping[UUID, GoogleCredential]:
    """The connections that are shown."""
    statement = select(GoogleCredential).where(
        GoogleCredential.tenant_id == session.scope.tenant_id,
        GoogleCredential.location_id.in_(location_ids),
        GoogleCredential.status.in_(SHOWN),
    )
    return {row.location_id: row for row in await session.scalars(statement)}


async def claim_due(session: WriteSession, lease: timedelta, most: int) -> Sequence[GoogleCredential]:
    """Connections whose sync is due; nobody else gets them until `lease` is over."""
    statement = (
        select(GoogleCredential)
        .where(
            GoogleCredential.tenant_id == session.scope.tenant_id,
            GoogleCredential.status.in_(_DUE),
            GoogleCredential.next_sync_at <= func.now(),
            is_active(session.scope.tenant_id),
        )
        .order_by(GoogleCredential.next_sync_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    rows = list(await session.scalars(statement))
    if rows:
        claimed = update(GoogleCredential).where(
            GoogleCredential.tenant_id == session.scope.tenant_id,
            GoogleCredential.location_id.in_([row.location_id for row in rows]),
        )
        await session.execute(
            claimed.values(next_sync_at=func.now() + lease).execution_options(synchronize_session=False)
        )
    return rows


async def hurry(session: WriteSession, location_id: UUID, channel_id: str) -> bool:
    """Google says the calendar changed; False if the channel is not this location's (any more)."""
    statement = (
        update(GoogleCredential)
        .where(
            *_mine(session, location_id),
            GoogleCredential.channel_id == channel_id,
            GoogleCredential.status.in_((CalendarStatus.CONNECTED, CalendarStatus.ERROR)),
        )
        .values(next_sync_at=func.now())
        .returning(GoogleCredential.location_id)
    )
    return await session.scalar(statement) is not None


async def drop_credential(session: WriteSession, location_id: UUID) -> None:
    await session.execute(delete(GoogleCredential).where(*_mine(session, location_id)))


async def mark_connected(session: WriteSession, location_id: UUID, *, connected: bool) -> None:
    """Whether appointments of the location are owed to a calendar."""
    statement = update(Location).where(Location.tenant_id == session.scope.tenant_id, Location.id == location_id)
    await session.execute(statement.values(calendar_connected=connected))


async def put_events(session: WriteSession, location_id: UUID, events: Iterable[CalendarEvent]) -> None:
    """Mirror what these events take, and forget those that take nothing."""
    last = {event.id: event.busy for event in events}
    await _forget(session, location_id, list(last))
    rows = [
        {
            "tenant_id": session.scope.tenant_id,
            "location_id": location_id,
            "event_id": event_id,
            "during": Range(busy.starts_at, busy.ends_at),
        }
        for event_id, busy in last.items()
        if busy is not None
    ]
    if rows:
        await session.execute(insert(GoogleCalendarEvent).values(rows))


async def forget_events(session: WriteSession, location_id: UUID) -> None:
    await session.execute(
        delete(GoogleCalendarEvent).where(
            GoogleCalendarEvent.tenant_id == session.scope.tenant_id, GoogleCalendarEvent.location_id == location_id
        )
    )


async def _forget(session: WriteSession, location_id: UUID, event_ids: Sequence[str]) -> None:
    await session.execute(
        delete(GoogleCalendarEvent).where(
            GoogleCalendarEvent.tenant_id == session.scope.tenant_id,
            GoogleCalendarEvent.location_id == location_id,
            GoogleCalendarEvent.event_id == func.any(event_ids),
        )
    )


async def upcoming(session: ReadSession, location_id: UUID, now: datetime) -> Sequence[Appointment]:
    """Confirmed appointments of the location that are not over."""
    statement = select(Appointment).where(
        Appointment.tenant_id == session.scope.tenant_id,
        Appointment.location_id == location_id,
        Appointment.status == AppointmentStatus.CONFIRMED,
        Appointment.ends_at > now,
    )
    return list(await session.scalars(statement))


async def claim_crm_locations(session: WriteSession, lease: timedelta, most: int) -> Sequence[Location]:
    """Locations whose appointments in ShopMonkey are to be read."""
    due = (
        select(Location)
        .where(
            Location.tenant_id == session.scope.tenant_id,
            Location.shopmonkey_location_id.is_not(None),
            Location.crm_calendar_next <= func.now(),
            is_active(session.scope.tenant_id),
        )
        .order_by(Location.crm_calendar_next)
        .limit(most)
        .with_for_update(skip_locked=True, key_share=True)
    )
    rows = list(await session.scalars(due))
    if rows:
        await schedule_crm(session, [row.id for row in rows], lease)
    return rows


async def schedule_crm(session: WriteSession, location_ids: Sequence[UUID], pause: timedelta) -> None:
    statement = update(Location).where(Location.tenant_id == session.scope.tenant_id, Location.id.in_(location_ids))
    later = statement.values(crm_calendar_next=func.now() + pause)
    await session.execute(later.execution_options(synchronize_session=False))


async def forget_shopmonkey(session: WriteSession, location_id: UUID) -> None:
    mine = (
        ShopMonkeyAppointment.tenant_id == session.scope.tenant_id,
        ShopMonkeyAppointment.location_id == location_id,
    )
    await session.execute(delete(ShopMonkeyAppointment).where(*mine))


async def put_shopmonkey(
    session: WriteSession, location_id: UUID, appointments: Sequence[tuple[str, int, Busy]]
) -> None:
    """The location's appointments in ShopMonkey, each with the bay it takes here, as they were read just now."""
    rows = [
        {
            "tenant_id": session.scope.tenant_id,
            "location_id": location_id,
            "external_id": external_id,
            "bay": bay,
            "during": Range(busy.starts_at, busy.ends_at),
        }
        for external_id, bay, busy in appointments
    ]
    if rows:
        await session.execute(insert(ShopMonkeyAppointment).values(rows))
    read = update(Location).where(Location.tenant_id == session.scope.tenant_id, Location.id == location_id)
    await session.execute(read.values(crm_calendar_at=func.now()).execution_options(synchronize_session=False))


async def our_shopmonkey_ids(session: ReadSession, external_ids: Sequence[str]) -> frozenset[str]:
    """Which of these ShopMonkey appointments are ours."""
    statement = select(Appointment.shopmonkey_appointment_id).where(
        Appointment.tenant_id == session.scope.tenant_id, Appointment.shopmonkey_appointment_id.in_(external_ids)
    )
    return frozenset(found for found in await session.scalars(statement) if found)


async def leads_of_orders(session: ReadSession, order_ids: Sequence[str]) -> set[UUID]:
    """The leads that these orders belong to."""
    statement = select(LeadOrder.lead_id).where(
        LeadOrder.tenant_id == session.scope.tenant_id, LeadOrder.order_id.in_(order_ids)
    )
    return set(await session.scalars(statement))


def _mine(session: ReadSession, location_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return GoogleCredential.tenant_id == session.scope.tenant_id, GoogleCredential.location_id == location_id
