"""The demo's two franchises as onboarding files; numbers and addresses belong to nobody."""

from __future__ import annotations

from datetime import time
from zoneinfo import ZoneInfo

from lead_orchestrator.sandbox.seed import SUN_SHADE, DemoFranchise

__all__ = ["ALLOWLIST", "SHOP_TIME", "SHOP_ZONE", "describe", "sendgrid_route_key", "slug"]

SHOP_TIME = time(10)
SHOP_ZONE = ZoneInfo(SUN_SHADE.locations[0].timezone)
# Whoever may be written to in the demo; demo mode itself stays on.
ALLOWLIST = ["+1???55501??", "*@example.com"]


def describe(franchise: DemoFranchise, *, event_key: str | None = None) -> dict[str, object]:
    """The onboarding file of one of the sandbox's franchises, with demo mode on; `event_key` verifies its mail events."""
    hours = [{"dayOfWeek": day, "opensAt": "09:00", "closesAt": "18:00"} for day in range(1, 7)]
    return {
        "name": franchise.name,
        "slug": slug(franchise.name),
        "demoMode": True,
        "demoAllowlist": ALLOWLIST,
        "crm": {"apiKey": franchise.shopmonkey_api_key, "webhookSecret": franchise.shopmonkey_webhook_secret},
        "messaging": {
            "twilioAccountSid": franchise.twilio_account_sid,
            "twilioAuthToken": franchise.twilio_auth_token,
            "twilioPhoneNumber": franchise.twilio_numbers[0],
            "sendgridApiKey": franchise.sendgrid_api_key,
            "sendgridFromEmail": franchise.from_email,
            "sendgridFromName": franchise.name,
            "sendgridRouteKey": sendgrid_route_key(franchise),
            **({"sendgridEventPublicKey": event_key} if event_key else {}),
            "whatsappPhoneNumberId": franchise.whatsapp_number_id,
            "whatsappAccessToken": franchise.whatsapp_token,
        },
        "locations": [
            {
                "name": f"{franchise.name} {shop.name}",
                "slug": slug(f"{franchise.name} {shop.name}"),
                "timezone": shop.timezone,
                "shopmonkeyLocationId": shop.id,
                "phone": number,
                "address": f"100 Example Street, {shop.city}, {shop.state} {shop.postal_code}",
                "bays": 2,
                "hours": hours,
            }
            for shop, number in zip(franchise.locations, franchise.twilio_numbers, strict=True)
        ],
    }


def sendgrid_route_key(franchise: DemoFranchise) -> str:
    """What makes the addresses that SendGrid calls secret; a sample."""
    return f"demo-sendgrid-route-{slug(franchise.name)}"


def slug(name: str) -> str:
    return name.lower().replace(" ", "-")
