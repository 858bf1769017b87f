"""What follows from a change of an appointment, in its own transaction: what becomes of its lead, what the customer is told,
what other systems are owed, and what is written down."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from lead_orchestrator.booking.appointments.notices import Notices
from lead_orchestrator.booking.models import Appointment
from lead_orchestrator.booking.outbox.models import destinations
from lead_orchestrator.booking.outbox.repository import owe
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads.models import Lead, LeadStatus
from lead_orchestrator.leads.service import Leads, end_touches
from lead_orchestrator.messaging.templates.models import TemplateVariant
from lead_orchestrator.messaging.templates.service import Wordings
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["Consequences", "new_nonce", "record"]

_NONCE = 16
_BOOKED = "An appointment was booked"


@dataclass(frozen=True)
class Consequences:
    """Every method takes a locked lead, and an appointment that is written."""

    leads: Leads
    notices: Notices

    async def of_booking(
        self,
        session: WriteSession,
        row: Appointment,
        lead: Lead,
        location: Location,
        services: Sequence[str],
        words: Wordings,
    ) -> None:
        """`services` are the names of what was booked."""
        if not await self.leads.move(session, lead, LeadStatus.BOOKED, _BOOKED):
            await end_touches(session, lead, _BOOKED)
        await self.notices.tell(session, lead, location, row, services, words, TemplateVariant.STANDARD)
        await owe(session, row, destinations(location))
        await record(session, row, "booked", lead)

    async def of_change(
        self,
        session: WriteSession,
        row: Appointment,
        lead: Lead | None,
        location: Location,
        services: Sequence[str],
        variant: TemplateVariant,
    ) -> None:
        """It was moved or cancelled; what waited to be said about it is replaced."""
        if lead is not None:
            await self.notices.withdraw(session, lead, row.id, "The appointment has changed")
            words = await self.notices.words(session, location.id)
            await self.notices.tell(session, lead, location, row, services, words, variant)
        if destinations(location):
            row.sync_status = "PENDING"
        await owe(session, row, destinations(location))


async def record(session: WriteSession, row: Appointment, what: str, lead: Lead | None) -> None:
    """An event in the lead's timeline, and a line of the audit trail."""
    await session.flush()
    target = encode(Kind.APPOINTMENT, row.id)
    if lead is not None:
        detail = {"appointmentId": target, "startsAt": row.starts_at.isoformat(), "status": row.status}
        session.record(f"appointment.{what}", location_id=row.location_id, lead_id=lead.id, detail=detail)
    session.audit(f"appointment.{what}", target=target, detail={"status": row.status})


def new_nonce() -> bytes:
    """The random part of a customer's link."""
    return secrets.token_bytes(_NONCE)
