"""The demo's outside world: two franchises with shops, catalogs, numbers and senders. Every secret is a sample."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from lead_orchestrator.sandbox.google_world import GoogleAccount
from lead_orchestrator.sandbox.quotes import WEBSITE_LEADS_STATUS_ID
from lead_orchestrator.sandbox.shopmonkey import register_webhook
from lead_orchestrator.sandbox.world import (
    Company,
    Row,
    SendGridAccount,
    TwilioAccount,
    TwilioNumber,
    WhatsAppNumber,
    WhatsAppTemplate,
    World,
)

__all__ = [
    "CATALOG_CENTS",
    "CLEAR_VIEW",
    "DEMO_FRANCHISES",
    "LOS_ANGELES_LOCATION_ID",
    "SUN_SHADE",
    "WHATSAPP_TEMPLATES",
    "DemoFranchise",
    "DemoLocation",
    "add_company",
    "calendar_address",
    "demo_world",
]

LOS_ANGELES_LOCATION_ID = "6198139a5391fa197fac13e7"
SECOND_WEBSITE_STATUS_ID = "65fb14d76ee665db4d8d2ce0"


@dataclass(frozen=True)
class DemoLocation:
    id: str
    name: str
    timezone: str
    city: str
    state: str
    postal_code: str


@dataclass(frozen=True)
class DemoFranchise:
    """One franchise and its credentials at each service."""

    company_id: str
    name: str
    locations: tuple[DemoLocation, ...]
    shopmonkey_api_key: str
    shopmonkey_webhook_secret: str
    twilio_account_sid: str
    twilio_auth_token: str
    twilio_numbers: tuple[str, ...]
    sendgrid_api_key: str
    sender_domain: str
    from_email: str
    inbound_domain: str
    whatsapp_number_id: str
    whatsapp_number: str
    whatsapp_token: str


SUN_SHADE = DemoFranchise(
    company_id="6198139a5391fa197fac13e0",
    name="Sun Shade Tint",
    locations=(
        DemoLocation(LOS_ANGELES_LOCATION_ID, "Los Angeles", "America/Los_Angeles", "Los Angeles", "CA", "90015"),
        DemoLocation("6198139a5391fa197fac13e8", "Phoenix", "America/Phoenix", "Phoenix", "AZ", "85004"),
        DemoLocation("6198139a5391fa197fac13e9", "Denver", "America/Denver", "Denver", "CO", "80202"),
    ),
    shopmonkey_api_key="demo-shopmonkey-key-1",
    shopmonkey_webhook_secret="demo-shopmonkey-secret-1",  # noqa: S106  # a sample
    twilio_account_sid="AC00000000000000000000000000000001",
    twilio_auth_token="demo-twilio-token-1",  # noqa: S106  # a sample
    twilio_numbers=("+13105550100", "+16025550100", "+13035550100"),
    sendgrid_api_key="SG.demo-1",
    sender_domain="sunshade.example.com",
    from_email="quotes@sunshade.example.com",
    inbound_domain="reply.sunshade.example.com",
    whatsapp_number_id="106540352242001",
    whatsapp_number="+13105550140",
    whatsapp_token="demo-whatsapp-token-1",  # noqa: S106  # a sample
)
CLEAR_VIEW = DemoFranchise(
    company_id="65fb14d76ee665db4d8d2c00",
    name="Clear View Films",
    locations=(
        DemoLocation("65fb14d76ee665db4d8d2c01", "Chicago", "America/Chicago", "Chicago", "IL", "60601"),
        DemoLocation("65fb14d76ee665db4d8d2c02", "New York", "America/New_York", "New York", "NY", "10001"),
    ),
    shopmonkey_api_key="demo-shopmonkey-key-2",
    shopmonkey_webhook_secret="demo-shopmonkey-secret-2",  # noqa: S106  # a sample
    twilio_account_sid="AC00000000000000000000000000000002",
    twilio_auth_token="demo-twilio-token-2",  # noqa: S106  # a sample
    twilio_numbers=("+13125550100", "+12125550100"),
    sendgrid_api_key="SG.demo-2",
    sender_domain="clearview.example.com",
    from_email="quotes@clearview.example.com",
    inbound_domain="reply.clearview.example.com",
    whatsapp_number_id="106540352242002",
    whatsapp_number="+13125550140",
    whatsapp_token="demo-whatsapp-token-2",  # noqa: S106  # a sample
)
DEMO_FRANCHISES = (SUN_SHADE, CLEAR_VIEW)
PLATFORM_SENDGRID_KEY = "SG.demo-platform"
PLATFORM_DOMAIN = "accounts.example.com"
PLATFORM_FROM_EMAIL = f"no-reply@{PLATFORM_DOMAIN}"
"""The product's own account, which mails invitations and new passwords."""

