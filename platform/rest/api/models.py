"""What goes in and out of the REST API; the OpenAPI document is made of these, and requests are checked by them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.leads.consents import ConsentGiven
from lead_orchestrator.leads.models import Channel, LeadStatus

__all__ = [
    "BookedOut",
    "BookingIn",
    "ConsentIn",
    "ErrorOut",
    "FormOut",
    "LeadCreatedOut",
    "LeadIn",
    "LeadOut",
    "LeadsOut",
    "LeadsQuery",
    "MessageOut",
    "OfShop",
    "ScheduleIn",
    "ServiceOut",
    "ServicesOut",
    "SlotOut",
    "SlotsOut",
    "SlotsQuery",
    "shop_of",
]

MOST_ANSWERS = 50
LONGEST_TOKEN = 1000


class In(BaseModel):
    """What is not known is refused, so that a typing error does not lose an answer."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class Out(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


def _without_default(schema: JsonDict) -> None:
    """What may be left out and may not be null."""
    schema.pop("default", None)


ShopName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        description="The shop's slug, or its id (`loc_…`). One of realtorId and locationId is needed, not both.",
        json_schema_extra=_without_default,
    ),
]
Name = Annotated[str, Field(max_length=100)]
Phone = Annotated[str, Field(min_length=1, max_length=40, description="Any usual way to write it; US without +.")]
Email = Annotated[str, Field(max_length=254)]
Notes = Annotated[str, Field(max_length=2000)]
Token = Annotated[str, Field(min_length=1, max_length=LONGEST_TOKEN)]
Honeypot = Annotated[
    str, Field(max_length=200, description="Show it to nobody and leave it empty: whoever fills it in is no person.")
]
FormToken = Annotated[
    str, Field(max_length=LONGEST_TOKEN, description="Of `GET /api/form`, taken when the form was shown.")
]
ONE_SHOP: JsonDict = {"oneOf": [{"required": ["realtorId"]}, {"required": ["locationId"]}]}


class OfShop(In):
    """A request about one shop."""

    realtor_id: ShopName = ""
    location_id: ShopName = ""


def shop_of(asked: OfShop) -> tuple[str, str]:
    """The shop's name as it was given, and the field it was given in.

    Raises:
        BadInputError: none is named, or two are.
    """
    given = [
        (name, value) for name, value in (("realtorId", asked.realtor_id), ("locationId", asked.location_id)) if value
    ]
    if len(given) != 1:
        what = "both are given" if given else "neither is given"
        message = f"realtorId or locationId says which shop, and {what}: send one of them"
        raise BadInputError(message, code="SHOP_NEEDED", field=("realtorId",))
    [(field, value)] = given
    return value, field


class ConsentIn(In):
    """What the person ticked; null is no answer. `wording` is the exact text they saw."""

    sms: bool | None = None
    email: bool | None = None
    whatsapp: bool | None = None
    wording: Annotated[str, Field(max_length=2000)] | None = None

    def given(self, source: str, ip: str | None) -> Sequence[ConsentGiven]:
        answers = {Channel.SMS: self.sms, Channel.EMAIL: self.email, Channel.WHATSAPP: self.whatsapp}
        wording = (self.wording or "").strip() or None
        return [
            ConsentGiven(channel, granted, source, wording, ip)
            for channel, granted in answers.items()
            if granted is not None
        ]


class LeadIn(OfShop):
    """Somebody asks a shop for a quote."""

    model_config = ConfigDict(json_schema_extra=ONE_SHOP)

    first_name: Name | None = None
    last_name: Name | None = None
    email: Email | None = None
    phone: Phone
    time_zone: Annotated[str, Field(max_length=60, description="The browser's, as in America/Denver.")] | None = None
    postal_code: Annotated[str, Field(max_length=20)] | None = None
    vehicle: Annotated[dict[str, Any], Field(max_length=20)] | None = None
    answers: (
        Annotated[dict[str, Any], Field(max_length=MOST_ANSWERS, description="By question id; see `GET /api/form`.")]
        | None
    ) = None
    survey_version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    consent: ConsentIn | None = None
    form_token: FormToken | None = None
    website: Honeypot | None = None


