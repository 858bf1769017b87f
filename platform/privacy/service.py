"""A person's rights: to have what is held about them, and to have it erased."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from lead_orchestrator.clock import app_now
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.leads.models import Lead
from lead_orchestrator.leads.service import Leads, locked_person
from lead_orchestrator.privacy import repository
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["erase", "export"]


async def export(session: WriteSession, lead: Lead) -> dict[str, Any]:
    """All that is held about a lead, by table; that it was handed out is noted in the audit trail."""
    held = await repository.held_about(session, lead)
    session.audit("lead.exported", target=f"lead_{lead.id}")
    return {**held.rows, **await repository.outside(session, lead, held)}


async def erase(session: WriteSession, leads: Leads, lead_id: UUID) -> None:
    """Delete a lead and everything about it, for good. What stays is a keyed hash of its addresses, so that nobody writes to
    them again and the CRM's order does not bring them back, and emptied lines of the audit trail.

    What other systems hold (ShopMonkey, the providers, Google) is theirs to erase.

    Raises:
        NotFoundError: there is no such lead.
        BadInputError: it has an appointment ahead, which other systems would not be told about any more.
    """
    lead = await locked_person(session, lead_id)
    now = await app_now(session)
    ahead = await repository.appointment_ahead(session, lead.id, now)
    if ahead is not None:
        message = f"the lead has an appointment at {ahead.isoformat()}: cancel it first, so that the shop's calendars are told"
        raise BadInputError(message, code="HAS_APPOINTMENT", field=("leadId",))
    held = await repository.held_about(session, lead)
    await leads.before_erasure(session, lead)
    await session.flush()
    session.forget(lead.id)
    for chat_id in held.values("chat_sessions", "id"):
        session.ends(UUID(chat_id))
    await repository.remove_outside(session, lead, held)
    await repository.remove(session, lead)
    session.audit("lead.erased", target=f"lead_{lead_id}")
