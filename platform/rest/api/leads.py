"""Leads by REST: somebody asks, and staff looks who is about to buy."""

from __future__ import annotations

from collections.abc import Mapping

from lead_orchestrator.clock import real_now
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.cursors import Key, cursor, page
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads import repository
from lead_orchestrator.leads.addresses import checked_zone, known_email, known_phone
from lead_orchestrator.leads.models import Lead, LeadSource, LeadStatus
from lead_orchestrator.leads.service import Enquiry
from lead_orchestrator.leads.surveys.service import survey_of
from lead_orchestrator.leads.vehicles import checked_vehicle
from lead_orchestrator.rest.admission import caller
from lead_orchestrator.rest.api.edge import Call, client_address
from lead_orchestrator.rest.api.forms import check_person, form_token, opened_form
from lead_orchestrator.rest.api.models import FormOut, LeadCreatedOut, LeadIn, LeadOut, LeadsOut, LeadsQuery
from lead_orchestrator.rest.api.wording import consent_text
from lead_orchestrator.rest.preferences import checked_ip
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["checked_address", "create_lead", "list_leads", "show_form"]

SHOWN = (LeadStatus.BOOKED, LeadStatus.HOT)
_ORDER = "newest"


async def show_form(call: Call) -> FormOut:
    """What a form of the shop's has to show."""
    place = call.shop
    async with call.services.tenancy.read(place.scope) as session:
        survey = await survey_of(session, place.location)
        now = await real_now(session)
    return FormOut(
        shop=place.location.name,
        time_zone=place.location.timezone,
        survey=survey.dumped(),
        survey_version=survey.version or 0,
        consent=consent_text(survey, place.location.name),
        form_token=form_token(call.services.links, place, survey.version or 0, now),
    )


async def create_lead(call: Call) -> LeadCreatedOut:
    """Somebody asks for a quote: nothing of what is stored is overwritten or shown."""
    asked: LeadIn = call.asked
    place, services = call.shop, call.services
    enquiry = _enquiry(call, asked)
    async with services.tenancy.write(place.scope) as session:
        now = await real_now(session)
        form = opened_form(services.links, place, asked.form_token, now) if asked.form_token else None
        check_person(form, asked.website, now)
        version = asked.survey_version or (form.version if form else None) or None
        made = await services.submissions.submit(session, place.location, enquiry, asked.answers, version)
    return LeadCreatedOut(
        token=made.token,
        expires_at=made.expires_at,
        next=made.ending.value,
        booking_url=f"{place.own_origin}/book/{place.location.slug}?lead={made.token}",
    )


async def list_leads(call: Call) -> LeadsOut:
    """Those who have booked or are about to, of the caller's locations."""
    asked: LeadsQuery = call.asked
    part = page(asked.first, asked.after, _ORDER, (Kind.LEAD,))
    after = (part.after.value, part.after.id) if part.after else None
    statuses = [LeadStatus(status) for status in asked.status] or list(SHOWN)
    async with call.services.tenancy.read(Scope.of(caller(call.request))) as session:
        rows = await repository.with_status(session, statuses, after, part.first + 1)
    shown, more = rows[: part.first], len(rows) > part.first
    last = Key(shown[-1].created_at, shown[-1].id) if more else None
    return LeadsOut(leads=[_shown(row) for row in shown], next=cursor(_ORDER, last, Kind.LEAD) if last else None)


def checked_address(phone: str | None, email: str | None) -> tuple[str, str | None]:
    """Both as they are stored; what was sent is not repeated.

    Raises:
        BadInputError: INVALID_PHONE, INVALID_EMAIL.
    """
    number = known_phone(phone)
    if number is None:
        message = "phone is not a phone number: write it with its country code, as in +1 213 555 0101"
        raise BadInputError(message, code="INVALID_PHONE", field=("phone",))
    address = known_email(email)
    if address is None and (email or "").strip():
        message = "email is not a mail address: write it as in name@example.com"
        raise BadInputError(message, code="INVALID_EMAIL", field=("email",))
    return number, address


def _enquiry(call: Call, asked: LeadIn) -> Enquiry:
    phone, email = checked_address(asked.phone, asked.email)
    source = f"api: {call.origin}" if call.origin else "api"
    return Enquiry(
        location_id=call.shop.location_id,
        source=LeadSource.SURVEY if asked.answers is not None else LeadSource.API,
        first_name=_text(asked.first_name),
        last_name=_text(asked.last_name),
        email=email,
        phone=phone,
        time_zone=checked_zone(asked.time_zone),
        postal_code=_text(asked.postal_code),
        vehicle=checked_vehicle(asked.vehicle, "vehicle") if asked.vehicle else None,
        consents=tuple(asked.consent.given(source, checked_ip(client_address(call.request)))) if asked.consent else (),
    )


def _text(value: str | None) -> str | None:
    return (value or "").strip() or None


def _shown(lead: Lead) -> LeadOut:
    survey: Mapping[str, object] | None = lead.survey
    return LeadOut(
        id=encode(Kind.LEAD, lead.id),
        location_id=encode(Kind.LOCATION, lead.location_id),
        first_name=lead.first_name,
        last_name=lead.last_name,
        email=lead.email,
        phone=lead.phone,
        status=LeadStatus(lead.status),
        source=lead.source,
        time_zone=lead.time_zone,
        survey=dict(survey) if survey is not None else None,
        created_at=lead.created_at,
        last_activity_at=lead.last_activity_at,
    )
