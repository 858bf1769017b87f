"""Services, free times and bookings by REST."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from lead_orchestrator.booking.appointments import repository as appointment_repository
from lead_orchestrator.booking.appointments.wanted import Customer, Wanted
from lead_orchestrator.booking.models import Appointment
from lead_orchestrator.booking.service import LOCAL_FORM
from lead_orchestrator.booking.tokens import Offer, opened_offer
from lead_orchestrator.catalog import repository as catalog_repository
from lead_orchestrator.catalog.models import Service
from lead_orchestrator.clock import app_now, real_now
from lead_orchestrator.errors import BadInputError, UnauthenticatedError
from lead_orchestrator.ids import Kind, decode, encode
from lead_orchestrator.leads.models import LeadSource
from lead_orchestrator.messaging.submissions import opened_ticket
from lead_orchestrator.rest.api.edge import Call, PublicServices, client_address
from lead_orchestrator.rest.api.forms import check_person, opened_form
from lead_orchestrator.rest.api.leads import checked_address
from lead_orchestrator.rest.api.models import (
    BookedOut,
    BookingIn,
    ServiceOut,
    ServicesOut,
    SlotOut,
    SlotsOut,
    SlotsQuery,
)
from lead_orchestrator.rest.preferences import checked_ip
from lead_orchestrator.tenancy.idempotency import KeyReusedError
from lead_orchestrator.tenancy.public.places import Place
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["Booked", "book", "list_services", "list_slots", "service_keys", "take"]

SHOWN_DAYS = timedelta(days=14)
LONGEST_KEY = 100
_USED = "this lead's token has booked already: change that appointment by its link, or send the form again"


@dataclass(frozen=True)
class Booked:
    """An appointment as its customer sees it; `services` are their names."""

    appointment: Appointment
    services: Sequence[str]
    manage_url: str


async def list_services(call: Call) -> ServicesOut:
    """What the shop sells, in its order."""
    place = call.shop
    async with call.services.tenancy.read(place.scope) as session:
        offered = await catalog_repository.offered_at(session, [place.location_id], active_only=True)
    return ServicesOut(
        shop=place.location.name,
        time_zone=place.location.timezone,
        services=[_service(one) for one in offered[place.location_id]],
    )


async def list_slots(call: Call) -> SlotsOut:
    """When these services, one after the other, can begin."""
    asked: SlotsQuery = call.asked
    place = call.shop
    services = service_keys(asked.service_ids)
    async with call.services.tenancy.read(place.scope) as session:
        today = (await app_now(session)).astimezone(ZoneInfo(place.location.timezone)).date()
        first = asked.from_ or today
        last = asked.to or first + SHOWN_DAYS
        found = await call.services.booking.slots(session, place.location_id, services, first, last)
    return SlotsOut(
        time_zone=place.location.timezone,
        slots=[
            SlotOut(starts_at=one.starts_at, ends_at=one.ends_at, local_start=one.local_start, token=one.token)
            for one in found
        ],
    )


async def book(call: Call) -> BookedOut:
    """Take a time; once for each key, and once for each lead's token."""
    asked: BookingIn = call.asked
    services, place = call.services, call.shop
    async with services.tenancy.read(place.scope) as session:
        now = await real_now(session)
    form = opened_form(services.links, place, asked.form_token, now) if asked.form_token else None
    check_person(form, asked.website, now)
    key = call.request.headers.get("idempotency-key") or (form.digest if form else str(uuid4()))
    if len(key) > LONGEST_KEY:
        message = f"the header Idempotency-Key has {len(key)} characters: send {LONGEST_KEY} at most"
        raise BadInputError(message, field=("Idempotency-Key",))
    made = await take(services, place, _wanted(call, asked), key, lead_token=asked.lead_token)
    row = made.appointment
    return BookedOut(
        id=encode(Kind.APPOINTMENT, row.id),
        status=row.status,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        local_start=row.starts_at.astimezone(ZoneInfo(place.location.timezone)).strftime(LOCAL_FORM),
        services=list(made.services),
        manage_url=made.manage_url,
    )