WHATSAPP_TEMPLATES = (
    WhatsAppTemplate("quote_ready", "en_US", "Hi {{1}}, this is {{2}}. Your quote is ready. Shall we talk about it?"),
    WhatsAppTemplate("quote_ready", "es", "Hola {{1}}, somos {{2}}. Su presupuesto está listo. ¿Hablamos?"),
    WhatsAppTemplate("still_interested", "en_US", "Hi {{1}}, are you still interested in window tint?", "MARKETING"),
    WhatsAppTemplate("appointment_reminder", "en_US", "Reminder: {{1}} expects you on {{2}}."),
)
CATALOG_CENTS = {
    "Ultimate Full Vehicle Ceramic Tint": 60000,
    "Supreme Full Vehicle Ceramic Tint": 45000,
    "Premium Full Vehicle Carbon Tint": 30000,
    "Classic Full Vehicle Dyed Tint": 22900,
    "Ultimate Truck Ceramic Tint": 55000,
    "Supreme Truck Ceramic Tint": 42500,
    "Premium Truck Carbon Tint": 27900,
    "Ultimate Two Front Windows": 19900,
    "Supreme Two Front Windows": 16900,
    "Premium Two Front Windows": 10900,
    "Ultimate Windshield Ceramic Tint": 32500,
    "Supreme Windshield Ceramic Tint": 27500,
    "Windshield Visor Strip": 11900,
    "Rear Window Tint": 14900,
    "Rear Sides and Back Window": 24900,
    "Ultimate Rear Sides and Back Window": 37500,
    "Sunroof Tint": 12900,
    "Panoramic Roof Ceramic Tint": 34900,
    "Quarter Windows Tint": 11500,
    "Old Tint Removal, Back Window": 13900,
    "Old Tint Removal, Full Vehicle": 25900,
    "Headlight Film": 17900,
    "Taillight Film": 15900,
}


def demo_world(
    *, product_url: str | None = None, webhook_secrets: dict[str, str] | None = None, seed: int | None = None
) -> World:
    """A new world with both franchises.

    With `product_url` their order webhooks and inbound-text URLs point at the product there. `webhook_secrets` maps a
    company's name to its webhook secret, where it is not the demo's. `seed` makes random choices repeatable."""
    world = World(seed=seed)
    platform = SendGridAccount(PLATFORM_SENDGRID_KEY, "Lead Orchestrator", "Lead Orchestrator", (PLATFORM_DOMAIN,))
    world.sendgrid_accounts[PLATFORM_SENDGRID_KEY] = platform
    for franchise in DEMO_FRANCHISES:
        secret = (webhook_secrets or {}).get(franchise.name, franchise.shopmonkey_webhook_secret)
        _add_franchise(world, franchise, product_url.rstrip("/") if product_url else None, secret)
    return world


def _add_franchise(world: World, franchise: DemoFranchise, product_url: str | None, secret: str) -> None:
    company = Company(franchise.company_id, franchise.name, franchise.shopmonkey_api_key)
    company.locations = {shop.id: _location(franchise, shop) for shop in franchise.locations}
    company.workflow_statuses = [row for shop in franchise.locations for row in _workflow_statuses(franchise, shop)]
    for shop in franchise.locations:
        services = [_canned_service(franchise, shop, number) for number in range(len(CATALOG_CENTS))]
        company.canned_services.update({service["id"]: service for service in services})
    company.users = [_technician(franchise, shop, number) for shop in franchise.locations for number in (1, 2)]
    world.companies[company.id] = company
    for shop in franchise.locations:
        email = calendar_address(franchise, shop)
        world.google.accounts[email] = GoogleAccount(email, franchise.name, shop.timezone)
    sms_url = f"{product_url}/webhooks/twilio/sms" if product_url else None
    account = TwilioAccount(franchise.twilio_account_sid, franchise.twilio_auth_token, franchise.name)
    for number in franchise.twilio_numbers:
        account.numbers[number] = TwilioNumber("PN" + _id(number, 32), number, sms_url)
    world.twilio_accounts[account.sid] = account
    world.sendgrid_accounts[franchise.sendgrid_api_key] = SendGridAccount(
        franchise.sendgrid_api_key, franchise.name, franchise.name, (franchise.sender_domain,)
    )
    world.whatsapp_numbers[franchise.whatsapp_number_id] = WhatsAppNumber(
        franchise.whatsapp_number_id,
        franchise.whatsapp_number,
        franchise.whatsapp_token,
        franchise.name,
        business_id=f"9{franchise.whatsapp_number_id[1:]}",
        templates=list(WHATSAPP_TEMPLATES),
    )
    if product_url:
        url = f"{product_url}/webhooks/shopmonkey/order"
        register_webhook(company, {"name": "Orders", "url": url, "triggers": ["Order"], "secret": secret})


