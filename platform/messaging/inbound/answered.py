"""What a customer's answer does to the lead, whichever way it came."""

from __future__ import annotations

from lead_orchestrator.leads.models import Lead, LeadStatus
from lead_orchestrator.leads.service import Leads, end_touches
from lead_orchestrator.messaging.inbound.wishes import asks_for_price_or_time
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["customer_answered"]

ANSWERED = "The customer answered"


async def customer_answered(session: WriteSession, leads: Leads, lead: Lead, text: str) -> str:
    """Move the locked lead and end its touches; says in words what was heard."""
    hot = asks_for_price_or_time(text)
    # Who opted out and then writes is read by staff; only START brings messages back.
    if lead.status != LeadStatus.OPTED_OUT:
        await leads.move(session, lead, LeadStatus.HOT if hot else LeadStatus.ENGAGED, ANSWERED)
        await end_touches(session, lead, ANSWERED)
    return "asks for a price or a time" if hot else "answered"