class LeadCreatedOut(Out):
    """The same whether the person was known or not. `token` is the lead's: one welcome, which is on its way, and one booking."""

    token: str
    expires_at: datetime
    next: Literal["BOOKING", "THANKS"]
    booking_url: str


class FormOut(Out):
    """What a form has to show: the questions, and the text to agree to. `formToken` goes back with the answers."""

    shop: str
    time_zone: str
    survey: dict[str, Any]
    survey_version: int
    consent: str
    form_token: str


class LeadsQuery(In):
    status: Annotated[list[Literal["BOOKED", "HOT"]], Field(max_length=2)] = []
    first: Annotated[int, Field(ge=1, le=100)] = 25
    after: Annotated[str, Field(max_length=1000)] | None = None


class LeadOut(Out):
    id: str
    location_id: str
    first_name: str | None
    last_name: str | None
    email: str | None
    phone: str | None
    status: LeadStatus
    source: str
    time_zone: str | None
    survey: dict[str, Any] | None
    created_at: datetime
    last_activity_at: datetime


class LeadsOut(Out):
    """The newest first; `next` is what `after` has to be for the following page, null on the last one."""

    leads: list[LeadOut]
    next: str | None


class ScheduleIn(In):
    """Of staff: a template, or words on a channel. With a lead's token: the template WELCOME and nothing else."""

    lead_id: str | None = None
    template: str | None = None
    variant: str | None = None
    channel: str | None = None
    body: str | None = None
    subject: str | None = None
    due_at: str | None = None
    values: dict[str, Any] | None = None
    idempotency_key: str | None = None


class MessageOut(Out):
    """With a lead's token `kind` and `status` only: what else there is to say about the lead is not for the public."""

    kind: str
    status: str
    id: str | None = None
    lead_id: str | None = None
    channel: str | None = None
    due_at: datetime | None = None
    decision: str | None = None


class ServiceOut(Out):
    id: str
    name: str
    description: str | None
    category: str | None
    price_cents: int | None
    currency: str
    duration_minutes: int


class ServicesOut(Out):
    shop: str
    time_zone: str
    services: list[ServiceOut]


class SlotsQuery(OfShop):
    service_ids: Annotated[list[str], Field(min_length=1, max_length=20)]
    from_: Annotated[date | None, Field(alias="from", description="A day in the shop's zone; today without.")] = None
    to: Annotated[date, Field(description="The last day; two weeks after the first one without.")] | None = None


class SlotOut(Out):
    starts_at: datetime
    ends_at: datetime
    local_start: str
    token: str


class SlotsOut(Out):
    time_zone: str
    slots: list[SlotOut]


class BookingIn(OfShop):
    """Either `slotToken`, or `serviceIds` with `startsAt`; for whoever `leadToken` stands for, or for `firstName` and `phone`."""

    model_config = ConfigDict(json_schema_extra=ONE_SHOP)

    slot_token: Token | None = None
    service_ids: Annotated[list[str], Field(min_length=1, max_length=20)] | None = None
    starts_at: datetime | None = None
    lead_token: Token | None = None
    first_name: Name | None = None
    last_name: Name | None = None
    email: Email | None = None
    phone: Phone | None = None
    notes: Notes | None = None
    consent: ConsentIn | None = None
    form_token: FormToken | None = None
    website: Honeypot | None = None


class BookedOut(Out):
    """The customer manages it at `manageUrl`: whoever has that link can move or cancel it."""

    id: str
    status: str
    starts_at: datetime
    ends_at: datetime
    local_start: str
    services: list[str]
    manage_url: str


class ErrorDetail(Out):
    code: str
    message: str
    field: list[str] | None


class ErrorOut(Out):
    """`code` for programs, `message` a sentence for people, `field` the path of the input at fault."""

    error: ErrorDetail