def add_company(world: World, number: int) -> tuple[str, str]:
    """One more ShopMonkey company, with a location and three services; its API key and the location's id."""
    shop = DemoLocation(_id(f"shop {number}"), "Main Street", "America/Chicago", "Chicago", "IL", "60601")
    franchise = replace(
        CLEAR_VIEW,
        company_id=_id(f"company {number}"),
        name=f"Company {number}",
        locations=(shop,),
        shopmonkey_api_key=f"demo-company-key-{number}",
    )
    company = Company(franchise.company_id, franchise.name, franchise.shopmonkey_api_key)
    company.locations = {shop.id: _location(franchise, shop)}
    services = [_canned_service(franchise, shop, ordinal) for ordinal in range(3)]
    company.canned_services = {service["id"]: service for service in services}
    world.companies[company.id] = company
    return franchise.shopmonkey_api_key, shop.id


def calendar_address(franchise: DemoFranchise, shop: DemoLocation) -> str:
    """The Google account of a shop."""
    return f"{shop.name.lower().replace(' ', '')}@{franchise.sender_domain}"


def _technician(franchise: DemoFranchise, shop: DemoLocation, number: int) -> Row:
    return {
        "id": _id(f"user {shop.id} {number}"),
        "companyId": franchise.company_id,
        "locationId": shop.id,
        "locationIds": [shop.id],
        "firstName": "Technician",
        "lastName": str(number),
        "createdDate": "2026-01-05T18:00:00.000Z",
    }


def _id(text: str, length: int = 24) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _location(franchise: DemoFranchise, shop: DemoLocation) -> Row:
    return {
        "id": shop.id,
        "companyId": franchise.company_id,
        "name": shop.name,
        "legalName": f"{franchise.name} {shop.name}",
        "timezone": shop.timezone,
        "address1": "100 Example Street",
        "address2": None,
        "city": shop.city,
        "state": shop.state,
        "postalCode": shop.postal_code,
        "country": "US",
        "currencyCode": "USD",
        "email": franchise.from_email,
        "phone": None,
    }


def _workflow_statuses(franchise: DemoFranchise, shop: DemoLocation) -> list[Row]:
    columns = {"Website Leads": WEBSITE_LEADS_STATUS_ID, "Appointments": SECOND_WEBSITE_STATUS_ID}
    names = ("Website Leads", "Appointments", "In Progress", "Invoiced")
    return [
        {
            "id": columns.get(name, _id(f"{shop.id} {name}")),
            "companyId": franchise.company_id,
            "locationId": shop.id,
            "name": name,
            "position": position,
            "invoiceWorkflow": name == "Invoiced",
            "archiveWhenInactive": False,
            "daysToArchive": None,
        }
        for position, name in enumerate(names)
    ]


def _canned_service(franchise: DemoFranchise, shop: DemoLocation, ordinal: int) -> Row:
    name, cents = list(CATALOG_CENTS.items())[ordinal]
    return {
        "id": _id(f"{shop.id} {name}"),
        "publicId": _id(f"public {shop.id} {name}", 12),
        "companyId": franchise.company_id,
        "locationId": shop.id,
        "createdDate": "2026-01-05T18:00:00.000Z",
        "updatedDate": "2026-01-05T18:00:00.000Z",
        "name": name,
        "note": None,
        "bookable": True,
        "bookableOrdinal": ordinal,
        "pricing": "FixedPrice",
        "fixedPriceCents": cents,
        "totalCents": cents,
        "calculatedLaborCents": cents,
        "calculatedPartsCents": 0,
        "calculatedTaxCents": 0,
        "calculatedFeeCents": 0,
        "calculatedDiscountCents": 0,
        "taxCents": 0,
        "taxValueType": "Percent",
        "lumpSum": False,
        "recommended": False,
        "express": False,
        "deleted": False,
        "labels": [],
    }
