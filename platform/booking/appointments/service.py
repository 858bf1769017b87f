"""The life of an appointment: held, booked, moved, cancelled, done."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from lead_orchestrator.booking.appointments import repository
from lead_orchestrator.booking.appointments.notices import Notices
from lead_orchestrator.booking.appointments.taking import Place, in_turn, taken_place
from lead_orchestrator.booking.availability import Request, booked, known, read_facts
from lead_orchestrator.booking.models import Appointment, AppointmentService, AppointmentStatus
from lead_orchestrator.booking.outbox.models import OutboxKind, destinations
from lead_orchestrator.booking.outbox.repository import owe
from lead_orchestrator.booking.slots import free_times
from lead_orchestrator.booking.tokens import Offer, opened_offer
from lead_orchestrator.clock import app_now, real_now
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads.consents import ConsentGiven
from lead_orchestrator.leads.models import Lead, LeadSource, LeadStatus
from lead_orchestrator.leads.service import Enquiry, Leads, end_touches, locked
from lead_orchestrator.messaging.templates.models import TemplateVariant
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.idempotency import once
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = ["HOLD_LASTS", "Appointments", "Customer", "Wanted"]

HOLD_LASTS = timedelta(minutes=10)
"""On the product's clock."""

LONGEST_NOTES = 2000
LONGEST_REASON = 500
_NONCE = 16
_S = AppointmentStatus


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
            "offer": _offered(offer) if offer else None,
            "lead": str(self.lead_id or ""),
            "customer": [who.first_name, who.last_name, who.phone, who.email] if who else None,
            "notes": self.notes,
        }


