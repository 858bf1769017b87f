"""Whose appointment it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from lead_orchestrator.booking.appointments.wanted import Wanted
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.leads.models import Lead
from lead_orchestrator.leads.service import Enquiry, Leads, locked
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["People", "own_lead"]


@dataclass(frozen=True)
class People:
    """Finds the lead who books, or makes one."""

    leads: Leads

    async def lead(self, session: WriteSession, wanted: Wanted, location_id: UUID, held_for: UUID | None) -> Lead:
        """Locked; `held_for` is the lead of the hold that is booked.

        Raises:
            BadInputError: CUSTOMER_NEEDED, LEAD_ELSEWHERE.
            NotFoundError: the caller sees no such lead.
        """
        if wanted.lead_id is not None:
            return await own_lead(session, wanted.lead_id, location_id)
        who = wanted.customer
        if who is not None:
            enquiry = Enquiry(
                location_id=location_id,
                source=wanted.source,
                first_name=who.first_name,
                last_name=who.last_name,
                email=who.email,
                phone=who.phone,
                consents=who.consents,
            )
            return (await self.leads.receive(session, enquiry)).lead
        if held_for is not None:
            return await locked(session, held_for)
        message = "nobody is named who comes: send a leadId or a customer"
        raise BadInputError(message, code="CUSTOMER_NEEDED", field=("customer",))


async def own_lead(session: WriteSession, lead_id: UUID, location_id: UUID) -> Lead:
    """Locked.

    Raises:
        BadInputError: LEAD_ELSEWHERE.
        NotFoundError: the caller sees no such lead.
    """
    lead = await locked(session, lead_id)
    if lead.location_id != location_id:
        message = "this lead is another location's: book it there, or send the customer instead"
        raise BadInputError(message, code="LEAD_ELSEWHERE", field=("leadId",))
    return lead
