"""Where a lead stands, and what is written down when that changes."""

from __future__ import annotations

from collections.abc import Mapping

from lead_orchestrator.leads.models import Lead, LeadStatus
from lead_orchestrator.leads.status import ANSWERED, BOOKED, ENDS_TOUCHES
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["BY_STAFF", "became", "chosen", "ended_by", "note_choice", "stand"]

BY_STAFF = "Set by staff"


def chosen(status: LeadStatus) -> Mapping[str, object]:
    """What `set_lead_status` is told of a status that staff chooses, by its parameters' names; what it means stands here alone."""
    return {
        "status": status.value,
        "answers": status in ANSWERED,
        "books": status in BOOKED,
        "ending": ended_by(BY_STAFF, status) if status in ENDS_TOUCHES else None,
    }


def note_choice(session: WriteSession, lead: Lead, status: LeadStatus) -> None:
    """A line in the audit trail: staff chose this status."""
    detail = {"from": lead.status, "to": status.value}
    session.audit("lead.set_status", target=f"lead_{lead.id}", detail=detail)


def stand(session: WriteSession, lead: Lead, status: LeadStatus) -> None:
    """The lead has this status from now on; what ends with it is the caller's."""
    before, lead.status = lead.status, status
    _note_milestones(lead, status)
    became(session, lead, "lead.status", {"from": before, "to": status.value})


def ended_by(reason: str, status: LeadStatus) -> str:
    """Why touches ended, in words."""
    return f"{reason}: the lead is {status.value.lower().replace('_', ' ')}"


def _note_milestones(lead: Lead, status: LeadStatus) -> None:
    """The first answer and the first booking, each with the touch that came before it."""
    if status in ANSWERED and lead.answered_after is None:
        lead.answered_after = lead.last_touch
    if status in BOOKED and lead.booked_after is None:
        lead.booked_after = lead.last_touch


def became(session: WriteSession, lead: Lead, kind: str, detail: Mapping[str, object] | None) -> None:
    """An event in the lead's timeline."""
    session.record(kind, location_id=lead.location_id, lead_id=lead.id, detail=detail)
