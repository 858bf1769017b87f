"""What a franchise is described by: an onboarding file, or the inputs of the API, whose names it shares."""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.tenancy.hours import ends_after_it_begins, first_overlap

__all__ = ["Crm", "Franchise", "Hours", "Messaging", "NewLocation", "parse_franchise", "parsed", "read_franchise"]

_SLUG = r"^[a-z0-9][a-z0-9-]{0,62}$"
_PHONE = r"^\+[1-9][0-9]{6,14}$"
_MAIL = r"^[^@\s]+@[^@\s]+$"

_P = TypeVar("_P", bound="_Part")


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
    """`previous_secret_valid_until` is when the secret before this one ends; left out it has another day."""

    api_key: SecretStr = Field(min_length=1)
    webhook_secret: SecretStr | None = Field(default=None, min_length=1)
    previous_secret_valid_until: AwareDatetime | None = None
    lead_workflow_status_ids: tuple[str, ...] | None = None
    lead_name_prefix: str | None = None


class Messaging(_Part):
    twilio_account_sid: str | None = Field(default=None, pattern="^AC[0-9a-zA-Z]{32}$")
    twilio_auth_token: SecretStr | None = None
    twilio_phone_number: str | None = Field(default=None, pattern=_PHONE)
    twilio_messaging_service_sid: str | None = None
    sendgrid_api_key: SecretStr | None = None
    sendgrid_from_email: str | None = Field(default=None, pattern=_MAIL)
    sendgrid_from_name: str | None = None
    sendgrid_event_public_key: str | None = Field(default=None, max_length=1000)
    sendgrid_route_key: SecretStr | None = Field(default=None, min_length=20, max_length=100)
    whatsapp_phone_number_id: str | None = Field(default=None, pattern="^[0-9]{1,32}$")
    whatsapp_access_token: SecretStr | None = None
    openai_api_key: SecretStr | None = Field(default=None, min_length=1)
    strangers_become_leads: bool = True
    instant_replies: bool = False
    daily_cap: int = Field(default=3, ge=1, le=20)
    weekly_cap: int = Field(default=10, ge=1, le=50)
    skip_holidays: bool = False


class Franchise(_Part):
    """What a franchise is made of; the keys are those of the GraphQL inputs.

    `template` is the slug of the franchise whose touches and texts it begins with, `owner_email` who is invited to own it.
    """

    name: str = Field(min_length=1, max_length=200)
    slug: str = Field(pattern=_SLUG)
    owner_email: str | None = Field(default=None, pattern=_MAIL, max_length=254)
    template: str | None = None
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


def read_franchise(file: Path) -> Franchise:
    """The franchise that a file describes, in YAML or JSON.

    Raises:
        BadInputError: it is neither, or as `parse_franchise`.
    """
    try:
        return parse_franchise(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInputError(f"{file} is neither YAML nor JSON: {str(error).splitlines()[0]}") from None


def parse_franchise(data: object) -> Franchise:
    """Read a description, as it comes from YAML or JSON.

    Raises:
        BadInputError: every problem with its path; secrets are not repeated.
    """
    return parsed(Franchise, data)


def parsed(kind: type[_P], data: object) -> _P:
    """As `parse_franchise`, of a part of a description.

    Raises:
        BadInputError: every problem with its path; secrets are not repeated. Its `field` is the path of the first.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, item['loc'])) or 'file'}: {_sentence(item, kind)}" for item in error.errors()]
        first = tuple(map(str, error.errors()[0]["loc"]))
        raise BadInputError("; ".join(problems), field=first or None) from None


def _sentence(item: Any, kind: type[_Part]) -> str:
    value = item.get("input")
    path = " ".join(map(str, item["loc"])).lower()
    # Among credentials one is easily entered in the place of another: nothing of them is quoted.
    among = kind in {Crm, Messaging} or path.startswith(("crm", "messaging"))
    # A secret under a misspelt name, or in the place of the mapping it belongs into, is a secret all the same.
    unnamed = item["type"] in {"extra_forbidden", "model_type"}
    named = re.search("secret|token|key", path) is not None
    secret = among or unnamed or named or not isinstance(value, str | int | float | bool)
    return f"{item['msg']}" if secret else f"{item['msg']} (got {str(value)[:80]!r})"
