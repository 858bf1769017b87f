"""What somebody wants to book, and for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from lead_orchestrator.booking.tokens import Offer
from lead_orchestrator.leads.consents import ConsentGiven
from lead_orchestrator.leads.models import LeadSource

__all__ = ["Customer", "Wanted", "offered"]


@dataclass(frozen=True)
class Customer:
    """Somebody who books; addresses are already normalised."""

    first_name: str
    phone: str
    last_name: str | None = None
    email: str | None = None
    consents: Sequence[ConsentGiven] = field(default_factory=tuple)


@dataclass(frozen=True)
class Wanted:
    """What is to be booked: exactly one of a hold, the token of a slot, or an offer put together by the caller; and for whom: a
    lead, a customer, or the lead of the hold. `source` is where a new lead comes from."""

    hold_id: UUID | None = None
    token: str | None = None
    offer: Offer | None = None
    lead_id: UUID | None = None
    customer: Customer | None = None
    notes: str | None = None
    source: LeadSource = LeadSource.API

    def request(self) -> dict[str, object]:
        """What an idempotency key stands for."""
        who, offer = self.customer, self.offer
        return {
            "hold": str(self.hold_id or ""),
            "token": self.token,
            "offer": offered(offer) if offer else None,
            "lead": str(self.lead_id or ""),
            "customer": [who.first_name, who.last_name, who.phone, who.email] if who else None,
            "notes": self.notes,
        }


def offered(offer: Offer) -> dict[str, object]:
    """The offer, as JSON holds it."""
    return {
        "location": str(offer.location_id),
        "services": [str(service_id) for service_id in offer.service_ids],
        "startsAt": offer.starts_at.isoformat(),
    }