async def take(
    services: PublicServices, place: Place, wanted: Wanted, key: str, *, lead_token: str | None = None
) -> Booked:
    """Book what is wanted, for whom `lead_token` stands if there is one.

    Raises:
        BadInputError: SLOT_TAKEN and whatever else the booking may refuse.
        UnauthenticatedError: the token is of no use, or has booked something else.
    """
    await services.freshness.before_booking(place.scope, wanted)
    async with services.tenancy.write(place.scope) as session:
        if wanted.token is not None:
            await _check_shop(session, services, place, wanted.token)
        key = f"{place.location_id}:{key}"
        if lead_token is not None:
            ticket = await opened_ticket(session, services.links, lead_token, place.location_id)
            wanted, key = replace(wanted, lead_id=ticket.lead_id, customer=None), f"lead token {ticket.digest}"
        try:
            row = await services.appointments.book(session, wanted, key)
        except KeyReusedError:
            if lead_token is None:
                raise
            raise UnauthenticatedError(_USED, code="TOKEN_USED") from None
        names = [one.name for one in await appointment_repository.booked_services(session, row.id)]
    return Booked(row, names, services.links.manage(place.tenant_id, row.id, row.manage_nonce or b""))


async def _check_shop(session: WriteSession, services: PublicServices, place: Place, token: str) -> None:
    """Raises BadInputError: SLOT_TOKEN_EXPIRED, or SLOT_TOKEN_INVALID: it was offered by another shop, or by none of ours."""
    offer = opened_offer(services.links, place.tenant_id, token, await real_now(session))
    if offer.location_id != place.location_id:
        message = "slotToken is another shop's: ask for the free times of this one"
        raise BadInputError(message, code="SLOT_TOKEN_INVALID", field=("slotToken",))


def service_keys(ids: Sequence[str]) -> list[UUID]:
    """Raises BadInputError: an id is none; `field` leads to it."""
    found = []
    for number, one in enumerate(ids):
        try:
            found.append(decode(Kind.SERVICE, one))
        except BadInputError as error:
            raise BadInputError(error.message, code="INVALID_ID", field=("serviceIds", str(number))) from None
    return found


def _wanted(call: Call, asked: BookingIn) -> Wanted:
    who = None if asked.lead_token else _customer(call, asked)
    return Wanted(
        token=asked.slot_token, offer=_offer(call.shop, asked), customer=who, notes=asked.notes, source=LeadSource.API
    )


def _offer(place: Place, asked: BookingIn) -> Offer | None:
    given = asked.service_ids is not None or asked.starts_at is not None
    if (asked.slot_token is not None) == given:
        message = "slotToken, or serviceIds with startsAt, says what to book: send one of the two ways"
        raise BadInputError(message, code="SLOT_NEEDED", field=("slotToken",))
    if asked.slot_token is not None:
        return None
    if asked.service_ids is None:
        raise BadInputError("serviceIds is missing: send it with startsAt", field=("serviceIds",))
    if asked.starts_at is None or asked.starts_at.tzinfo is None:
        message = "startsAt is missing or has no offset: write it as in 2026-03-01T09:30:00-08:00"
        raise BadInputError(message, field=("startsAt",))
    return Offer(place.location_id, service_keys(asked.service_ids), asked.starts_at)


def _customer(call: Call, asked: BookingIn) -> Customer:
    name = (asked.first_name or "").strip()
    if not name:
        message = "firstName is missing: say who comes, or send the leadToken of a form"
        raise BadInputError(message, code="CUSTOMER_NEEDED", field=("firstName",))
    phone, email = checked_address(asked.phone, asked.email)
    source = f"api: {call.origin}" if call.origin else "api"
    given = asked.consent.given(source, checked_ip(client_address(call.request))) if asked.consent else ()
    return Customer(name, phone, (asked.last_name or "").strip() or None, email, tuple(given))


def _service(row: Service) -> ServiceOut:
    return ServiceOut(
        id=encode(Kind.SERVICE, row.id),
        name=row.name,
        description=row.description,
        category=row.category,
        price_cents=row.price_cents,
        currency=row.currency,
        duration_minutes=row.duration_minutes,
    )
