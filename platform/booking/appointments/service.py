"""The life of an appointment: held, booked, moved, cancelled, done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

from lead_orchestrator.booking.appointments import repository
from lead_orchestrator.booking.appointments.consequences import Consequences, new_nonce, record
from lead_orchestrator.booking.appointments.notices import Notices
from lead_orchestrator.booking.appointments.people import People, own_lead
from lead_orchestrator.booking.appointments.taking import Place, in_turn, taken_place
from lead_orchestrator.booking.appointments.wanted import Wanted, offered
from lead_orchestrator.booking.availability import Request, booked, known, read_facts
from lead_orchestrator.booking.models import Appointment, AppointmentStatus
from lead_orchestrator.booking.outbox.models import destinations
from lead_orchestrator.booking.slots import free_times
from lead_orchestrator.booking.tokens import Offer, opened_offer
from lead_orchestrator.clock import app_now, real_now
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads.models import Lead, LeadStatus
from lead_orchestrator.leads.service import Leads, locked
from lead_orchestrator.messaging.templates.models import TemplateVariant
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.idempotency import once
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.sessions import ReadSession, WriteSession

__all__ = ["HOLD_LASTS", "Appointments"]

HOLD_LASTS = timedelta(minutes=10)
"""On the product's clock."""

LONGEST_NOTES = 2000
LONGEST_REASON = 500
_S = AppointmentStatus


class Appointments:
    """Every change is one transaction: the appointment, what becomes of its lead, what the customer is told, and what other
    systems are owed."""

    def __init__(self, leads: Leads, links: LinkSigner) -> None:
        self._leads = leads
        self._links = links
        self._people = People(leads)
        self._notices = Notices(links)
        self._consequences = Consequences(leads, self._notices)

    async def hold(self, session: WriteSession, offer: Offer, lead_id: UUID | None, key: str) -> Appointment:
        """Keep a time for `HOLD_LASTS`, for whoever books it by the hold.

        Raises:
            BadInputError: SLOT_TAKEN, OUTSIDE_HOURS, IN_THE_PAST, UNKNOWN_SERVICE, …
            NotFoundError: the caller sees no such location or lead.
        """

        made: list[Appointment] = []

        async def work() -> UUID:
            request = await known(session, offer.location_id, offer.service_ids)

            async def held() -> Appointment:
                place = await taken_place(session, request, offer.starts_at)
                lead = await own_lead(session, lead_id, offer.location_id) if lead_id else None
                row = _new(session, request, place, lead)
                row.status, row.hold_expires_at = _S.HELD, request.now + HOLD_LASTS
                await repository.insert_appointment(session, row, request.services)
                await record(session, row, "held", lead)
                return row

            made.append(await in_turn(session, offer.location_id, held))
            return made[0].id

        once_made = await once(session, "holdSlot", key, {**offered(offer), "lead": str(lead_id or "")}, work)
        return made[0] if made else await _seen(session, once_made.result_id)

    async def book(self, session: WriteSession, wanted: Wanted, key: str) -> Appointment:
        """Book it, once for each `key`.

        Raises:
            BadInputError: SLOT_TAKEN, OUTSIDE_HOURS, IN_THE_PAST, UNKNOWN_SERVICE, HOLD_EXPIRED, CUSTOMER_NEEDED, …
            NotFoundError: the caller sees no such location, lead or hold.
        """
        notes = _text("notes", wanted.notes, LONGEST_NOTES)

        made: list[Appointment] = []

        async def work() -> UUID:
            made.append(await self._book(session, wanted, notes))
            return made[0].id

        once_made = await once(session, "bookAppointment", key, wanted.request(), work)
        return made[0] if made else await _seen(session, once_made.result_id)

    async def _book(self, session: WriteSession, wanted: Wanted, notes: str | None) -> Appointment:
        offer = wanted.offer
        if wanted.token is not None:
            offer = opened_offer(self._links, session.scope.tenant_id, wanted.token, await real_now(session))
        if offer is None:
            return await self._book_hold(session, wanted, notes)
        return await self._book_offer(session, wanted, offer, notes)

    async def _book_offer(self, session: WriteSession, wanted: Wanted, offer: Offer, notes: str | None) -> Appointment:
        """What nobody else can take away is read before the location's turn: the lock is held for as little as there is to do."""
        request = await known(session, offer.location_id, offer.service_ids)
        words = await self._notices.words(session, offer.location_id)

        async def booked_offer() -> Appointment:
            place = await taken_place(session, request, offer.starts_at)
            lead = await self._people.lead(session, wanted, offer.location_id, None)
            row = _new(session, request, place, lead)
            row.status, row.notes, row.manage_nonce = _S.CONFIRMED, notes, new_nonce()
            row.sync_status = "PENDING" if destinations(request.location) else "NOT_NEEDED"
            await repository.insert_appointment(session, row, request.services)
            names = [service.name for service in request.services]
            await self._consequences.of_booking(session, row, lead, request.location, names, words)
            return row

        return await in_turn(session, offer.location_id, booked_offer)

    async def _book_hold(self, session: WriteSession, wanted: Wanted, notes: str | None) -> Appointment:
        hold_id = wanted.hold_id
        location_id = await repository.location_of(session, hold_id) if hold_id else None
        if hold_id is None or location_id is None:
            named = encode(Kind.APPOINTMENT, hold_id) if hold_id else "given"
            raise NotFoundError(f"there is no hold {named}", field=("holdId",))
        location, words = await _location(session, location_id), await self._notices.words(session, location_id)
        names = [service.name for service in await repository.booked_services(session, hold_id)]

        async def booked_hold() -> Appointment:
            row = await repository.get_for_update(session, hold_id)
            if row is None or row.status != _S.HELD:
                message = "this hold has expired or was used: ask for the free times again"
                raise BadInputError(message, code="HOLD_EXPIRED", field=("holdId",))
            lead = await self._people.lead(session, wanted, location_id, row.lead_id)
            row.status, row.hold_expires_at = _S.CONFIRMED, None
            row.lead_id, row.notes, row.manage_nonce = lead.id, notes, new_nonce()
            row.sync_status = "PENDING" if destinations(location) else "NOT_NEEDED"
            await session.flush()
            await self._consequences.of_booking(session, row, lead, location, names, words)
            return row

        return await in_turn(session, location_id, booked_hold)

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
            row.bay, row.during, row.sequence = place.bay, place.during, row.sequence + 1
            await session.flush()
            names = [service.name for service in services]
            await self._consequences.of_change(session, row, lead, location, names, TemplateVariant.RESCHEDULED)
            await record(session, row, "rescheduled", lead)

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
            row.status, row.cancel_reason, row.sequence = _S.CANCELLED, why, row.sequence + 1
            await session.flush()
            if was_booked:
                names = [service.name for service in await repository.booked_services(session, row.id)]
                await self._consequences.of_change(session, row, lead, location, names, TemplateVariant.CANCELLED)
            await record(session, row, "cancelled", lead)

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
            await record(session, row, status.value.lower(), lead)

        await self._changed(session, appointment_id, settled)
        return await _seen(session, appointment_id)

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


def _new(session: WriteSession, request: Request, place: Place, lead: Lead | None) -> Appointment:
    """Whose status is the caller's to say."""
    prices = [service.price_cents for service in request.services]
    return Appointment(
        tenant_id=session.scope.tenant_id,
        location_id=request.location.id,
        lead_id=lead.id if lead else None,
        bay=place.bay,
        during=place.during,
        total_cents=None if None in prices else sum(price or 0 for price in prices),
        currency=request.services[0].currency,
        created_at=request.now,
    )


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
