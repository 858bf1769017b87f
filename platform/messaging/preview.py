"""What a template would say: to a lead, or to anybody at a location."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads import repository as leads_repository
from lead_orchestrator.leads.models import Channel, Lead
from lead_orchestrator.messaging.mail import Letterhead, as_html, as_text
from lead_orchestrator.messaging.templates.service import message_values
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import ReadSession
from lead_orchestrator.touches.templates import Encoding, check, render, segments, variables
from lead_orchestrator.touches.wording import LONGEST_BODY, LONGEST_SUBJECT

__all__ = ["Draft", "Preview", "preview"]

# What a template says to nobody in particular; a link of no lead is as long as one of a lead, and opens nothing.
_NOBODY = UUID(int=0)
_SAMPLE: Mapping[str, str] = {"first_name": "Alex", "vehicle": "2021 Honda Civic"}
_APPOINTMENT: Mapping[str, str] = {
    "appointment_day": "Tuesday, March 3",
    "appointment_time": "10:30 AM",
    "services": "Full car, ceramic",
    "total": "$389.00",
}


@dataclass(frozen=True)
class Draft:
    """A template that is not in force yet; without a location it is shown for the tenant's first one."""

    channel: Channel
    subject: str | None
    body: str
    lead_id: UUID | None = None
    location_id: UUID | None = None


@dataclass(frozen=True)
class Preview:
    """`segments` and `encoding` are a text message's, `html` a mail's. An unknown variable is shown as it was written."""

    subject: str | None
    text: str
    html: str | None
    segments: int | None
    encoding: Encoding | None
    unknown_variables: list[str]


async def preview(session: ReadSession, draft: Draft, links: LinkSigner) -> Preview:
    """The template, filled in.

    Raises:
        BadInputError: it is too long, or a brace in it is not part of a variable; the message says where.
        NotFoundError: the caller sees no such lead or location.
    """
    subject = draft.subject if draft.channel is Channel.EMAIL else None
    _check(subject or "", "subject", LONGEST_SUBJECT)
    _check(draft.body, "body", LONGEST_BODY.get(draft.channel, max(LONGEST_BODY.values())))
    lead = await _lead(session, draft.lead_id)
    location = await _location(session, lead.location_id if lead else draft.location_id)
    shown_to = lead or Lead(tenant_id=session.scope.tenant_id, id=_NOBODY)
    filled = message_values(shown_to, location, links, _APPOINTMENT)
    filled |= {"manage_link": filled["chat_link"], **({} if lead else _SAMPLE)}
    named = dict.fromkeys([*variables(subject or ""), *variables(draft.body)])
    unknown = [name for name in named if name not in filled]
    filled |= {name: f"{{{name}}}" for name in unknown}
    text = render(draft.body, filled)
    if draft.channel is Channel.EMAIL:
        head = Letterhead.of(shown_to, location, links)
        shown = render(subject or "", filled)
        return Preview(shown, as_text(text, head), as_html(shown, text, head), None, None, unknown)
    encoding, count = segments(text) if draft.channel is Channel.SMS else (None, None)
    return Preview(None, text, None, count, encoding, unknown)


def _check(text: str, name: str, longest: int) -> None:
    if len(text) > longest:
        raise BadInputError(f"{name} has {len(text)} characters: send {longest} at most", field=("input", name))
    for found in check(text, variables(text)):  # malformed braces; unknown variables are part of the answer
        raise BadInputError(found.message, field=("input", name))


async def _lead(session: ReadSession, lead_id: UUID | None) -> Lead | None:
    if lead_id is None:
        return None
    lead = await leads_repository.get(session, lead_id)
    if lead is None:
        raise NotFoundError(f"there is no lead {encode(Kind.LEAD, lead_id)}", field=("input", "leadId"))
    return lead


async def _location(session: ReadSession, location_id: UUID | None) -> Location:
    if location_id is None:
        location = await tenancy_repository.first_location(session)
    else:
        location = await tenancy_repository.location(session, location_id)
    if location is None:
        named = f"location {encode(Kind.LOCATION, location_id)}" if location_id else "location yet"
        raise NotFoundError(f"there is no {named}", field=("input", "locationId"))
    return location
