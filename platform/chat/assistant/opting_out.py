"""A customer who writes into a chat that we shall stop."""

from __future__ import annotations

from lead_orchestrator.chat.tools.models import Bound
from lead_orchestrator.leads.service import Leads, end_touches, locked_person
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["opt_out"]


async def opt_out(session: WriteSession, leads: Leads, bound: Bound, why: str) -> None:
    """Write to this lead nowhere any more. Of somebody who has not proved who they are there is nobody to suppress: they are not
    written to anyway, and a typed number is not theirs to silence."""
    if bound.lead_id is None:
        return
    lead = await locked_person(session, bound.lead_id)
    await leads.opt_out(session, lead, None, why)
    await end_touches(session, lead, "The customer asked us to stop")
