"""What can be changed. Expected failures come back in the payload, and undo what their own field did, nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping

import strawberry

from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.graphql.administration.onboarding import OnboardingMutations
from lead_orchestrator.graphql.administration.tenants import TenantMutations
from lead_orchestrator.graphql.booking.calendars import CalendarMutations
from lead_orchestrator.graphql.booking.capacity import CapacityMutations
from lead_orchestrator.graphql.booking.entering import BookingEntrance
from lead_orchestrator.graphql.booking.mutations import AppointmentMutations
from lead_orchestrator.graphql.catalog.mutations import CatalogMutations
from lead_orchestrator.graphql.chat.assistant import AssistantMutations
from lead_orchestrator.graphql.chat.entering import EnteringMutations
from lead_orchestrator.graphql.chat.mutations import ChatMutations
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.enums import Channel, LeadSource, LeadStatus
from lead_orchestrator.graphql.inputs import ConsentInput, consents, text
from lead_orchestrator.graphql.lead_types import LeadPayload
from lead_orchestrator.graphql.messaging.mutations import MessagingMutations
from lead_orchestrator.graphql.messaging.templates import TemplateMutations
from lead_orchestrator.graphql.operations.mutations import OperationsMutations
from lead_orchestrator.graphql.operations.staff import StaffMutations
from lead_orchestrator.graphql.payloads import answer
from lead_orchestrator.graphql.privacy import PrivacyMutations
from lead_orchestrator.graphql.scalars import JSON
from lead_orchestrator.graphql.surveys import SurveyMutations
from lead_orchestrator.graphql.touches.fields import TouchMutations
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.leads import models
from lead_orchestrator.leads.addresses import checked_email, checked_phone, checked_zone
from lead_orchestrator.leads.service import Enquiry, locked, locked_person
from lead_orchestrator.leads.vehicles import checked_vehicle
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["Mutation"]

Work = Callable[[WriteSession], Awaitable[models.Lead]]

LONGEST_NAME = 100
LONGEST_POSTAL_CODE = 20
LONGEST_REASON = 500
_SHOWN = 60


@strawberry.input
class CreateLeadInput:
    """A phone number or a mail address is needed."""

    location_id: strawberry.ID
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    time_zone: str | None = None
    postal_code: str | None = None
    vehicle: JSON | None = None
    survey: JSON | None = None
    consent: ConsentInput | None = None


@strawberry.input
class UpdateLeadInput:
    """What is left out stays; null removes a name or an address."""

    id: strawberry.ID
    status: LeadStatus | None = strawberry.UNSET
    first_name: str | None = strawberry.UNSET
    last_name: str | None = strawberry.UNSET
    email: str | None = strawberry.UNSET
    phone: str | None = strawberry.UNSET


@strawberry.type
class Mutation(
    BookingEntrance,
    AppointmentMutations,
    AssistantMutations,
    CapacityMutations,
    CalendarMutations,
    CatalogMutations,
    SurveyMutations,
    ChatMutations,
    EnteringMutations,
    MessagingMutations,
    TemplateMutations,
    TouchMutations,
    OperationsMutations,
    OnboardingMutations,
    TenantMutations,
    StaffMutations,
    PrivacyMutations,
):
    @strawberry.mutation
    async def create_lead(self, info: Request, input: CreateLeadInput) -> LeadPayload:  # noqa: A002 - the contract's name
        async def work(session: WriteSession) -> models.Lead:
            enquiry = _enquiry(input)
            if await tenancy_repository.location(session, enquiry.location_id) is None:
                raise NotFoundError(f"there is no location {input.location_id}", field=("locationId",))
            received = await info.context.services.leads.add(session, enquiry)
            if received.enrolled:
                info.context.something_is_due()
            return received.lead

        return await answer(info, work, LeadPayload.of)

    @strawberry.mutation
    async def update_lead(self, info: Request, input: UpdateLeadInput) -> LeadPayload:  # noqa: A002 - the contract's name
        async def work(session: WriteSession) -> models.Lead:
            leads, changes = info.context.services.leads, dict(_changes(input))
            lead = await locked(session, decode(Kind.LEAD, input.id, field="id"))
            await leads.correct(session, lead, changes)
            if input.status:
                await leads.set_status(session, lead, input.status)
            return lead

        return await answer(info, work, LeadPayload.of)

    @strawberry.mutation
    async def pause_touches(self, info: Request, lead_id: strawberry.ID) -> LeadPayload:
        async def work(session: WriteSession) -> models.Lead:
            lead = await locked(session, decode(Kind.LEAD, lead_id, field="leadId"))
            await info.context.services.leads.pause(session, lead, "Paused by staff")
            return lead

        return await answer(info, work, LeadPayload.of)

    @strawberry.mutation
    async def resume_touches(self, info: Request, lead_id: strawberry.ID) -> LeadPayload:
        async def work(session: WriteSession) -> models.Lead:
            lead = await locked(session, decode(Kind.LEAD, lead_id, field="leadId"))
            await info.context.services.leads.resume(session, lead)
            info.context.something_is_due()
            return lead

        return await answer(info, work, LeadPayload.of)

    @strawberry.mutation
    async def opt_out_lead(
        self, info: Request, lead_id: strawberry.ID, channel: Channel | None = None, reason: str | None = None
    ) -> LeadPayload:
        """On one channel, or on all."""

        async def work(session: WriteSession) -> models.Lead:
            lead = await locked_person(session, decode(Kind.LEAD, lead_id, field="leadId"))
            _check_has_address(lead, channel)
            why = text(reason, "reason", LONGEST_REASON) or "Asked for by staff"
            await info.context.services.leads.refuse(session, lead, channel, why)
            return lead

        return await answer(info, work, LeadPayload.of)


def _enquiry(asked: CreateLeadInput) -> Enquiry:
    phone, email = checked_phone(asked.phone), checked_email(asked.email)
    if phone is None and email is None:
        message = "a lead needs a phone number or a mail address: give one of them"
        raise BadInputError(message, code="ADDRESS_MISSING", field=("phone",))
    return Enquiry(
        location_id=decode(Kind.LOCATION, asked.location_id, field="locationId"),
        source=LeadSource.API,
        first_name=text(asked.first_name, "firstName", LONGEST_NAME),
        last_name=text(asked.last_name, "lastName", LONGEST_NAME),
        email=email,
        phone=phone,
        time_zone=checked_zone(asked.time_zone),
        postal_code=text(asked.postal_code, "postalCode", LONGEST_POSTAL_CODE),
        vehicle=_vehicle(asked.vehicle),
        survey=_mapping(asked.survey, "survey"),
        consents=tuple(consents(asked.consent)),
    )


def _changes(asked: UpdateLeadInput) -> Iterator[tuple[str, str | None]]:
    if asked.first_name is not strawberry.UNSET:
        yield "first_name", text(asked.first_name, "firstName", LONGEST_NAME)
    if asked.last_name is not strawberry.UNSET:
        yield "last_name", text(asked.last_name, "lastName", LONGEST_NAME)
    if asked.email is not strawberry.UNSET:
        yield "email", checked_email(asked.email)
    if asked.phone is not strawberry.UNSET:
        yield "phone", checked_phone(asked.phone)


def _mapping(value: object, field: str) -> Mapping[str, object] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadInputError(f"{field} is {str(value)[:_SHOWN]!r}: send an object", field=(field,))
    return value


def _vehicle(value: object) -> Mapping[str, object] | None:
    return checked_vehicle(_mapping(value, "vehicle") or {}, "vehicle")


def _check_has_address(lead: models.Lead, channel: Channel | None) -> None:
    if channel is not None and not lead.addresses.get(channel):
        message = (
            f"the lead has no address on {channel.value}: opt it out on a channel it has, or leave the channel out"
        )
        raise BadInputError(message, code="ADDRESS_MISSING", field=("channel",))
