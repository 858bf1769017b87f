"""Where a lead stands, and what is written down when that changes."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from lead_orchestrator.errors import NotFoundError
from lead_orchestrator.leads import repository
from lead_orchestrator.leads.models import Lead, LeadStatus, Standing
from lead_orchestrator.leads.status import ENDS_TOUCHES
from lead_orchestrator.tenancy.sessions import Recording
from lead_orchestrator.tenancy.writer import DirectSession

__all__ = ["BY_STAFF", "became", "ended_by", "note_choice", "set_status_directly", "stand"]

BY_STAFF = "Set by staff"


async def set_status_directly(session: DirectSession, lead_id: UUID, status: LeadStatus) -> None:
    """As `Leads.set_status`, for a lead that is not loaded: what dashboards do most.

    Raises:
        NotFoundError: there is none in this scope.
    """
    lead = await repository.lock_standing(session, lead_id)
    if lead is None:
        raise NotFoundError(f"there is no lead lead_{lead_id}")
    if lead.status == status:
        return
    note_choice(session, lead, status)
    stand(session, lead, status)
    await repository.store_standing(session, lead)
    if status in ENDS_TOUCHES:
        await repository.cancel_touches_directly(session, lead_id, ended_by(BY_STAFF, status))


def note_choice(session: Recording, lead: Lead | Standing, status: LeadStatus) -> None:
    """A line in the audit trail: staff chose this status."""
    detail = {"from": lead.status, "to": status.value}
    session.audit("lead.set_status", target=f"lead_{lead.id}", detail=detail)


def stand(session: Recording, lead: Lead | Standing, status: LeadStatus) -> None:
    """The lead has this status from now on; what ends with it is the caller's."""
    before, lead.status = lead.status, status
    _note_milestones(lead, status)
    became(session, lead, "lead.status", {"from": before, "to": status.value})


def ended_by(reason: str, status: LeadStatus) -> str:
    """Why touches ended, in words."""
    return f"{reason}: the lead is {status.value.lower().replace('_', ' ')}"


def _note_milestones(lead: Lead | Standing, status: LeadStatus) -> None:
    """The first answer and the first booking, each with the touch that came before it."""
    if status in (LeadStatus.ENGAGED, LeadStatus.HOT) and lead.answered_after is None:
        lead.answered_after = lead.last_touch
    if status in (LeadStatus.BOOKED, LeadStatus.WON) and lead.booked_after is None:
        lead.booked_after = lead.last_touch


def became(session: Recording, lead: Lead | Standing, kind: str, detail: Mapping[str, object] | None) -> None:
    """An event in the lead's timeline."""
    session.record(kind, location_id=lead.location_id, lead_id=lead.id, detail=detail)
