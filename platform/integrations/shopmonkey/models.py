"""ShopMonkey's rows as we read them.

ShopMonkey adds fields and enum values unannounced, so reading is lenient: unknown fields are kept in `model_extra`,
unknown enum values stay text, and a field that cannot be read counts as absent. Only a row without an id is no row. A
truth value that ShopMonkey did not state is None, never False: "not authorized" has to be said. Money is in cents,
times are UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic.alias_generators import to_camel

__all__ = [
    "Appointment",
    "CannedService",
    "Customer",
    "EmailAddress",
    "Location",
    "Order",
    "PhoneNumber",
    "Row",
    "User",
    "Vehicle",
]


class Lenient(BaseModel):
    """A row or a part of one; its repr shows the id alone, since the rest is about people."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True, coerce_numbers_to_str=True
    )

    @field_validator("*", mode="wrap")
    @classmethod
    def _absent_if_unreadable(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        declared = cls.model_fields[info.field_name or ""]
        optional = not declared.is_required()
        if optional and value is None:
            return declared.get_default(call_default_factory=True, validated_data={})
        try:
            read = handler(_without_nulls(value))
        except ValidationError:
            if optional:
                return declared.get_default(call_default_factory=True, validated_data={})
            raise
        return read.replace(tzinfo=UTC) if isinstance(read, datetime) and read.tzinfo is None else read

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        yield "id", getattr(self, "id", None)


class Row(Lenient):
    id: str = Field(min_length=1, max_length=200)
    company_id: str | None = None
    created_date: datetime | None = None
    updated_date: datetime | None = None


class Order(Row):
    """A quote, work order or invoice; `status` is Estimate, RepairOrder or Invoice so far."""

    location_id: str | None = None
    number: int | None = None
    public_id: str | None = None
    name: str | None = None
    coalesced_name: str | None = None
    status: str | None = None
    workflow_status_id: str | None = None
    customer_id: str | None = None
    vehicle_id: str | None = None
    appointment_dates: tuple[str, ...] = ()
    authorized: bool | None = None
    invoiced: bool | None = None
    paid: bool | None = None
    archived: bool | None = None
    deleted: bool | None = None
    message_count: int | None = None
    total_cost_cents: int | None = None
    complaint: str | None = None
    meta: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)

    @property
    def changed_at(self) -> datetime | None:
        """When the row last changed, as far as ShopMonkey says."""
        return self.updated_date or self.created_date


class EmailAddress(Lenient):
    id: str | None = None
    email: str | None = None
    primary: bool | None = None
    subscribed: bool | None = None


class PhoneNumber(Lenient):
    """`number` is meant to be E.164 and is not checked here; `type` is Mobile, Landline, VoIP or Other so far."""

    id: str | None = None
    number: str | None = None
    primary: bool | None = None
    opt_in: bool | None = None
    type: str | None = None
    country: str | None = None


class Customer(Row):
    """A person or a fleet; contact data is in `emails` and `phone_numbers` only."""

    location_ids: tuple[str, ...] = ()
    customer_type: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    company_name: str | None = None
    address1: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None
    marketing_opt_in: bool | None = None
    preferred_contact_method: str | None = None
    emails: tuple[EmailAddress, ...] = ()
    phone_numbers: tuple[PhoneNumber, ...] = ()

    @property
    def email(self) -> EmailAddress | None:
        """The address to write to: the primary one, else the first."""
        usable = [entry for entry in self.emails if entry.email]
        return next((entry for entry in usable if entry.primary), usable[0] if usable else None)

    @property
    def phone(self) -> PhoneNumber | None:
        """The number to text: no landline if there is another, then the primary one, then the first."""
        usable = [entry for entry in self.phone_numbers if entry.number]
        return min(usable, key=lambda entry: (entry.type == "Landline", not entry.primary), default=None)


class Vehicle(Row):
    year: int | None = None
    make: str | None = None
    model: str | None = None
    submodel: str | None = None
    color: str | None = None
    size: str | None = None

    @property
    def title(self) -> str:
        """Year, make and model as far as known, as in "2021 Honda Civic"; else empty."""
        return " ".join(str(part).strip() for part in (self.year, self.make, self.model) if part)


class CannedService(Row):
    """What a shop sells; `pricing` is FixedPrice or LineItem so far. ShopMonkey knows no durations."""

    location_id: str | None = None
    name: str | None = None
    note: str | None = None
    bookable: bool | None = None
    bookable_ordinal: int | None = None
    pricing: str | None = None
    fixed_price_cents: int | None = None
    total_cents: int | None = None
    deleted: bool | None = None

    @property
    def price_cents(self) -> int | None:
        """The fixed price, which is before tax, or else the total of its lines."""
        fixed = self.fixed_price_cents if self.pricing == "FixedPrice" else None
        price = fixed if fixed is not None else self.total_cents
        return price if price is not None and price >= 0 else None

    @property
    def offered(self) -> bool:
        """Whether customers may book it."""
        return self.bookable is True and self.deleted is not True


class Appointment(Row):
    """A repetition of a recurring appointment has its own times, and may have the id of the whole."""

    name: str | None = None
    location_id: str | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    note: str | None = None
    customer_id: str | None = None
    vehicle_id: str | None = None
    order_id: str | None = None
    deleted: bool | None = None
    rruleset: str | None = None


class User(Row):
    """Somebody who works in the shop."""

    location_ids: tuple[str, ...] = ()


class Location(Row):
    name: str | None = None
    address1: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None
    timezone: str | None = None
    email: str | None = None
    website: str | None = None


def _without_nulls(value: Any) -> Any:
    return [entry for entry in value if entry is not None] if isinstance(value, list) else value
