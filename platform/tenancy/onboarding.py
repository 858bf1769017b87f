"""A new franchise: from one description to a tenant that is ready to receive quotes. Running it again changes what differs."""

from __future__ import annotations

import base64
import re
import secrets as random_secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.hours import ends_after_it_begins, first_overlap
from lead_orchestrator.tenancy.secrets import SecretBox, new_token, token_hash
from lead_orchestrator.tenancy.sessions import PlatformSession, Tenancy

__all__ = ["Franchise", "Onboarded", "Onboarding", "parse_franchise"]

OwnsLocation = Callable[[str, str], Awaitable[bool]]
"""Whether this ShopMonkey key (first) reads this location (second)."""

SECRET_OVERLAP = timedelta(days=1)
_MESSAGING_SECRETS = ("twilio_auth_token", "sendgrid_api_key", "whatsapp_access_token")
_SLUG = r"^[a-z0-9][a-z0-9-]{0,62}$"
_PHONE = r"^\+[1-9][0-9]{6,14}$"


def _zone(name: object) -> object:
    try:
        return ZoneInfo(str(name)).key
    except (KeyError, OSError, ValueError):  # an unknown name is a KeyError
        raise ValueError(f"{name!r} is not a time zone: write an IANA name, as in America/Los_Angeles") from None


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Hours(_Part):
    """One stretch of opening hours; day 0 is Sunday, and midnight as its end is the end of its day."""

    day_of_week: int = Field(ge=0, le=6)
    opens_at: time
    closes_at: time

    @model_validator(mode="after")
    def _closes_after_it_opens(self) -> Self:
        if not ends_after_it_begins(self):
            raise ValueError(f"closes at {self.closes_at:%H:%M}, which is not after {self.opens_at:%H:%M}")
        return self


class NewLocation(_Part):
    name: str = Field(min_length=1, max_length=200)
    slug: str = Field(pattern=_SLUG)
    timezone: Annotated[str, BeforeValidator(_zone)]
    shopmonkey_location_id: str | None = Field(default=None, min_length=1, max_length=200)
    phone: str | None = Field(default=None, pattern=_PHONE)
    address: str | None = None
    bays: int = Field(default=1, ge=1, le=100)
    hours: tuple[Hours, ...] = ()

    @model_validator(mode="after")
    def _hours_do_not_overlap(self) -> Self:
        overlapping = first_overlap(self.hours)
        if overlapping is not None:
            one = self.hours[overlapping]
            raise ValueError(f"the hours of day {one.day_of_week} overlap at {one.opens_at:%H:%M}")
        return self


class Crm(_Part):
    api_key: SecretStr
    webhook_secret: SecretStr | None = None
    lead_workflow_status_ids: tuple[str, ...] | None = None
    lead_name_prefix: str | None = None


class Messaging(_Part):
    twilio_account_sid: str | None = Field(default=None, pattern="^AC[0-9a-zA-Z]{32}$")
    twilio_auth_token: SecretStr | None = None
    twilio_phone_number: str | None = Field(default=None, pattern=_PHONE)
    twilio_messaging_service_sid: str | None = None
    sendgrid_api_key: SecretStr | None = None
    sendgrid_from_email: str | None = Field(default=None, pattern=r"^[^@\s]+@[^@\s]+$")
    sendgrid_from_name: str | None = None
    sendgrid_event_public_key: str | None = Field(default=None, max_length=1000)
    sendgrid_route_key: SecretStr | None = Field(default=None, min_length=20, max_length=100)
    whatsapp_phone_number_id: str | None = Field(default=None, pattern="^[0-9]{1,32}$")
    whatsapp_access_token: SecretStr | None = None
    strangers_become_leads: bool = True
    instant_replies: bool = False
    daily_cap: int = Field(default=3, ge=1, le=20)
    weekly_cap: int = Field(default=10, ge=1, le=50)
    skip_holidays: bool = False


