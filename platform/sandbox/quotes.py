"""A website quote: the customer, the vehicle and the order that ShopMonkey makes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.context import Sandbox
from lead_orchestrator.sandbox.shopmonkey_rows import check_columns, new_customer, new_order, new_vehicle, tell_webhooks
from lead_orchestrator.sandbox.twilio_resources import E164
from lead_orchestrator.sandbox.world import Company, Row, unix_ms

__all__ = ["WEBSITE_LEADS_STATUS_ID", "Quote", "QuotePlaced", "place_quote", "read_quote"]

WEBSITE_LEADS_STATUS_ID = "619813fb2c9c3e8ce527be48"
US_NUMBER = re.compile(r"1?(\d{10})")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True)
class Quote:
    """What a customer filled in. `services` are names or ids of canned services; `order` overrides columns."""

    location_id: str
    first_name: str
    last_name: str = ""
    phone: str | None = None
    email: str | None = None
    year: int | None = None
    make: str | None = None
    model: str | None = None
    services: tuple[str, ...] = ()
    name: str | None = None
    opt_in: bool = True
    subscribed: bool = True
    order: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class QuotePlaced:
    order_id: str
    customer_id: str
    vehicle_id: str | None
    at: int

    def to_json(self) -> dict[str, Any]:
        return {
            "orderId": self.order_id,
            "customerId": self.customer_id,
            "vehicleId": self.vehicle_id,
            "at": self.at,
        }


def read_quote(data: Mapping[str, Any]) -> Quote:
    """Of `{locationId, firstName, lastName?, phone?, email?, vehicle?: {year, make, model}, services?, name?, optIn?,
    subscribed?, order?}`; numbers become E.164.

    Raises:
        BadInputError: a value is missing or cannot be used.
    """
    vehicle, services, order = data.get("vehicle") or {}, data.get("services") or [], data.get("order") or {}
    if not isinstance(vehicle, dict) or not isinstance(order, dict):
        raise BadInputError("vehicle and order must be objects")
    if not isinstance(services, list) or not all(isinstance(service, str) for service in services):
        raise BadInputError("services must be a list of names or ids")
    return Quote(
        location_id=_text(data, "locationId"),
        first_name=_text(data, "firstName"),
        last_name=_text(data, "lastName", required=False),
        phone=_phone(_text(data, "phone", required=False)),
        email=_email(_text(data, "email", required=False)),
        year=_year(vehicle.get("year")),
        make=_text(vehicle, "make", required=False) or None,
        model=_text(vehicle, "model", required=False) or None,
        services=tuple(services),
        name=_text(data, "name", required=False) or None,
        opt_in=_flag(data, "optIn"),
        subscribed=_flag(data, "subscribed"),
        order=order,
    )


def place_quote(sandbox: Sandbox, quote: Quote) -> QuotePlaced:
    """Store customer, vehicle and order, and tell the company's webhooks.

    Raises:
        BadInputError: the location, a service or an order column is unknown.
    """
    world = sandbox.world
    company = world.company_of_location(quote.location_id)
    if company is None:
        raise BadInputError(f"locationId {quote.location_id!r} is unknown: GET /locations lists those of the sandbox")
    check_columns(quote.order)
    services = [_service(company, quote.location_id, wanted) for wanted in quote.services]
    customer = new_customer(
        world,
        company,
        location_id=quote.location_id,
        first_name=quote.first_name,
        last_name=quote.last_name or None,
        phone=quote.phone,
        email=quote.email,
        opt_in=quote.opt_in,
        subscribed=quote.subscribed,
    )
    vehicle = _vehicle(sandbox, company, quote)
    full_name = f"{quote.first_name} {quote.last_name}".strip()
    order = new_order(
        world,
        company,
        location_id=quote.location_id,
        customer=customer,
        vehicle=vehicle,
        name=quote.name or f"New Quote - {full_name}",
        workflow_status_id=WEBSITE_LEADS_STATUS_ID,
        services=services,
        overrides=quote.order,
    )
    at = unix_ms()
    world.tell("quote_placed", company=company.name, order=order["id"], location=quote.location_id)
    tell_webhooks(sandbox, company, "INSERT", order)
    return QuotePlaced(order["id"], customer["id"], vehicle["id"] if vehicle else None, at)


def _vehicle(sandbox: Sandbox, company: Company, quote: Quote) -> Row | None:
    if not (quote.year or quote.make or quote.model):
        return None
    return new_vehicle(sandbox.world, company, year=quote.year, make=quote.make, model=quote.model)


def _service(company: Company, location_id: str, wanted: str) -> Row:
    for service in company.canned_services.values():
        if service["locationId"] == location_id and wanted in (service["id"], service["name"]):
            return service
    raise BadInputError(f"service {wanted!r} is unknown at location {location_id}")


def _text(data: Mapping[str, Any], name: str, *, required: bool = True) -> str:
    value = data.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value.strip()):
        raise BadInputError(f"{name} is {value!r}: write a text")
    return value.strip()


def _flag(data: Mapping[str, Any], name: str) -> bool:
    value = data.get(name, True)
    if not isinstance(value, bool):
        raise BadInputError(f"{name} is {value!r}: use true or false")
    return value


def _phone(text: str) -> str | None:
    if not text:
        return None
    digits = re.sub(r"[\s().-]", "", text)
    if E164.fullmatch(digits):
        return digits
    american = US_NUMBER.fullmatch(digits)
    if american is None:
        raise BadInputError(f"phone is {text!r}: write it as +13105550123 or (310) 555-0123")
    return f"+1{american[1]}"


def _email(text: str) -> str | None:
    if text and not EMAIL.fullmatch(text):
        raise BadInputError(f"email is {text!r}: write it as name@example.com")
    return text or None


def _year(value: Any) -> int | None:
    if value in (None, ""):
        return None
    try:
        year = int(value)
    except (TypeError, ValueError):
        raise BadInputError(f"vehicle.year is {value!r}: write four digits") from None
    if not 1900 <= year <= 2100:  # noqa: PLR2004  # the years that cars have
        raise BadInputError(f"vehicle.year is {value!r}: use a year from 1900 to 2100")
    return year
