"""What visitors of a booking page or a chat may book: for themselves only.

A phone number that is typed is no identity. It makes a lead, or adds to one, and shows nothing of it; the only lead a visitor
may name is the one their token was given by a signed link or a confirmed code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from lead_orchestrator.booking.appointments.wanted import Wanted
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads.models import LeadSource
from lead_orchestrator.tenancy.public.places import Place
from lead_orchestrator.tenancy.tokens import Role, TokenIssuer

__all__ = ["BookingVisitors", "check_own", "visitors_wish"]


@dataclass(frozen=True)
class BookingVisitors:
    """Lets anybody book at a shop; `issuer` signs their tokens."""

    issuer: TokenIssuer

    def token(self, place: Place) -> str:
        """For this shop's free times and bookings, and for no conversation and no lead; everybody is somebody else."""
        return self.issuer.issue(
            subject=f"booking_{uuid4()}",
            role=Role.VISITOR,
            tenant_id=place.tenant_id,
            location_ids=[place.location_id],
        )


def visitors_wish(wanted: Wanted, own_lead: UUID | None, *, chats: bool) -> Wanted:
    """`wanted` as a visitor may have it: for a customer they describe, or else for the lead of their token. `chats`: they come
    from a conversation, not from a booking page.

    Raises:
        NotFoundError: it is for another lead.
        BadInputError: CUSTOMER_NEEDED.
    """
    check_own(wanted.lead_id, own_lead)
    if wanted.customer is None and own_lead is None:
        raise BadInputError("nobody is named who comes: send a customer", code="CUSTOMER_NEEDED", field=("customer",))
    lead_id = None if wanted.customer is not None else own_lead
    return replace(wanted, lead_id=lead_id, source=LeadSource.WEB_CHAT if chats else LeadSource.API)


def check_own(lead_id: UUID | None, own_lead: UUID | None) -> None:
    """Raises NotFoundError: the lead is not the visitor's own."""
    if lead_id is not None and lead_id != own_lead:
        raise NotFoundError(f"there is no lead {encode(Kind.LEAD, lead_id)}", field=("leadId",))
