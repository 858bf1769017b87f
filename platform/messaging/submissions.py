"""What somebody sends from a survey or a partner's form: one lead, its answers, and a welcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from lead_orchestrator.clock import real_now
from lead_orchestrator.errors import NotFoundError, UnauthenticatedError
from lead_orchestrator.leads import repository as leads_repository
from lead_orchestrator.leads.service import Enquiry, Leads
from lead_orchestrator.leads.surveys.answers import Answered, answered
from lead_orchestrator.leads.surveys.definition import Ending
from lead_orchestrator.leads.surveys.service import keep_answers, survey_of
from lead_orchestrator.messaging.service import Messages
from lead_orchestrator.tenancy.links import LEAD_TICKET, LinkSigner, Ticket
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = ["Submissions", "Submitted", "opened_ticket"]

TICKET_LASTS = timedelta(hours=2)
"""In real time."""


@dataclass(frozen=True)
class Submitted:
    """`token` stands for the lead: it is good for one welcome, which is on its way already, and for one booking.

    Nothing in it tells whether the person was known before.
    """

    lead_id: UUID
    token: str
    expires_at: datetime
    ending: Ending


class Submissions:
    """The same rules for the page, for partners and for whoever comes next."""

    def __init__(self, leads: Leads, messages: Messages, links: LinkSigner) -> None:
        self._leads = leads
        self._messages = messages
        self._links = links

    async def submit(
        self,
        session: WriteSession,
        location: Location,
        enquiry: Enquiry,
        answers: Mapping[str, object] | None = None,
        version: int | None = None,
    ) -> Submitted:
        """Find or make the lead, keep its answers (None: it was not asked), and plan its welcome.

        `version` is the survey's that was asked, None the one in force. What the answers say of address and vehicle fills
        what the enquiry leaves out.

        Raises:
            BadInputError: an answer is missing or wrong; `field` leads to it.
        """
        survey = await survey_of(session, location, version)
        said = answered(survey, answers) if answers is not None and survey.version else answers
        received = await self._leads.receive(session, _completed(enquiry, said))
        if said is not None:
            await keep_answers(session, self._leads, received.lead, survey, said)
        expires_at = await real_now(session) + TICKET_LASTS
        token = self._links.ticket(LEAD_TICKET, location.tenant_id, location.id, expires_at, received.lead.id)
        ticket = self._links.open_ticket(LEAD_TICKET, token)
        await self._messages.welcome(session, ticket.lead_id, ticket.digest)
        ending = said.ending if isinstance(said, Answered) else Ending.THANKS
        return Submitted(received.lead.id, token, ticket.expires_at, ending)


async def opened_ticket(session: ReadSession, links: LinkSigner, token: str, location_id: UUID) -> Ticket:
    """What a lead's token names, at the shop it was given by.

    Raises:
        UnauthenticatedError: it is none of ours, another shop's, has expired, or its lead was erased.
    """
    try:
        ticket = links.open_ticket(LEAD_TICKET, token)
    except NotFoundError:
        raise UnauthenticatedError("the lead's token is not valid: use the one you were given") from None
    if (ticket.tenant_id, ticket.location_id) != (session.scope.tenant_id, location_id):
        raise UnauthenticatedError("the lead's token is another shop's: use it there")
    if ticket.expires_at <= await real_now(session):
        raise UnauthenticatedError("the lead's token has expired: send the form again")
    if await leads_repository.get(session, ticket.lead_id) is None:
        raise UnauthenticatedError("the lead's token stands for nobody any more: send the form again")
    return ticket


def _completed(enquiry: Enquiry, said: Answered | Mapping[str, object] | None) -> Enquiry:
    if not isinstance(said, Answered):
        return replace(enquiry, welcomed=True)
    return replace(
        enquiry,
        phone=enquiry.phone or said.phone,
        email=enquiry.email or said.email,
        vehicle=enquiry.vehicle or said.vehicle,
        welcomed=True,
    )
