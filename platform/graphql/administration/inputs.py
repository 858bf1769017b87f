"""What administrators send; what it has to be is decided where onboarding files are read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import strawberry
from pydantic.alias_generators import to_camel

from lead_orchestrator.graphql.booking.capacity import OpeningHoursInput

__all__ = [
    "AddLocationInput",
    "CrmCredentialsFields",
    "CrmCredentialsInput",
    "MessagingCredentialsInput",
    "NewLocationInput",
    "OnboardTenantInput",
    "described",
]


@strawberry.input
class NewLocationInput:
    name: str
    slug: str
    timezone: str
    shopmonkey_location_id: str | None = None
    phone: str | None = None
    address: str | None = None
    bays: int | None = 1
    hours: list[OpeningHoursInput] | None = None


@strawberry.input
class CrmCredentialsFields:
    """Without a `webhookSecret` the one that is there stays. `previousSecretValidUntil` is when the one before it ends."""

    api_key: str
    webhook_secret: str | None = None
    previous_secret_valid_until: datetime | None = None
    lead_workflow_status_ids: list[str] | None = None


@strawberry.input
class OnboardTenantInput:
    """The same key with the same franchise goes on where it stopped. Touches and texts come from `templateTenantId`."""

    name: str
    slug: str
    owner_email: str
    locations: list[NewLocationInput]
    crm: CrmCredentialsFields | None = None
    template_tenant_id: strawberry.ID | None = None
    idempotency_key: str


@strawberry.input
class AddLocationInput:
    tenant_id: strawberry.ID
    location: NewLocationInput


@strawberry.input
class CrmCredentialsInput:
    tenant_id: strawberry.ID
    credentials: CrmCredentialsFields


@strawberry.input
class MessagingCredentialsInput:
    """What is left out or null stays."""

    tenant_id: strawberry.ID
    twilio_account_sid: str | None = None
    twilio_auth_token: str | None = None
    twilio_phone_number: str | None = None
    twilio_messaging_service_sid: str | None = None
    sendgrid_api_key: str | None = None
    sendgrid_from_email: str | None = None
    sendgrid_event_public_key: str | None = None
    whatsapp_phone_number_id: str | None = None
    whatsapp_access_token: str | None = None
    openai_api_key: str | None = None


def described(value: Any, without: tuple[str, ...] = ()) -> Any:
    """An input as an onboarding file has it: names as they are sent, what is null left out, and the fields of `without`."""
    if isinstance(value, list):
        return [described(item) for item in value]
    if not hasattr(value, "__strawberry_definition__"):
        return value
    fields: Mapping[str, Any] = vars(value)
    return {
        to_camel(name): described(item)
        for name, item in fields.items()
        if name not in without and item is not None and item is not strawberry.UNSET
    }
