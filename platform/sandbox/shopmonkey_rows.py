"""The rows of ShopMonkey's API and the webhooks that tell of them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.context import Sandbox
from lead_orchestrator.sandbox.courier import Delivery
from lead_orchestrator.sandbox.signatures import sign_standard_webhook
from lead_orchestrator.sandbox.world import Company, Row, World, timestamp

__all__ = [
    "change_order",
    "check_columns",
    "new_customer",
    "new_order",
    "new_row",
    "new_vehicle",
    "remove_order",
    "tell_webhooks",
]

WEBHOOK_VERSION = 3
DELIVERY_ATTEMPTS = 3


def new_row(world: World, company: Company, **columns: Any) -> Row:
    """The columns that every row has, with its own; nobody has stored it yet."""
    now = timestamp()
    return {
        "id": str(uuid.uuid4()),
        "companyId": company.id,
        "createdDate": now,
        "updatedDate": None if world.quirks.null_updated_date else now,
        "meta": {"version": world.next_version()},
        "metadata": None,
        **columns,
    }


def new_customer(
    world: World,
    company: Company,
    *,
    location_id: str,
    first_name: str | None,
    last_name: str | None,
    phone: str | None = None,
    email: str | None = None,
    opt_in: bool = True,
    subscribed: bool = True,
) -> Row:
    """A stored customer; contact data is in `emails` and `phoneNumbers` only, the top-level fields are always null."""
    row = new_row(
        world,
        company,
        locationIds=[location_id],
        customerType="Customer",
        firstName=first_name,
        lastName=last_name,
        companyName=None,
        email=None,
        phone=None,
        emails=[_email(email, subscribed)] if email else [],
        phoneNumbers=[_phone_number(phone, opt_in)] if phone else [],
        address1=None,
        address2=None,
        city=None,
        state=None,
        postalCode=None,
        country="US",
        marketingOptIn=bool(opt_in or subscribed),
        preferredContactMethod=None,
        messageCount=0,
        note="",
        taxExempt=False,
        deleted=False,
    )
    company.customers[row["id"]] = row
    return row


def _email(email: str, subscribed: bool) -> Row:
    return {"id": str(uuid.uuid4()), "email": email, "primary": True, "subscribed": subscribed}


def _phone_number(number: str, opt_in: bool) -> Row:
    return {
        "id": str(uuid.uuid4()),
        "number": number,
        "primary": True,
        "optIn": opt_in,
        "optInVerifiedDate": None,
        "type": "Mobile",
        "extension": None,
        "country": "US",
    }


def new_vehicle(world: World, company: Company, *, year: int | None, make: str | None, model: str | None) -> Row:
    row = new_row(
        world,
        company,
        year=year,
        make=make,
        model=model,
        submodel=None,
        vin=None,
        licensePlate=None,
        licensePlateState=None,
        color=None,
        mileage=None,
        mileageUnit="Mile",
        engine=None,
        drivetrain=None,
        transmission=None,
        type=None,
        size="LightDuty",
        note="",
        computed_ymm=" ".join(str(part) for part in (year, make, model) if part) or None,
    )
    company.vehicles[row["id"]] = row
    return row


def new_order(
    world: World,
    company: Company,
    *,
    location_id: str,
    customer: Row,
    vehicle: Row | None,
    name: str,
    workflow_status_id: str,
    services: list[Row],
    overrides: Mapping[str, Any] | None = None,
) -> Row:
    """A stored order with the columns of a bare row; it tells nobody yet."""
    total = sum(service["totalCents"] for service in services)
    ymm = vehicle["computed_ymm"] if vehicle else None
    row = new_row(world, company, **_order_columns())
    row |= {
        "locationId": location_id,
        "customerId": customer["id"],
        "vehicleId": vehicle["id"] if vehicle else None,
        "name": name,
        "coalescedName": name,
        "generatedName": ymm,
        "generatedCustomerName": _full_name(customer),
        "generatedVehicleName": ymm,
        "emailId": next((email["id"] for email in customer["emails"]), None),
        "phoneNumberId": next((number["id"] for number in customer["phoneNumbers"]), None),
        "number": 1000 + row["meta"]["version"],
        "orderCreatedDate": row["createdDate"],
        "publicId": uuid.uuid4().hex[:12],
        "conversationId": str(uuid.uuid4()),
        "totalCostCents": total,
        "laborCents": total,
        "remainingCostCents": total,
        "workflowStatusId": workflow_status_id,
    }
    row.update(overrides or {})
    company.orders[row["id"]] = row
    company.order_services[row["id"]] = services
    return row


def _full_name(customer: Row) -> str | None:
    return " ".join(part for part in (customer["firstName"], customer["lastName"]) if part) or None


def _order_columns() -> Row:
    zeros = ("discountCents", "feesCents", "paidCostCents", "partsCents", "taxCents", "tiresCents", "inspectionCount")
    nulls = ("authorizedDate", "complaint", "completedDate", "deletedDate", "dueDate", "fullyPaidDate", "invoicedDate")
    more_nulls = ("messagedDate", "mileageIn", "recommendation", "serviceWriterId", "color")
    own = ("locationId", "customerId", "vehicleId", "name", "coalescedName", "generatedName", "generatedCustomerName")
    more_own = ("generatedVehicleName", "emailId", "phoneNumberId", "number", "orderCreatedDate", "publicId")
    return {
        **dict.fromkeys((*own, *more_own, "conversationId", "workflowStatusId")),
        **dict.fromkeys(("totalCostCents", "laborCents", "remainingCostCents"), 0),
        **dict.fromkeys(zeros, 0),
        **dict.fromkeys((*nulls, *more_nulls)),
        "status": "Estimate",
        "appointmentDates": [],
        "assignedTechnicianIds": [],
        "archived": False,
        "authorized": False,
        "customFields": {},
        "deleted": False,
        "inspectionStatus": "None",
        "invoiced": False,
        "messageCount": 0,
        "paid": False,
        "readOnly": False,
        "shopUnreadMessageCount": 0,
        "workflowStatusPosition": 0,
    }


def check_columns(changes: Mapping[str, Any]) -> None:
    """Refuse what is no column of an order, or one that never changes.

    Raises:
        BadInputError: it names them.
    """
    known = {*_order_columns(), "createdDate", "updatedDate", "metadata"}
    unknown = [name for name in changes if name not in known]
    if unknown:
        raise BadInputError(f"an order has no column {', '.join(map(repr, unknown))} that can be set")


def change_order(world: World, order: Row, changes: Row) -> list[str]:
    """Merge `changes` into the row; answers the top-level fields that changed."""
    changed = [name for name, value in changes.items() if order.get(name) != value]
    order.update(changes)
    _touch(world, order)
    return changed


def remove_order(world: World, company: Company, order: Row, *, hard: bool = False) -> None:
    """Mark the order deleted: lists leave it out, GET by id still shows it, unless `hard`."""
    order.update(deleted=True, deletedDate=timestamp())
    _touch(world, order)
    if hard:
        del company.orders[order["id"]]


def _touch(world: World, row: Row) -> None:
    row["updatedDate"] = timestamp()
    row["meta"] = {"version": world.next_version()}


def tell_webhooks(
    sandbox: Sandbox, company: Company, operation: str, order: Row, diff: list[str] | None = None
) -> None:
    """Post the change of an order to the company's registered webhooks, in the background."""
    body: dict[str, Any] = {"apiVersion": "v3", "operation": operation, "table": "order", "data": order}
    if diff is not None:
        body["diff"] = diff
    raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    trigger = f"Order{operation.title()}"
    for webhook in company.webhooks.values():
        at_home = webhook["locationId"] in (None, order["locationId"])
        if webhook["enabled"] and at_home and {"Order", trigger} & set(webhook["triggers"]):
            sandbox.courier.send(_delivery(webhook, raw, f"{operation} {order['id']}"))


def _delivery(webhook: Row, body: bytes, subject: str) -> Delivery:
    request_id = str(uuid.uuid4())

    def headers(attempt: int) -> dict[str, str]:
        webhook_id, now = f"wh_{uuid.uuid4().hex}", int(time.time())  # the id names the attempt, not the event
        signature = {}
        if webhook["secret"]:
            signature["webhook-signature"] = sign_standard_webhook(webhook["secret"], webhook_id, now, body)
        return {
            "Content-Type": "application/json",
            "User-Agent": "Shopmonkey (+https://shopmonkey.io)",
            "X-Attempt": str(attempt),
            "X-Request-Id": request_id,
            "webhook-id": webhook_id,
            "webhook-timestamp": str(now),
            "webhook-version": str(WEBHOOK_VERSION),
            **signature,
        }

    def done(delivered: bool, outcome: str) -> None:
        webhook["error"] = not delivered
        webhook["errorMessage"] = None if delivered else f"delivery failed: {outcome}"
        webhook["errorDate"] = None if delivered else timestamp()

    return Delivery("webhook", subject, webhook["url"], body, headers, DELIVERY_ATTEMPTS, done)
