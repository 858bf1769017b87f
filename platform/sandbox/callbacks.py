"""Where the services post to: one place to tell them all, as somebody would in each service's console."""

from __future__ import annotations

from typing import Any

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.context import Sandbox, is_web_address
from lead_orchestrator.sandbox.signatures import sendgrid_public_key
from lead_orchestrator.sandbox.whatsapp_errors import WhatsAppError
from lead_orchestrator.sandbox.whatsapp_webhooks import subscribe
from lead_orchestrator.sandbox.world import SendGridAccount, TwilioAccount

__all__ = ["callbacks_json", "change_callbacks"]

URLS = ("smsUrl", "mailEventsUrl", "inboundMailUrl", "whatsappUrl")
TEXTS = ("company", "inboundMailHost", "whatsappVerifyToken")


async def change_callbacks(sandbox: Sandbox, data: dict[str, Any]) -> None:
    """Set what `data` names; a URL that is null is removed. `company` limits it to one company's accounts.

    `inboundMailUrl` needs `inboundMailHost`, the host whose mail is received. `whatsappUrl` belongs to the app, so to
    all companies, and must pass the handshake with `whatsappVerifyToken`.

    Raises:
        BadInputError: an unknown name or company, no web address, or the handshake failed.
    """
    unknown = [name for name in data if name not in URLS + TEXTS]
    if unknown:
        raise BadInputError(f"{unknown[0]!r} is unknown: use {', '.join(URLS + TEXTS)}")
    for name in URLS:
        if data.get(name) is not None and not is_web_address(data[name]):
            raise BadInputError(f"{name} is {data[name]!r}: use an address such as http://127.0.0.1:3000/…, or null")
    texters, mailers = _accounts(sandbox, data.get("company"))
    if "smsUrl" in data:
        for number in [number for account in texters for number in account.numbers.values()]:
            number.sms_url = data["smsUrl"]
    for account in mailers:
        _change_mail(account, data)
    if "whatsappUrl" in data:
        await _change_whatsapp(sandbox, data["whatsappUrl"], data.get("whatsappVerifyToken"))


def _accounts(sandbox: Sandbox, company: object) -> tuple[list[TwilioAccount], list[SendGridAccount]]:
    world = sandbox.world
    texters = [account for account in world.twilio_accounts.values() if company in (None, account.company)]
    mailers = [account for account in world.sendgrid_accounts.values() if company in (None, account.company)]
    if not texters and not mailers:
        raise BadInputError(f"company {company!r} is unknown: GET /locations names them")
    return texters, mailers


def _change_mail(account: SendGridAccount, data: dict[str, Any]) -> None:
    if "mailEventsUrl" in data:
        account.event_url = data["mailEventsUrl"]
    if "inboundMailUrl" not in data:
        return
    host, url = data.get("inboundMailHost"), data["inboundMailUrl"]
    if not isinstance(host, str) or not host.strip():
        raise BadInputError("inboundMailHost is missing: name the host whose mail is received")
    if url is None:
        account.inbound.pop(host.lower(), None)
    else:
        account.inbound[host.lower()] = url


async def _change_whatsapp(sandbox: Sandbox, url: str | None, verify_token: object) -> None:
    if url is None:
        sandbox.world.whatsapp_app.url = None
        return
    try:
        await subscribe(sandbox, url, verify_token if isinstance(verify_token, str) else "")
    except WhatsAppError as error:
        raise BadInputError(error.message) from None


def callbacks_json(sandbox: Sandbox) -> dict[str, Any]:
    """Where each account posts to, and what a receiver needs to verify it."""
    world = sandbox.world
    return {
        "texts": [
            {"company": account.company, "number": number.number, "smsUrl": number.sms_url}
            for account in world.twilio_accounts.values()
            for number in account.numbers.values()
        ],
        "mails": [
            {
                "company": account.company,
                "mailEventsUrl": account.event_url,
                "verificationKey": sendgrid_public_key(account.signing_key),
                "inbound": account.inbound,
            }
            for account in world.sendgrid_accounts.values()
        ],
        "whatsapp": {"appId": world.whatsapp_app.id, "whatsappUrl": world.whatsapp_app.url},
    }