class Franchise(_Part):
    """What a franchise is made of; the keys are those of the GraphQL inputs."""

    name: str = Field(min_length=1, max_length=200)
    slug: str = Field(pattern=_SLUG)
    demo_mode: bool | None = None
    demo_allowlist: tuple[str, ...] | None = None
    crm: Crm | None = None
    messaging: Messaging | None = None
    locations: tuple[NewLocation, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _locations_differ(self) -> Self:
        for name in ("slug", "shopmonkey_location_id"):
            values = [value for value in (getattr(place, name) for place in self.locations) if value]
            twice = {value for value in values if values.count(value) > 1}
            if twice:
                raise ValueError(f"two locations have the same {to_camel(name)} {min(twice)!r}")
        return self


@dataclass(frozen=True)
class Onboarded:
    """`webhook_secret`, and `sendgrid_key` of the addresses that SendGrid calls, are shown this once when they were made here,
    else None."""

    tenant_id: UUID
    created: bool
    location_ids: dict[str, UUID]
    webhook_secret: str | None
    sendgrid_key: str | None = None


def parse_franchise(data: object) -> Franchise:
    """Read a description, as it comes from YAML or JSON.

    Raises:
        BadInputError: every problem with its path; secrets are not repeated.
    """
    try:
        return Franchise.model_validate(data)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, item['loc'])) or 'file'}: {_sentence(item)}" for item in error.errors()]
        raise BadInputError("; ".join(problems)) from None


def _sentence(item: Any) -> str:
    value = item.get("input")
    path = " ".join(map(str, item["loc"])).lower()
    # A secret under a misspelt name, or in the place of the mapping it belongs into, is a secret all the same.
    unnamed = item["type"] in {"extra_forbidden", "model_type"}
    secret = unnamed or re.search("secret|token|key", path) or not isinstance(value, str | int | float | bool)
    return f"{item['msg']}" if secret else f"{item['msg']} (got {str(value)[:80]!r})"


