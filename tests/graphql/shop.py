"""Services, closures, appointments and conversations, written as the features will write them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import Range

from lead_orchestrator.booking.models import Appointment, AppointmentService
from lead_orchestrator.catalog.models import Closure, Service
from lead_orchestrator.chat.models import ChatMessage, ChatRole, ChatSession, ChatState
from lead_orchestrator.leads.models import Lead
from lead_orchestrator.tenancy.sessions import WriteSession
from tests.factories import MadeTenant

__all__ = ["START", "add_appointment", "add_chat", "add_service", "seed_shop"]

START = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
NAMES = ["Ceramic Tint", "ceramic tint", "Röntgen-Folie", "Sunroof", "Windshield \"Visor\"", "Removal 50%"]  # fmt: skip


async def add_service(
    session: WriteSession, tenant: MadeTenant, location: UUID | None, name: str, **values: Any
) -> Service:
    row = Service(tenant_id=tenant.id, location_id=location, name=name, **{"duration_minutes": 60, **values})
    session.add(row)
    await session.flush()
    return row


async def add_appointment(
    session: WriteSession,
    tenant: MadeTenant,
    starts_at: datetime,
    *,
    location: UUID | None = None,
    lead: Lead | None = None,
    services: Sequence[Service] = (),
    **values: Any,
) -> Appointment:
    """An hour in the first bay, confirmed unless told."""
    row = Appointment(
        tenant_id=tenant.id,
        location_id=lead.location_id if lead else location or tenant.location,
        lead_id=lead.id if lead else None,
        during=Range(starts_at, starts_at + timedelta(hours=1)),
        created_at=START,
        **{"bay": 1, "status": "CONFIRMED", **values},
    )
    session.add(row)
    await session.flush()
    for position, service in enumerate(services):
        booked = AppointmentService(
            tenant_id=tenant.id,
            location_id=row.location_id,
            appointment_id=row.id,
            service_id=service.id,
            position=position,
            name=service.name,
            price_cents=service.price_cents,
            duration_minutes=service.duration_minutes,
        )
        session.add(booked)
    await session.flush()
    return row


async def add_chat(
    session: WriteSession,
    tenant: MadeTenant,
    *,
    location: UUID | None = None,
    lead: Lead | None = None,
    messages: int = 0,
    services: Sequence[Service] = (),
    **values: Any,
) -> ChatSession:
    """A conversation of `messages` messages, a minute apart; every third one offers a time and the `services`."""
    row = ChatSession(
        tenant_id=tenant.id,
        location_id=lead.location_id if lead else location or tenant.location,
        lead_id=lead.id if lead else None,
        version=messages,
        **{"channel": "WEB_CHAT", "created_at": START, **values},
    )
    session.add(row)
    await session.flush()
    for version in range(1, messages + 1):
        at = row.created_at + timedelta(minutes=version)
        offers = version % 3 == 0
        message = ChatMessage(
            tenant_id=tenant.id,
            location_id=row.location_id,
            session_id=row.id,
            version=version,
            role=list(ChatRole)[version % len(ChatRole)],
            text=f"Message {version} ü",
            client_id=f"c{version}" if version % 2 else None,
            slots=[_slot(at)] if offers else None,
            services=[str(service.id) for service in services] if offers else None,
            created_at=at,
        )
        session.add(message)
        row.last_message_at = at
    await session.flush()
    return row


def _slot(at: datetime) -> dict[str, object]:
    times = {"startsAt": at.isoformat(), "endsAt": (at + timedelta(hours=1)).isoformat()}
    return {**times, "localStart": "Sun 2026-03-01 09:30", "token": "slot-token"}


async def seed_shop(session: WriteSession, tenant: MadeTenant, leads: Sequence[Lead]) -> None:
    """Something of everything: the tenant's services and the locations', some of them by the same name, and for some leads
    appointments and conversations in every state, several of them at the same moment."""
    offered = await _catalog(session, tenant)
    for number, lead in enumerate(leads[:12]):
        for turn in range(number % 4):
            await _appointment(session, tenant, lead, offered, number * 4 + turn)
        for turn in range(number % 3):
            state = list(ChatState)[(number + turn) % 3]
            opened = START + timedelta(hours=turn % 2)
            await add_chat(
                session,
                tenant,
                lead=lead,
                messages=number,
                services=offered[:2],
                state=state,
                created_at=opened,
                unread=turn,
            )
    await add_appointment(session, tenant, START - timedelta(days=30))
    await add_chat(session, tenant, channel="SMS")


async def _catalog(session: WriteSession, tenant: MadeTenant) -> list[Service]:
    made = []
    for place in (None, *tenant.locations[:2]):
        for number, name in enumerate(NAMES[: 6 if place is None else 3]):
            if place is None and number == 1:  # by another case the same name
                continue
            made.append(
                await add_service(
                    session,
                    tenant,
                    place,
                    name if place is None else f"{name}{'' if number != 1 else ' two'}",
                    price_cents=None if number == 2 else 10_900 + 2**33 * (number % 2),
                    description="For cars" if number % 2 else None,
                    category=["Roof", None][number % 2],
                    display_order=number // 2,
                    switched_off=number == 0 and place == tenant.location,
                    shopmonkey_id=f"sm-{number}" if place and number else None,
                )
            )
    for place in tenant.locations[:2]:
        for days in (3, 1):
            begins = START + timedelta(days=days)
            reason = "Inventory" if days == 1 else None
            session.add(
                Closure(
                    tenant_id=tenant.id,
                    location_id=place,
                    starts_at=begins,
                    ends_at=begins + timedelta(days=1),
                    reason=reason,
                )
            )
    return made


async def _appointment(
    session: WriteSession, tenant: MadeTenant, lead: Lead, offered: Sequence[Service], number: int
) -> None:
    status = ["CANCELLED", "HELD", "COMPLETED", "NO_SHOW", "CONFIRMED"][number % 5]
    blocks = status in {"HELD", "CONFIRMED"}
    await add_appointment(
        session,
        tenant,
        START + timedelta(days=number if blocks else 0),
        lead=lead,
        services=offered[number % 3 : number % 3 + number % 4],
        status=status,
        hold_expires_at=START if status == "HELD" else None,
        notes="Back window first" if number % 2 else None,
        total_cents=number * 10_000 if number % 3 else None,
        shopmonkey_appointment_id=f"appointment-{number}-{lead.id}" if number % 2 else None,
        sync_status="SYNCED" if number % 2 else "PENDING",
    )