class Appointments:
    """Every change is one transaction: the appointment, what becomes of its lead, what the customer is told, and what other
    systems are owed."""

    def __init__(self, leads: Leads, links: LinkSigner) -> None:
        self._leads = leads
        self._links = links
        self._notices = Notices(links)

    async def hold(self, session: WriteSession, offer: Offer, lead_id: UUID | None, key: str) -> Appointment:
        """Keep a time for `HOLD_LASTS`, for whoever books it by the hold.

        Raises:
            BadInputError: SLOT_TAKEN, OUTSIDE_HOURS, IN_THE_PAST, UNKNOWN_SERVICE, …
            NotFoundError: the caller sees no such location or lead.
        """

        async def held() -> UUID:
            request = await known(session, offer.location_id, offer.service_ids)
            place = await taken_place(session, request, offer.starts_at)
            lead = await self._own_lead(session, lead_id, offer.location_id) if lead_id else None
            row = await _inserted(session, request, place, _S.HELD)
            row.lead_id, row.hold_expires_at = lead.id if lead else None, request.now + HOLD_LASTS
            await self._became(session, row, "held", lead)
            return row.id

        async def work() -> UUID:
            return await in_turn(session, offer.location_id, held)

        made = await once(session, "holdSlot", key, {**_offered(offer), "lead": str(lead_id or "")}, work)
        return await _seen(session, made.result_id)

    async def book(self, session: WriteSession, wanted: Wanted, key: str) -> Appointment:
        """Book it, once for each `key`.

        Raises:
            BadInputError: SLOT_TAKEN, OUTSIDE_HOURS, IN_THE_PAST, UNKNOWN_SERVICE, HOLD_EXPIRED, CUSTOMER_NEEDED, …
            NotFoundError: the caller sees no such location, lead or hold.
        """
        notes = _text("notes", wanted.notes, LONGEST_NOTES)

        async def work() -> UUID:
            offer = wanted.offer
            if wanted.token is not None:
                offer = opened_offer(self._links, session.scope.tenant_id, wanted.token, await real_now(session))
            if offer is None:
                return await self._book_hold(session, wanted, notes)
            taking = offer

            async def booked_offer() -> UUID:
                request = await known(session, taking.location_id, taking.service_ids)
                place = await taken_place(session, request, taking.starts_at)
                lead = await self._lead(session, wanted, None, request.location)
                row = await _inserted(session, request, place, _S.CONFIRMED)
                return await self._booked(session, row, lead, request.location, notes)

            return await in_turn(session, taking.location_id, booked_offer)

        made = await once(session, "bookAppointment", key, wanted.request(), work)
        return await _seen(session, made.result_id)

    async def reschedule(
        self, session: WriteSession, appointment_id: UUID, starts_at: datetime, key: str
    ) -> Appointment:
        """Move it, with the services and durations it was booked with; messages about it follow.

        Raises:
            BadInputError: NOT_CONFIRMED, SLOT_TAKEN, OUTSIDE_HOURS, IN_THE_PAST, …
            NotFoundError: the caller sees no such appointment.
        """

        async def work() -> UUID:
            return (await self.move(session, appointment_id, starts_at)).id

        asked = {"id": str(appointment_id), "startsAt": starts_at.isoformat()}
        await once(session, "rescheduleAppointment", key, asked, work)
        return await _seen(session, appointment_id)

    async def move(self, session: WriteSession, appointment_id: UUID, starts_at: datetime) -> Appointment:
        """As `reschedule`, for a form: sent twice, it is moved to where it is."""

        async def moved(row: Appointment, lead: Lead | None, location: Location) -> None:
            if row.status != _S.CONFIRMED:
                raise _wrong_status(row, "NOT_CONFIRMED", "only a confirmed one is moved")
            if row.starts_at == starts_at:
                return
            services = await repository.booked_services(session, row.id)
            request = await booked(session, row, services)
            place = await taken_place(session, request, starts_at, row.id)
            row.bay, row.during = place.bay, place.during
            await session.flush()
            await self._tell(session, lead, location, row, TemplateVariant.RESCHEDULED)
            await self._became(session, row, "rescheduled", lead)

        await self._changed(session, appointment_id, moved)
        return await _seen(session, appointment_id)

    async def other_times(self, session: ReadSession, appointment: Appointment, days: int) -> list[datetime]:
        """When it could begin instead, within so many days from now."""
        services = await repository.booked_services(session, appointment.id)
        request = await booked(session, appointment, services)
        first = request.now.astimezone(request.zone).date()
        last = first + timedelta(days=days)
        facts = await read_facts(session, request, first, last, appointment.id)
        free = free_times(facts, request.work, first, last)
        return [one.starts_at for one in free if one.starts_at != appointment.starts_at]

    async def cancel(self, session: WriteSession, appointment_id: UUID, reason: str | None) -> Appointment:
        """Give its time back; twice is as good as once.

        Raises:
            BadInputError: NOT_CANCELLABLE: it has taken place.
            NotFoundError: the caller sees no such appointment.
        """
        why = _text("reason", reason, LONGEST_REASON)

        async def cancelled(row: Appointment, lead: Lead | None, location: Location) -> None:
            if row.status == _S.CANCELLED:
                return
            if row.status not in (_S.HELD, _S.CONFIRMED):
                raise _wrong_status(row, "NOT_CANCELLABLE", "only a held or confirmed one is cancelled")
            was_booked = row.status == _S.CONFIRMED
            row.status, row.cancel_reason = _S.CANCELLED, why
            await session.flush()
            if was_booked:
                await self._tell(session, lead, location, row, TemplateVariant.CANCELLED)
            await self._became(session, row, "cancelled", lead)

        await self._changed(session, appointment_id, cancelled)
        return await _seen(session, appointment_id)

    async def set_status(self, session: WriteSession, appointment_id: UUID, status: AppointmentStatus) -> Appointment:
        """Say what became of it: COMPLETED (its lead is won) or NO_SHOW, of one that has begun; CANCELLED is `cancel`; CONFIRMED
        takes a mistake back.

        Raises:
            BadInputError: NOT_STARTED, WRONG_STATUS, SLOT_TAKEN.
            NotFoundError: the caller sees no such appointment.
        """
        if status is _S.CANCELLED:
            return await self.cancel(session, appointment_id, None)

        async def settled(row: Appointment, lead: Lead | None, _location: Location) -> None:
            if row.status == status:
                return
            await _check_step(session, row, status)
            row.status = status
            await session.flush()
            if lead is not None:
                await self._notices.withdraw(session, lead, row.id, f"The appointment is {status.value}")
                if status is _S.COMPLETED:
                    await self._leads.move(session, lead, LeadStatus.WON, "The appointment took place")
            await self._became(session, row, status.value.lower(), lead)

        await self._changed(session, appointment_id, settled)
        return await _seen(session, appointment_id)

    async def _book_hold(self, session: WriteSession, wanted: Wanted, notes: str | None) -> UUID:
        hold_id = wanted.hold_id
        location_id = await repository.location_of(session, hold_id) if hold_id else None
        if hold_id is None or location_id is None:
            named = encode(Kind.APPOINTMENT, hold_id) if hold_id else "given"
            raise NotFoundError(f"there is no hold {named}", field=("holdId",))

        async def booked_hold() -> UUID:
            row = await repository.get_for_update(session, hold_id)
            if row is None or row.status != _S.HELD:
                message = "this hold has expired or was used: ask for the free times again"
                raise BadInputError(message, code="HOLD_EXPIRED", field=("holdId",))
            location = await _location(session, location_id)
            lead = await self._lead(session, wanted, row.lead_id, location)
            row.status, row.hold_expires_at = _S.CONFIRMED, None
            return await self._booked(session, row, lead, location, notes)

        return await in_turn(session, location_id, booked_hold)

    async def _booked(
        self, session: WriteSession, row: Appointment, lead: Lead, location: Location, notes: str | None
    ) -> UUID:
        row.lead_id, row.notes, row.manage_nonce = lead.id, notes, secrets.token_bytes(_NONCE)
        await session.flush()
        await self._leads.move(session, lead, LeadStatus.BOOKED, "An appointment was booked")
        await end_touches(session, lead, "An appointment was booked")
        await self._tell(session, lead, location, row, TemplateVariant.STANDARD)
        await self._became(session, row, "booked", lead)
        return row.id

    async def _changed(
        self,
        session: WriteSession,
        appointment_id: UUID,
        change: Callable[[Appointment, Lead | None, Location], Awaitable[None]],
    ) -> None:
        location_id = await repository.location_of(session, appointment_id)
        if location_id is None:
            raise NotFoundError(f"there is no appointment {encode(Kind.APPOINTMENT, appointment_id)}", field=("id",))

        async def work() -> None:
            row = await repository.get_for_update(session, appointment_id)
            if row is None:
                raise NotFoundError(f"there is no appointment {encode(Kind.APPOINTMENT, appointment_id)}")
            lead = await locked(session, row.lead_id) if row.lead_id else None
            await change(row, lead, await _location(session, location_id))

        await in_turn(session, location_id, work)

    async def _lead(self, session: WriteSession, wanted: Wanted, held_for: UUID | None, location: Location) -> Lead:
        if wanted.lead_id is not None:
            return await self._own_lead(session, wanted.lead_id, location.id)
        who = wanted.customer
        if who is not None:
            enquiry = Enquiry(
                location_id=location.id,
                source=wanted.source,
                first_name=who.first_name,
                last_name=who.last_name,
                email=who.email,
                phone=who.phone,
                consents=who.consents,
            )
            return (await self._leads.receive(session, enquiry)).lead
        if held_for is not None:
            return await locked(session, held_for)
        message = "nobody is named who comes: send a leadId or a customer"
        raise BadInputError(message, code="CUSTOMER_NEEDED", field=("customer",))

    async def _own_lead(self, session: WriteSession, lead_id: UUID, location_id: UUID) -> Lead:
        lead = await locked(session, lead_id)
        if lead.location_id != location_id:
            message = "this lead is another location's: book it there, or send the customer instead"
            raise BadInputError(message, code="LEAD_ELSEWHERE", field=("leadId",))
        return lead

    async def _tell(
        self, session: WriteSession, lead: Lead | None, location: Location, row: Appointment, variant: TemplateVariant
    ) -> None:
        if lead is not None:
            services = await repository.booked_services(session, row.id)
            await self._notices.tell(session, lead, location, row, services, variant)
        await self._owe(session, row, location)

    async def _owe(self, session: WriteSession, row: Appointment, location: Location) -> None:
        """The one place where other systems are put in debt; see `outbox`."""
        kinds = destinations(location)
        await owe(session, row, kinds)
        if OutboxKind.SHOPMONKEY_APPOINTMENT in kinds:
            row.sync_status = "PENDING"

    async def _became(self, session: WriteSession, row: Appointment, what: str, lead: Lead | None) -> None:
        target = encode(Kind.APPOINTMENT, row.id)
        await session.flush()
        if lead is not None:
            detail = {"appointmentId": target, "startsAt": row.starts_at.isoformat(), "status": row.status}
            session.record(f"appointment.{what}", location_id=row.location_id, lead_id=lead.id, detail=detail)
        session.audit(f"appointment.{what}", target=target, detail={"startsAt": row.starts_at.isoformat()})


