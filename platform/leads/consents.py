"""The consent ledger: who agreed to what, where and in which words; lines are added, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from lead_orchestrator.leads import repository
from lead_orchestrator.leads.models import Channel, Consent, Lead
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["ConsentGiven", "note_consents"]


@dataclass(frozen=True)
class ConsentGiven:
    """`wording` is the exact text the person saw, `source` where."""

    channel: Channel
    granted: bool
    source: str
    wording: str | None = None
    ip: str | None = None


def note_consents(session: WriteSession, lead: Lead, given: Sequence[ConsentGiven], now: datetime) -> None:
    """Add a line for each, and keep on the lead what holds now."""
    agreed = set(lead.consented)
    for consent in given:
        row = Consent(
            tenant_id=lead.tenant_id,
            location_id=lead.location_id,
            lead_id=lead.id,
            channel=consent.channel,
            granted=consent.granted,
            source=consent.source,
            wording=consent.wording,
            ip=ip_address(consent.ip) if consent.ip else None,
            at=now,
        )
        repository.add(session, row)
        (agreed.add if consent.granted else agreed.discard)(consent.channel)
    lead.consented = sorted(agreed)
