"""What a customer is told about an appointment: a confirmation at once, and reminders before it, never after its beginning.

Whoever is texted and has a mail address too gets the confirmation by both: only a mail carries the invitation for a calendar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from lead_orchestrator.booking.appointments.invites import invite
from lead_orchestrator.booking.models import Appointment
from lead_orchestrator.clock import app_now
from lead_orchestrator.leads.models import Channel, Lead, MessageKind
from lead_orchestrator.leads.opt_outs import reachable
from lead_orchestrator.messaging.planned import Planned, cancel_planned, plan_all
from lead_orchestrator.messaging.templates.models import TemplateVariant
from lead_orchestrator.messaging.templates.service import Wordings, wordings
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import Alarm, ReadSession, WriteSession
from lead_orchestrator.touches.templates import clean

__all__ = ["REMINDERS", "Notices"]

REMINDERS = {"day": timedelta(days=1), "hour": timedelta(hours=1)}
"""How long before its beginning a customer is reminded; what is booked later than that needs no such reminder."""


class Notices:
    """Every method takes a locked lead; a message goes out when the gate lets it."""

    def __init__(self, links: LinkSigner) -> None:
        self._links = links

    async def words(self, session: ReadSession, location_id: UUID) -> Wordings:
        """What messages about appointments say there."""
        return await wordings(session, location_id, [MessageKind.CONFIRMATION, MessageKind.REMINDER])

    async def tell(
        self,
        session: WriteSession,
        lead: Lead,
        location: Location,
        appointment: Appointment,
        services: Sequence[str],
        words: Wordings,
        variant: TemplateVariant,
    ) -> None:
        """Say that it was booked, moved or cancelled, and remind of it; see `withdraw` for what was to be said before."""
        values = self._values(location, appointment, services)
        name, now = reference(appointment.id), await app_now(session)
        told = Planned(
            MessageKind.CONFIRMATION,
            variant=variant,
            values=values,
            reference=f"{name}:confirmation",
            invite=invite(appointment, location, services, values["manage_link"], now),
        )
        messages = [told]
        if {Channel.SMS, Channel.EMAIL} <= set(reachable(lead)):
            messages.append(replace(told, channels=(Channel.EMAIL,), reference=f"{name}:invite"))
        if variant is not TemplateVariant.CANCELLED:
            messages += [
                Planned(
                    MessageKind.REMINDER,
                    due_at,
                    values=values,
                    reference=f"{name}:reminder:{which}",
                    void_after=appointment.starts_at,
                )
                for which, before in REMINDERS.items()
                if (due_at := appointment.starts_at - before) > now
            ]
        await plan_all(session, lead, location, messages, words, self._links)
        session.ring(Alarm.MESSAGES)

    async def withdraw(self, session: WriteSession, lead: Lead, appointment_id: UUID, why: str) -> None:
        """Whatever still waits about it is never sent."""
        await cancel_planned(session, lead, reference(appointment_id), why)

    def _values(self, location: Location, appointment: Appointment, services: Sequence[str]) -> dict[str, str]:
        local = appointment.starts_at.astimezone(ZoneInfo(location.timezone))
        total = appointment.total_cents
        return {
            "appointment_day": f"{local:%A, %B} {local.day}",
            "appointment_time": _clock(local),
            "services": clean(", ".join(services)),
            "total": "" if total is None else f"{total / 100:,.2f} {appointment.currency}",
            "manage_link": self._manage_link(appointment),
        }

    def _manage_link(self, appointment: Appointment) -> str:
        nonce = appointment.manage_nonce
        return self._links.manage(appointment.tenant_id, appointment.id, nonce) if nonce else ""


def reference(appointment_id: UUID) -> str:
    """The name that all messages about an appointment begin with."""
    return f"appointment:{appointment_id}"


def _clock(local: datetime) -> str:
    return f"{local.hour % 12 or 12}:{local:%M %p}"