async def _inserted(session: WriteSession, request: Request, place: Place, status: AppointmentStatus) -> Appointment:
    prices = [service.price_cents for service in request.services]
    row = Appointment(
        tenant_id=session.scope.tenant_id,
        location_id=request.location.id,
        bay=place.bay,
        during=place.during,
        status=status,
        hold_expires_at=request.now + HOLD_LASTS if status is _S.HELD else None,
        total_cents=None if None in prices else sum(price or 0 for price in prices),
        currency=request.services[0].currency,
        created_at=request.now,
    )
    repository.add(session, row)
    await session.flush()
    for position, service in enumerate(request.services):
        booked_service = AppointmentService(
            tenant_id=row.tenant_id,
            location_id=row.location_id,
            appointment_id=row.id,
            service_id=service.id,
            position=position,
            name=service.name,
            price_cents=service.price_cents,
            duration_minutes=service.duration_minutes,
        )
        repository.add(session, booked_service)
    await session.flush()
    return row


async def _seen(session: WriteSession, appointment_id: UUID) -> Appointment:
    row = await repository.get_for_update(session, appointment_id)
    if row is None:
        raise NotFoundError(f"there is no appointment {encode(Kind.APPOINTMENT, appointment_id)}", field=("id",))
    return row


async def _location(session: WriteSession, location_id: UUID) -> Location:
    location = await tenancy_repository.location(session, location_id)
    if location is None:
        raise RuntimeError("an appointment's location is not in the session's scope")
    return location


async def _check_step(session: WriteSession, row: Appointment, status: AppointmentStatus) -> None:
    if row.status not in (_S.CONFIRMED, _S.COMPLETED, _S.NO_SHOW) or status is _S.HELD:
        raise _wrong_status(row, "WRONG_STATUS", f"it cannot become {status.value}")
    if status in (_S.COMPLETED, _S.NO_SHOW) and row.starts_at > await app_now(session):
        raise _wrong_status(
            row, "NOT_STARTED", f"it begins at {row.starts_at.isoformat()} and cannot be {status.value} yet"
        )


def _wrong_status(row: Appointment, code: str, why: str) -> BadInputError:
    return BadInputError(f"the appointment is {row.status}: {why}", code=code, field=("id",))


def _text(name: str, value: str | None, longest: int) -> str | None:
    text = (value or "").strip()
    if len(text) > longest:
        raise BadInputError(f"{name} has {len(text)} characters: send {longest} at most", field=(name,))
    return text or None


def _offered(offer: Offer) -> dict[str, object]:
    return {
        "location": str(offer.location_id),
        "services": [str(service_id) for service_id in offer.service_ids],
        "startsAt": offer.starts_at.isoformat(),
    }
