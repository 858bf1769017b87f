"""Makes what tests need, through the product's own services."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

import phonenumbers

from lead_orchestrator.leads.models import Lead, LeadSource
from lead_orchestrator.leads.service import Enquiry, Leads
from lead_orchestrator.tenancy.onboarding import Onboarding, parse_franchise
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Scope, Tenancy
from lead_orchestrator.touches.prefixes import AREA_STATES

__all__ = ["MadeTenant", "make_lead", "make_tenant", "phone_number"]

_numbers = itertools.count(1)


@cache
def _area_codes() -> Sequence[str]:
    """California's, whose zone is that of most shops of the tests, then those nobody has, which say nothing of a zone."""
    nobodys = [
        str(code)
        for code in range(201, 990)
        if not phonenumbers.is_valid_number(phonenumbers.parse(f"+1{code}5550100"))
    ]
    return [*AREA_STATES["CA"].split(), *nobodys]


def phone_number() -> str:
    """A number nobody has (555-01xx), another one each time: the area code varies."""
    number, codes = next(_numbers), _area_codes()
    return f"+1{codes[number // 100 % len(codes)]}55501{number % 100:02d}"


@dataclass(frozen=True)
class MadeTenant:
    """A tenant with its locations, in the order they were asked for."""

    id: UUID
    slug: str
    locations: Sequence[UUID]
    shopmonkey_locations: Sequence[str]
    webhook_secret: str
    scope: Scope = field(repr=False)

    @property
    def location(self) -> UUID:
        return self.locations[0]


async def _owned(_key: str, _location: str) -> bool:
    return True


async def make_tenant(
    tenancy: Tenancy,
    secret_box: SecretBox,
    *,
    locations: int = 1,
    timezone: str = "America/Los_Angeles",
    demo_mode: bool = False,
    allowlist: Sequence[str] = (),
    crm: bool = True,
    messaging: dict[str, Any] | None = None,
    shopmonkey_locations: Sequence[str] | None = None,
    api_key: str | None = None,
) -> MadeTenant:
    """A tenant with `locations` shops, a ShopMonkey account unless told, and `messaging` as in an onboarding file."""
    slug = f"t-{secrets.token_hex(6)}"
    shop_ids = list(shopmonkey_locations or (secrets.token_hex(12) for _ in range(locations)))
    secret = f"secret-{secrets.token_hex(8)}"
    description: dict[str, Any] = {
        "name": f"Franchise {slug}",
        "slug": slug,
        "demoMode": demo_mode,
        "demoAllowlist": list(allowlist),
        "messaging": messaging or {},
        "locations": [
            {
                "name": f"Shop {number + 1}",
                "slug": f"{slug}-{number + 1}",
                "timezone": timezone,
                "phone": "+12135550100",
                **({"shopmonkeyLocationId": shop_ids[number]} if crm else {}),
            }
            for number in range(len(shop_ids))
        ],
    }
    if crm:
        description["crm"] = {"apiKey": api_key or f"key-{slug}", "webhookSecret": secret}
    onboarding = Onboarding(tenancy, secret_box, _owned)
    made = await onboarding.onboard(parse_franchise(description), actor="tests")
    ids = [made.location_ids[f"{slug}-{number + 1}"] for number in range(len(shop_ids))]
    return MadeTenant(made.tenant_id, slug, ids, shop_ids, secret, Scope.service(made.tenant_id, "tests"))


async def make_lead(
    tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant, *, location: UUID | None = None, **fields: Any
) -> Lead:
    """A lead of `tenant` with a phone number and a mail address unless told otherwise."""
    values: dict[str, Any] = {"first_name": "Ada", "last_name": "Example", "phone": phone_number()}
    values["email"] = f"lead{secrets.token_hex(4)}@example.com"
    values.update(fields)
    enquiry = Enquiry(location_id=location or tenant.location, source=values.pop("source", LeadSource.API), **values)
    async with tenancy.write(tenant.scope) as session:
        return (await Leads(secret_box).receive(session, enquiry)).lead
