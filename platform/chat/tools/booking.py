"""Tools that take a time of the shop's: hold it, book it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from lead_orchestrator.booking.appointments import repository as booking_repository
from lead_orchestrator.booking.appointments.service import Appointments
from lead_orchestrator.booking.appointments.wanted import Customer, Wanted
from lead_orchestrator.booking.models import Appointment
from lead_orchestrator.booking.tokens import Offer
from lead_orchestrator.chat.guard.evidence import Evidence, Offered
from lead_orchestrator.chat.tools.arguments import Arguments
from lead_orchestrator.chat.tools.models import Box, Called
from lead_orchestrator.chat.tools.wording import clock, moment, price
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.leads.addresses import known_phone
from lead_orchestrator.leads.models import LeadSource
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["MOST_BOOKED", "MOST_HELD", "BookingTools"]

MOST_HELD, MOST_BOOKED = 3, 2
"""In one conversation and day: who wants more speaks with a person."""

LONGEST_NAME = 100


class BookingTools:
    """Whom it is for is known to the server; only where nobody is known do a typed name and number make a new customer, and a
    typed number never opens what an existing one has."""

    def __init__(self, appointments: Appointments) -> None:
        self._appointments = appointments

    async def hold(self, session: WriteSession, given: Arguments, box: Box) -> Called:
        name, offer = _offer(given, box)
        if box.memory.count("hold_slot") >= MOST_HELD:
            raise BadInputError(f"{MOST_HELD} times were held in this conversation: book one of them, or hand over")
        row = await self._appointments.hold(session, offer, box.bound.lead_id, _key(box, "hold", name))
        local, zone = await _local(session, row)
        until = row.hold_expires_at.astimezone(zone) if row.hold_expires_at else local
        language = box.bound.language
        result = {"held": moment(local, language), "until": clock(until, language)}
        evidence = Evidence(moments=frozenset({local.replace(tzinfo=None)}), held=True)
        handles = {f"{name}:hold": {"hold": str(row.id)}}
        return Called(box.bound.turn, "hold_slot", {"slot": name}, result, evidence, handles)

    async def book(self, session: WriteSession, given: Arguments, box: Box) -> Called:
        name, offer = _offer(given, box)
        if box.memory.count("book_slot") >= MOST_BOOKED:
            raise BadInputError(
                "there are appointments from this conversation already: hand over, a person can change them"
            )
        who = _customer(given, box)
        if who is None and box.bound.lead_id is None:
            return Called(box.bound.turn, "book_slot", {"slot": name}, _missing(given, box))
        row = await self._booked(session, name, offer, who, box)
        local, _ = await _local(session, row)
        services = await booking_repository.booked_services(session, row.id)
        done = {
            "booked": moment(local, box.bound.language),
            "services": [service.name for service in services],
            "total": price(row.total_cents, row.currency),
        }
        evidence = Evidence(
            services=[Offered(one.name, one.price_cents, one.duration_minutes) for one in services],
            totals=frozenset({row.total_cents} if row.total_cents is not None else ()),
            moments=frozenset({local.replace(tzinfo=None)}),
            days=frozenset({local.date()}),
            booked=True,
        )
        return Called(
            box.bound.turn,
            "book_slot",
            {"slot": name},
            done,
            evidence,
            {f"{name}:booked": {"appointment": str(row.id)}},
        )

    async def _booked(
        self, session: WriteSession, name: str, offer: Offer, who: Customer | None, box: Box
    ) -> Appointment:
        """By the hold if there is one that has not expired."""
        lead = None if who else box.bound.lead_id
        if hold := box.memory.hold(name):
            try:
                async with session.attempt():
                    held = Wanted(hold_id=hold, lead_id=lead, customer=who, source=LeadSource.WEB_CHAT)
                    return await self._appointments.book(session, held, _key(box, "book-hold", name))
            except BadInputError as error:
                if error.code != "HOLD_EXPIRED":
                    raise
        wanted = Wanted(offer=offer, lead_id=lead, customer=who, source=LeadSource.WEB_CHAT)
        return await self._appointments.book(session, wanted, _key(box, "book", name))


def _offer(given: Arguments, box: Box) -> tuple[str, Offer]:
    name = given.text("slot")
    offer = box.memory.offer(name, box.bound.location_id)
    if offer is None:
        raise BadInputError(f"{name[:40]!r} is no time of this conversation: use a handle that free_slots gave")
    return name, offer


def _customer(given: Arguments, box: Box) -> Customer | None:
    """Who books where no lead is known: what was typed at the beginning, else what is typed now."""
    if box.bound.lead_id is not None:
        return None
    name = box.bound.name or given.optional_text("name")
    typed = box.bound.phone or given.optional_text("phone")
    if not name or not typed:
        return None
    phone = known_phone(typed)
    if phone is None:
        return None
    first, _, last = name[:LONGEST_NAME].partition(" ")
    return Customer(first_name=first, last_name=last.strip() or None, phone=phone)


def _missing(given: Arguments, box: Box) -> dict[str, object]:
    """What to ask the customer for."""
    if box.bound.phone or given.optional_text("phone"):
        return {"error": "phone is not a telephone number: ask for it again, with its area code", "needs": ["phone"]}
    return {"error": "nobody's name and phone number are known: ask for them", "needs": ["name", "phone"]}


async def _local(session: WriteSession, row: Appointment) -> tuple[datetime, ZoneInfo]:
    location = await tenancy_repository.location(session, row.location_id)
    zone = ZoneInfo(location.timezone if location else "UTC")
    return row.starts_at.astimezone(zone), zone


def _key(box: Box, what: str, name: str) -> str:
    """Booked once, however often a job that was killed does it again."""
    return f"chat:{box.bound.chat_id}:{what}:{name}"
