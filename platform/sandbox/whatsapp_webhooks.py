"""What Meta posts to the app's address: customers' messages and our messages' statuses, gathered into batches."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from typing import Any

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.context import Sandbox, is_web_address
from lead_orchestrator.sandbox.courier import Delivery
from lead_orchestrator.sandbox.signatures import sign_meta_webhook
from lead_orchestrator.sandbox.twilio_resources import E164
from lead_orchestrator.sandbox.whatsapp_errors import WhatsAppError
from lead_orchestrator.sandbox.world import Message, StatusStep, WhatsAppNumber

__all__ = ["read_messages", "receive_whatsapp", "report", "subscribe"]

ATTEMPTS = 3
HTTP_OK = 200
VERIFICATION_FAILED = 2200
MAX_BODY = 4096
ERRORS = {
    131026: "Message undeliverable",
    131047: "Re-engagement message",
    131050: "User has stopped marketing messages",
}


async def subscribe(sandbox: Sandbox, url: str, verify_token: str) -> None:
    """Post webhooks to `url` from now on, if it passes the handshake.

    Raises:
        WhatsAppError: it does not, in Meta's words.
    """
    if not is_web_address(url):
        raise WhatsAppError(400, 100, "(#100) callback_url is not a valid URL")
    challenge = str(secrets.randbelow(10**10))
    query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
    status, text = await sandbox.courier.get(url, query)
    passed = status == HTTP_OK and text == challenge
    sandbox.world.tell("whatsapp_handshake", url=url, passed=passed, outcome=str(status or text))
    if not passed:
        why = f"HTTP Status Code = {status}" if status not in (None, HTTP_OK) else "the challenge did not come back"
        raise WhatsAppError(400, VERIFICATION_FAILED, f"(#2200) Callback verification failed: {why}")
    sandbox.world.whatsapp_app.url = url


async def receive_whatsapp(
    sandbox: Sandbox, *, customer: str, number: str, body: str, in_reply_to: str | None = None, button: bool = False
) -> Message:
    """A customer writes to one of our numbers at WhatsApp: it opens the 24 hours, and earlier messages are read.

    Raises:
        BadInputError: `number` is none of ours at WhatsApp, or a value is missing.
    """
    own = sandbox.world.whatsapp_number(number)
    if own is None:
        raise BadInputError(f"to is {number!r}: no number of the sandbox at WhatsApp")
    if not E164.fullmatch(customer):
        raise BadInputError(f"the customer's number is {customer!r}: write it as +13105550123")
    if not 0 < len(body.strip()) <= MAX_BODY:
        raise BadInputError("body must have 1 to 4096 characters: write the text that the customer sends")
    now = time.time()
    message = Message(
        id="wamid." + base64.b64encode(secrets.token_bytes(24)).decode(),
        channel="WHATSAPP",
        direction="inbound",
        account=own.id,
        company=own.company,
        to=number,
        sender=customer,
        accepted_at=round(now * 1000),
        body=body,
        in_reply_to=in_reply_to,
        steps=[StatusStep("received", now)],
    )
    await sandbox.accept(message)
    moment = message.app_time or await sandbox.moment()
    sandbox.world.whatsapp_written[own.id, customer] = moment
    await read_messages(sandbox, own, customer)
    kind, part = ("button", {"text": body, "payload": body}) if button else ("text", {"body": body})
    row: dict[str, Any] = {
        **({} if customer in sandbox.world.usernames else {"from": customer.removeprefix("+")}),
        "from_user_id": sandbox.world.user_id(own.company, customer),
        "id": message.id,
        "timestamp": str(int(moment.timestamp())),
        "type": kind,
        kind: part,
    }
    if in_reply_to:
        row["context"] = {"from": own.number.removeprefix("+"), "id": in_reply_to}
    _post(sandbox, own, "messages", row, _contact(sandbox, own, customer, named=True))
    return message


async def read_messages(sandbox: Sandbox, number: WhatsAppNumber, customer: str) -> int:
    """The customer looks at what has arrived from `number`; says how many messages were new to them."""
    arrived = [
        message
        for message in sandbox.world.messages_by_customer.get(customer, [])
        if message.account == number.id and message.direction == "outbound" and message.step().status == "delivered"
    ]
    for message in arrived:
        message.steps.append(StatusStep("read", time.time()))
        await _post_status(sandbox, number, message, message.steps[-1])
    return len(arrived)


async def report(sandbox: Sandbox, number: WhatsAppNumber, message: Message) -> None:
    """Post the statuses of a message as they come to pass."""
    for step in message.steps[1:]:
        await asyncio.sleep(max(0.0, step.at - time.time()))
        await _post_status(sandbox, number, message, step)


async def _post_status(sandbox: Sandbox, number: WhatsAppNumber, message: Message, step: StatusStep) -> None:
    if sandbox.world.whatsapp_app.url is None:
        return
    row: dict[str, Any] = {
        "id": message.id,
        "status": step.status,
        "timestamp": str(int((await sandbox.moment()).timestamp())),
        **({} if message.by_user_id else {"recipient_id": message.to.removeprefix("+")}),
        "recipient_user_id": sandbox.world.user_id(number.company, message.to),
    }
    if message.reference is not None:
        row["biz_opaque_callback_data"] = message.reference
    if step.error_code is not None:
        title = ERRORS.get(step.error_code, "Message undeliverable")
        row["errors"] = [{"code": step.error_code, "title": title, "message": title}]
    failed = step.status == "failed"
    contact = None if failed else _contact(sandbox, number, message.to, named=not message.by_user_id)
    _post(sandbox, number, "statuses", row, contact)


def _contact(sandbox: Sandbox, number: WhatsAppNumber, customer: str, *, named: bool) -> dict[str, Any]:
    """A person with a username shows it, and no number unless we sent to it."""
    username = sandbox.world.usernames.get(customer)
    profile = {"name": sandbox.world.customer_name(customer) or "WhatsApp user"}
    contact: dict[str, Any] = {
        "profile": {**profile, "username": username} if username else profile,
        "user_id": sandbox.world.user_id(number.company, customer),
    }
    return {**contact, "wa_id": customer.removeprefix("+")} if named and not username else contact


def _post(
    sandbox: Sandbox, number: WhatsAppNumber, kind: str, row: dict[str, Any], contact: dict[str, Any] | None
) -> None:
    app = sandbox.world.whatsapp_app
    if app.url is None:
        return
    url, secret = app.url, app.secret

    def deliver(items: list[Any]) -> Delivery:
        body = json.dumps(_payload(items)).encode()  # Meta escapes what is not ASCII, and signs that
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "facebookexternalua",
            "X-Hub-Signature-256": sign_meta_webhook(secret, body),
        }
        return Delivery("whatsapp_webhook", f"{len(items)} of WhatsApp", url, body, lambda _: headers, ATTEMPTS)

    sandbox.courier.gather(("whatsapp", url), (number, kind, row, contact), deliver)


def _payload(items: list[tuple[WhatsAppNumber, str, dict[str, Any], dict[str, Any] | None]]) -> dict[str, Any]:
    """One entry for each business account, one change for each number and kind, in the order of their first items."""
    entries: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for number, kind, row, contact in items:
        values = entries.setdefault(number.business_id, {})
        metadata = {"display_phone_number": number.number.removeprefix("+"), "phone_number_id": number.id}
        value = values.setdefault((number.id, kind), {"messaging_product": "whatsapp", "metadata": metadata})
        value.setdefault(kind, []).append(row)
        if contact is not None and contact not in value.setdefault("contacts", []):
            value["contacts"].append(contact)
    return {
        "object": "whatsapp_business_account",
        "entry": [
            {"id": business_id, "changes": [{"field": "messages", "value": value} for value in values.values()]}
            for business_id, values in entries.items()
        ],
    }
