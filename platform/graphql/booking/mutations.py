"""What can be done about appointments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry

from lead_orchestrator.booking import models
from lead_orchestrator.booking.appointments.service import Appointments
from lead_orchestrator.booking.appointments.visitors import check_own, visitors_wish
from lead_orchestrator.booking.appointments.wanted import Customer, Wanted
from lead_orchestrator.booking.calendar.freshness import Freshness
from lead_orchestrator.booking.models import AppointmentStatus
from lead_orchestrator.booking.tokens import Offer
from lead_orchestrator.errors import BadInputError, UnavailableError
from lead_orchestrator.graphql.booking.types import Appointment
from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.inputs import ConsentInput, consents, text
from lead_orchestrator.graphql.payloads import answer
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.leads.addresses import checked_email, checked_phone
from lead_orchestrator.tenancy.sessions import WriteSession
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["AppointmentMutations"]

Work = Callable[[Appointments, WriteSession], Awaitable[models.Appointment]]
Look = Callable[[Freshness], Awaitable[None]]
LONGEST_NAME = 100


@strawberry.input
class HoldSlotInput:
    location_id: strawberry.ID
    service_ids: list[strawberry.ID]
    starts_at: datetime
    idempotency_key: str
    lead_id: strawberry.ID | None = None


@strawberry.input
class CustomerInput:
    """Whoever has this phone number at the location is that lead already; what is stored of it is not overwritten."""

    first_name: str
    phone: str
    last_name: str | None = None
    email: str | None = None
    consent: ConsentInput | None = None

    def customer(self) -> Customer:
        """Raises BadInputError: INVALID_PHONE, INVALID_EMAIL, or there is no name."""
        try:
            phone, name = checked_phone(self.phone), text(self.first_name, "firstName", LONGEST_NAME)
            if phone is None:
                message = "phone is empty: write it with its country code, as in +1 213 555 0101"
                raise BadInputError(message, code="INVALID_PHONE", field=("phone",))
            if name is None:
                raise BadInputError("firstName is empty: say who comes", field=("firstName",))
            last_name, email = text(self.last_name, "lastName", LONGEST_NAME), checked_email(self.email)
            return Customer(name, phone, last_name, email, tuple(consents(self.consent)))
        except BadInputError as error:
            raise BadInputError(error.message, code=error.code, field=("customer", *(error.field or ()))) from None


@strawberry.input
class BookAppointmentInput:
    """Either `holdId`, or `slotToken`, or `locationId` with `serviceIds` and `startsAt`; for a lead, or for a customer who becomes
    one. A hold for a lead needs neither."""

    idempotency_key: str
    location_id: strawberry.ID | None = None
    service_ids: list[strawberry.ID] | None = None
    starts_at: datetime | None = None
    hold_id: strawberry.ID | None = None
    slot_token: str | None = None
    lead_id: strawberry.ID | None = None
    customer: CustomerInput | None = None
    notes: str | None = None

    def wanted(self) -> Wanted:
        """Raises BadInputError: it does not say what, or says it twice."""
        if self.lead_id is not None and self.customer is not None:
            raise BadInputError("send a leadId or a customer, not both", field=("customer",))
        return Wanted(
            hold_id=decode(Kind.APPOINTMENT, self.hold_id, field="holdId") if self.hold_id else None,
            token=self.slot_token or None,
            offer=self._offer(),
            lead_id=decode(Kind.LEAD, self.lead_id, field="leadId") if self.lead_id else None,
            customer=self.customer.customer() if self.customer else None,
            notes=self.notes,
        )

    def _offer(self) -> Offer | None:
        ways = list(self._ways())
        if len(ways) != 1:
            given = " and ".join(ways) or "nothing"
            message = (
                f"{given} says what to book: send holdId, or slotToken, or locationId with serviceIds and startsAt"
            )
            raise BadInputError(message, field=("holdId",))
        if ways != ["locationId"]:
            return None
        for name, value in (("locationId", self.location_id), ("serviceIds", self.service_ids)):
            if not value:
                raise BadInputError(f"{name} is missing: send it with the other two", field=(name,))
        if self.starts_at is None:
            raise BadInputError("startsAt is missing: send it with the other two", field=("startsAt",))
        return offer(self.location_id or "", self.service_ids or [], self.starts_at)

    def _ways(self) -> Iterator[str]:
        if self.hold_id:
            yield "holdId"
        if self.slot_token:
            yield "slotToken"
        if self.location_id or self.service_ids or self.starts_at:
            yield "locationId"


@strawberry.type
class AppointmentPayload:
    appointment: Appointment | None
    errors: list[UserError]

    @classmethod
    def of(cls, row: models.Appointment | None, errors: list[UserError]) -> Self:
        return cls(appointment=Appointment.of(row) if row else None, errors=errors)

    @classmethod
    def of_visitor(cls, row: models.Appointment | None, errors: list[UserError]) -> Self:
        return cls(appointment=Appointment.of_visitor(row) if row else None, errors=errors)


@strawberry.type
class AppointmentMutations:
    @strawberry.mutation
    async def hold_slot(self, info: Request, input: HoldSlotInput) -> AppointmentPayload:  # noqa: A002 - the contract's name
        """Keep a time for ten minutes, until it is booked by `holdId`."""

        async def work(appointments: Appointments, session: WriteSession) -> models.Appointment:
            wanted = offer(input.location_id, input.service_ids, input.starts_at)
            lead_id = decode(Kind.LEAD, input.lead_id, field="leadId") if input.lead_id else None
            if _visits(info):
                check_own(lead_id, info.context.claims.lead_id)
            return await appointments.hold(session, wanted, lead_id, input.idempotency_key)

        async def look(freshness: Freshness) -> None:
            wanted = offer(input.location_id, input.service_ids, input.starts_at)
            await freshness.before_offer(info.context.scope, wanted)

        return await _answer(info, work, look)

    @strawberry.mutation
    async def book_appointment(self, info: Request, input: BookAppointmentInput) -> AppointmentPayload:  # noqa: A002 - the contract's name
        """The lead's touches end, the customer gets a confirmation and is reminded a day and an hour before."""

        async def work(appointments: Appointments, session: WriteSession) -> models.Appointment:
            return await appointments.book(session, wanted(), input.idempotency_key)

        async def look(freshness: Freshness) -> None:
            await freshness.before_booking(info.context.scope, wanted())

        def wanted() -> Wanted:
            what, claims = input.wanted(), info.context.claims
            if not _visits(info):
                return what
            return visitors_wish(what, claims.lead_id, chats=claims.session_id is not None)

        return await _answer(info, work, look)

    @strawberry.mutation
    async def reschedule_appointment(
        self,
        info: Request,
        id: strawberry.ID,  # noqa: A002 - the contract's name
        starts_at: datetime,
        idempotency_key: str,
    ) -> AppointmentPayload:
        """As it was booked, at another time; confirmation and reminders follow."""

        async def work(appointments: Appointments, session: WriteSession) -> models.Appointment:
            return await appointments.reschedule(session, _key(id), starts_at, idempotency_key)

        async def look(freshness: Freshness) -> None:
            await freshness.before_move(info.context.scope, _key(id), starts_at)

        return await _answer(info, work, look)

    @strawberry.mutation
    async def cancel_appointment(
        self,
        info: Request,
        id: strawberry.ID,  # noqa: A002 - the contract's name
        reason: str | None = None,
    ) -> AppointmentPayload:
        """Its time is free again, and the customer is told; a hold is simply given back."""

        async def work(appointments: Appointments, session: WriteSession) -> models.Appointment:
            return await appointments.cancel(session, _key(id), reason)

        return await _answer(info, work)

    @strawberry.mutation
    async def set_appointment_status(
        self,
        info: Request,
        id: strawberry.ID,  # noqa: A002 - the contract's name
        status: AppointmentStatus,
    ) -> AppointmentPayload:
        """COMPLETED wins the lead; NO_SHOW says that nobody came; both of one that has begun."""

        async def work(appointments: Appointments, session: WriteSession) -> models.Appointment:
            return await appointments.set_status(session, _key(id), status)

        return await _answer(info, work)


def offer(location_id: str, service_ids: Sequence[str], starts_at: datetime) -> Offer:
    """Raises BadInputError: an id is none."""
    services = [decode(Kind.SERVICE, one, field="serviceIds") for one in service_ids]
    return Offer(decode(Kind.LOCATION, location_id, field="locationId"), services, starts_at)


def _key(appointment_id: str) -> UUID:
    return decode(Kind.APPOINTMENT, appointment_id, field="id")


def _visits(info: Request) -> bool:
    return info.context.claims.role is Role.VISITOR


async def _answer(info: Request, work: Work, look: Look | None = None) -> AppointmentPayload:
    services = info.context.services

    async def before() -> None:
        if look is not None and services.freshness is not None:
            await look(services.freshness)

    async def with_appointments(session: WriteSession) -> models.Appointment:
        if services.appointments is None:
            raise UnavailableError("nothing can be booked here")
        return await work(services.appointments, session)

    payload = AppointmentPayload.of_visitor if _visits(info) else AppointmentPayload.of
    return await answer(info, with_appointments, payload, visitors=True, before=before)