class Onboarding:
    """Makes tenants. The CRM is asked before anything is written; everything is written at once."""

    def __init__(self, tenancy: Tenancy, secrets: SecretBox, owns_location: OwnsLocation) -> None:
        self._tenancy = tenancy
        self._secrets = secrets
        self._owns_location = owns_location

    async def onboard(self, franchise: Franchise, *, actor: str) -> Onboarded:
        """Make the tenant with this slug, or bring it to this description.

        Raises:
            BadInputError: a ShopMonkey location is not this key's, or belongs to another tenant.
        """
        await self._check_locations(franchise)
        async with self._tenancy.platform() as session:
            now: datetime = (await session.execute(repository.REAL_NOW)).scalar_one()
            await repository.lock_onboarding(session, franchise.slug)
            tenant_id, created = await repository.upsert_tenant(session, franchise.slug, _tenant_values(franchise))
            wanted = {place.slug: place.shopmonkey_location_id for place in franchise.locations}
            await repository.release_moved_locations(session, tenant_id, wanted)
            ids = {place.slug: await self._locate(session, tenant_id, place) for place in franchise.locations}
            secret = await self._connect_crm(session, tenant_id, franchise.crm, now)
            sendgrid_key = await self._connect_messaging(session, tenant_id, franchise.messaging)
            action = "tenant.onboarded" if created else "tenant.changed"
            await session.audit(tenant_id, action, actor=actor, target=f"tenant_{tenant_id}")
        return Onboarded(tenant_id, created, ids, secret, sendgrid_key)

    async def _check_locations(self, franchise: Franchise) -> None:
        for place in franchise.locations:
            claimed = place.shopmonkey_location_id
            if claimed is None:
                continue
            if franchise.crm is None:
                raise BadInputError(f"location {place.slug!r} names a ShopMonkey location: give crm.apiKey with it")
            if not await self._owns_location(franchise.crm.api_key.get_secret_value(), claimed):
                message = f"ShopMonkey location {claimed!r} of {place.slug!r} is not readable with this key: check both"
                raise BadInputError(message, code="LOCATION_NOT_OWNED")

    async def _locate(self, session: PlatformSession, tenant_id: UUID, place: NewLocation) -> UUID:
        values = place.model_dump(include={"name", "timezone", "shopmonkey_location_id", "phone", "address", "bays"})
        location_id = await repository.upsert_location(session, tenant_id, place.slug, values)
        hours = [row.model_dump() for row in place.hours]
        await repository.replace_hours(session, tenant_id, location_id, hours)
        await self._claim(session, "slug", place.slug, tenant_id, location_id)
        if place.shopmonkey_location_id is not None:
            await self._claim(session, "shopmonkey_location", place.shopmonkey_location_id, tenant_id, location_id)
        return location_id

    async def _claim(
        self, session: PlatformSession, kind: str, key: str, tenant_id: UUID, location_id: UUID | None
    ) -> None:
        if not await repository.claim_route(session, kind, key, tenant_id, location_id):
            message = f"{kind.replace('_', ' ')} {key!r} belongs to another franchise: choose another one"
            raise BadInputError(message, code="ALREADY_CLAIMED")

    async def _connect_crm(
        self, session: PlatformSession, tenant_id: UUID, crm: Crm | None, now: datetime
    ) -> str | None:
        if crm is None:
            return None
        values: dict[str, object] = {
            "api_key": self._secrets.seal(tenant_id, "shopmonkey_api_key", crm.api_key.get_secret_value())
        }
        if crm.lead_workflow_status_ids:
            values["lead_workflow_status_ids"] = list(crm.lead_workflow_status_ids)
        if crm.lead_name_prefix:
            values["lead_name_prefix"] = crm.lead_name_prefix
        before = await repository.crm_secret(session, tenant_id)
        wanted = crm.webhook_secret.get_secret_value() if crm.webhook_secret else None
        made = new_webhook_secret() if wanted is None and before is None else None
        secret = wanted or made
        if secret is not None and (before is None or self._opened(tenant_id, before) != secret):
            values["webhook_secret"] = self._secrets.seal(tenant_id, "shopmonkey_webhook_secret", secret)
            values["previous_webhook_secret"] = before
            values["previous_secret_valid_until"] = now + SECRET_OVERLAP if before else None
        await repository.upsert_crm(session, tenant_id, values)
        return made

    def _opened(self, tenant_id: UUID, sealed: bytes) -> str:
        return self._secrets.open(tenant_id, "shopmonkey_webhook_secret", sealed)

    async def _connect_messaging(
        self, session: PlatformSession, tenant_id: UUID, messaging: Messaging | None
    ) -> str | None:
        given = messaging or Messaging()
        values = given.model_dump(exclude_unset=True, exclude={*_MESSAGING_SECRETS, "sendgrid_route_key"})
        for name in _MESSAGING_SECRETS:
            secret: SecretStr | None = getattr(given, name)
            if secret is not None:
                values[name] = self._secrets.seal(tenant_id, name, secret.get_secret_value())
        await repository.upsert_messaging(session, tenant_id, values)
        numbers = {
            "phone_number": given.twilio_phone_number,
            "twilio_service": given.twilio_messaging_service_sid,
            "whatsapp_number": given.whatsapp_phone_number_id,
        }
        for kind, key in numbers.items():
            if key:
                await self._claim(session, kind, key, tenant_id, None)
        return await self._sendgrid_key(session, tenant_id, given)

    async def _sendgrid_key(self, session: PlatformSession, tenant_id: UUID, given: Messaging) -> str | None:
        """The secret in the addresses that SendGrid calls, if it is made now; its hash is what is stored."""
        held = await repository.route_keys(session, "sendgrid", tenant_id)
        wanted = given.sendgrid_route_key.get_secret_value() if given.sendgrid_route_key else None
        made = new_token() if wanted is None and given.sendgrid_api_key and not held else None
        key = wanted or made
        if key is not None:
            await repository.drop_routes(session, "sendgrid", tenant_id)
            await self._claim(session, "sendgrid", token_hash(key).hex(), tenant_id, None)
        return made


def new_webhook_secret() -> str:
    """A secret as Standard Webhooks writes them: 256 random bits."""
    return "whsec_" + base64.b64encode(random_secrets.token_bytes(32)).decode()


def _tenant_values(franchise: Franchise) -> dict[str, object]:
    values: dict[str, object] = {"name": franchise.name}
    if franchise.demo_mode is not None:
        values["demo_mode"] = franchise.demo_mode
    if franchise.demo_allowlist is not None:
        values["demo_allowlist"] = [entry.strip().lower() for entry in franchise.demo_allowlist]
    return values
