"""The addresses at which Twilio, WhatsApp and SendGrid reach us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import SecretStr
from starlette.routing import BaseRoute, Route

from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.secrets import SecretOpener
from lead_orchestrator.webhooks.inbox import Inbox
from lead_orchestrator.webhooks.sendgrid import SendGridWebhooks
from lead_orchestrator.webhooks.twilio import TwilioWebhooks
from lead_orchestrator.webhooks.whatsapp import WhatsAppWebhook

__all__ = ["MESSAGING_PATHS", "messaging_addresses", "messaging_routes", "order_webhook_url"]

_WHATSAPP = ("/webhooks/whatsapp", "/webhook/whatsapp")
MESSAGING_PATHS = (
    "/webhooks/twilio/sms",
    "/webhooks/twilio/status",
    *_WHATSAPP,
    "/webhooks/sendgrid/events",
    "/webhooks/sendgrid/inbound",
)
"""Without the keys that follow some of them: those are secrets."""


def order_webhook_url(public_url: str) -> str:
    """What to enter at ShopMonkey."""
    return public_url.rstrip("/") + "/webhooks/shopmonkey/order"


def messaging_addresses(public_url: str, sendgrid_key: str | None) -> Mapping[str, str | None]:
    """What to enter at each provider; SendGrid's only where the key has just been made."""
    base = public_url.rstrip("/") + "/webhooks"
    return {
        "twilioUrl": f"{base}/twilio/sms",
        "whatsappUrl": f"{base}/whatsapp",
        "sendgridEventsUrl": f"{base}/sendgrid/events/{sendgrid_key}" if sendgrid_key else None,
        "sendgridInboundUrl": f"{base}/sendgrid/inbound/{sendgrid_key}" if sendgrid_key else None,
    }


def messaging_routes(inbox: Inbox, secrets: SecretOpener, settings: Settings) -> Sequence[BaseRoute]:
    twilio = TwilioWebhooks(inbox, secrets, settings.public_url)
    app_secrets = tuple(part.strip() for part in _value(settings.whatsapp_app_secret).split(",") if part.strip())
    whatsapp = WhatsAppWebhook(inbox, app_secrets, _value(settings.whatsapp_verify_token))
    sendgrid = SendGridWebhooks(inbox)
    return [
        Route("/webhooks/twilio/sms", twilio.text, methods=["POST"]),
        Route("/webhooks/twilio/status", twilio.status, methods=["POST"]),
        *(Route(path, whatsapp.handshake, methods=["GET"]) for path in _WHATSAPP),
        *(Route(path, whatsapp.receive, methods=["POST"]) for path in _WHATSAPP),
        Route("/webhooks/sendgrid/events/{key}", sendgrid.events, methods=["POST"]),
        Route("/webhooks/sendgrid/inbound/{key}", sendgrid.mail, methods=["POST"]),
    ]


def _value(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
