"""SendGrid's event webhook: what became of each mail, and what its reader did, gathered into signed batches."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import Any

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.context import Sandbox
from lead_orchestrator.sandbox.courier import Delivery
from lead_orchestrator.sandbox.signatures import sign_sendgrid_events
from lead_orchestrator.sandbox.world import Message, SendGridAccount, StatusStep

__all__ = ["READER_EVENTS", "happened", "report", "smtp_id"]

ATTEMPTS = 3
READER_EVENTS = ("open", "click", "spamreport", "unsubscribe")
SUPPRESSIONS = {"spamreport": "Spam Reporting Address", "unsubscribe": "Unsubscribed Address"}
LATER = 500  # a server that answers below it may take the mail another time


async def report(sandbox: Sandbox, account: SendGridAccount, message: Message) -> None:
    """Tell what became of the mail as it comes to pass; an address that bounced is written to no more."""
    for step in message.steps[1:]:
        await asyncio.sleep(max(0.0, step.at - time.time()))
        _tell(sandbox, account, message, step)


def happened(sandbox: Sandbox, mail: Message, event: str, url: str | None) -> None:
    """What a reader did with a mail: open, click (on `url`), spamreport or unsubscribe.

    Raises:
        BadInputError: another event, or not a mail that was delivered.
    """
    if event not in READER_EVENTS:
        raise BadInputError(f"event is {event!r}: use one of {', '.join(READER_EVENTS)}")
    account = next((one for one in sandbox.world.sendgrid_accounts.values() if one.name == mail.account), None)
    if (
        account is None
        or mail.channel != "EMAIL"
        or mail.step().status in ("accepted", "processed", "dropped", "bounce")
    ):
        raise BadInputError(f"message {mail.id!r} is not a mail that was delivered")
    if event in SUPPRESSIONS:
        account.suppressed[mail.to] = SUPPRESSIONS[event]
    mail.steps.append(StatusStep(event, time.time()))
    extra = {"url": url or "https://shop.example.com/"} if event == "click" else {}
    _tell(sandbox, account, mail, mail.steps[-1], **extra)


def smtp_id(message: Message) -> str:
    """The mail's Message-ID, which its reader's answer names."""
    return f"<{message.id.partition('.')[0]}@sandbox.example.com>"


def _tell(sandbox: Sandbox, account: SendGridAccount, message: Message, step: StatusStep, **extra: str) -> None:
    event = {**_event(account, message, step), **extra}
    if step.status == "bounce" and event["type"] == "bounce":
        account.suppressed[message.to] = "Bounced Address"
    if account.event_url is None:
        return
    url = account.event_url

    def deliver(items: list[Any]) -> Delivery:
        return _delivery(account, url, items)

    sandbox.courier.gather(("sendgrid", account.api_key, url), event, deliver)


def _event(account: SendGridAccount, message: Message, step: StatusStep) -> dict[str, Any]:
    event: dict[str, Any] = {
        **message.custom_args,
        "email": message.to,
        "timestamp": int(step.at),
        "event": step.status,
        "sg_event_id": secrets.token_urlsafe(16),
        "sg_message_id": f"{message.id.partition('.')[0]}.recvd-sandbox-1.0",
        "smtp-id": smtp_id(message),
    }
    if step.status == "delivered":
        event["response"] = "250 OK"
    if step.status == "dropped":
        event |= {"reason": account.suppressed.get(message.to, "Bounced Address"), "status": "5.0.0"}
    if step.status == "bounce":
        code = step.error_code or 550
        later = code < LATER
        event["reason"] = f"{code} mailbox unavailable"
        event |= {"type": "blocked", "status": "4.2.1"} if later else {"type": "bounce", "status": "5.1.1"}
    if step.status in ("open", "click"):
        event |= {"ip": "192.0.2.1", "useragent": "Sandbox/1.0"}
    return event


def _delivery(account: SendGridAccount, url: str, events: list[Any]) -> Delivery:
    body = json.dumps(events).encode()

    def headers(_: int) -> dict[str, str]:
        common = {"Content-Type": "application/json", "User-Agent": "SendGrid Event API"}
        if not account.sign_events:
            return common
        now = str(int(time.time()))
        signature = sign_sendgrid_events(account.signing_key, now, body)
        prefix = "X-Twilio-Email-Event-Webhook"
        return {**common, f"{prefix}-Signature": signature, f"{prefix}-Timestamp": now}

    subject = f"{', '.join(event['event'] for event in events[:5])}{', …' if len(events) > 5 else ''}"  # noqa: PLR2004  # a few say enough
    return Delivery("sendgrid_event", subject, url, body, headers, ATTEMPTS)
