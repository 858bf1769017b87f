"""A mail that a customer writes, and Inbound Parse, which posts it as a form."""

from __future__ import annotations

import json
import secrets
import time
from datetime import datetime
from email.utils import format_datetime, formataddr

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.context import Sandbox
from lead_orchestrator.sandbox.courier import Delivery
from lead_orchestrator.sandbox.sendgrid_events import smtp_id
from lead_orchestrator.sandbox.world import Message, SendGridAccount, StatusStep

__all__ = ["receive_mail"]

ATTEMPTS = 3


async def receive_mail(
    sandbox: Sandbox,
    *,
    customer: str,
    to: str,
    subject: str,
    text: str,
    html: str | None = None,
    in_reply_to: str | None = None,
    automatic: bool = False,
) -> Message:
    """A customer writes to `to`; where a host of that address is set up for Inbound Parse, it is posted there.

    `in_reply_to` is the id of a mail of ours. `automatic` is an out-of-office note.

    Raises:
        BadInputError: a value is missing, or no account's host or domain is that of `to`.
    """
    for name, value in (("from", customer), ("to", to)):
        if not all(value.partition("@")) or any(letter.isspace() for letter in value):
            raise BadInputError(f"{name} is {value!r}: write an address such as ann@example.com")
    if not text.strip() and not (html or "").strip():
        raise BadInputError("text is empty: write what the customer says")
    host = to.rpartition("@")[2].lower()
    account = _account(sandbox, host)
    now = time.time()
    message = Message(
        id=secrets.token_urlsafe(16),
        channel="EMAIL",
        direction="inbound",
        account=account.name,
        company=account.company,
        to=to,
        sender=customer,
        sender_name=_name(sandbox, customer),
        accepted_at=round(now * 1000),
        subject=subject,
        body=text,
        html=html,
        in_reply_to=in_reply_to,
        steps=[StatusStep("received", now)],
    )
    message.headers = _headers(sandbox, message, await sandbox.moment(), automatic=automatic)
    await sandbox.accept(message)
    if host in account.inbound:
        sandbox.courier.send(_delivery(account.inbound[host], message))
    return message


def _account(sandbox: Sandbox, host: str) -> SendGridAccount:
    for account in sandbox.world.sendgrid_accounts.values():
        if host in account.inbound or host in account.domains:
            return account
    raise BadInputError(f"no account of the sandbox receives mail for {host!r}")


def _name(sandbox: Sandbox, address: str) -> str | None:
    for _, row in sandbox.world.customers():
        if any(email["email"] == address for email in row["emails"]):
            return f"{row['firstName'] or ''} {row['lastName'] or ''}".strip() or None
    return None


def _headers(sandbox: Sandbox, message: Message, moment: datetime, *, automatic: bool) -> dict[str, str]:
    headers = {
        "From": formataddr((message.sender_name or "", message.sender)),
        "To": message.to,
        "Subject": " ".join((message.subject or "").split()),
        "Date": format_datetime(moment),
        "Message-ID": f"<{message.id}@mail.example.com>",
    }
    answered = sandbox.world.messages_by_id.get(message.in_reply_to or "")
    if answered is not None:
        headers |= {"In-Reply-To": smtp_id(answered), "References": smtp_id(answered)}
    if automatic:
        headers |= {"Auto-Submitted": "auto-replied", "X-Auto-Response-Suppress": "All"}
    return headers


def _delivery(url: str, message: Message) -> Delivery:
    fields = {
        "headers": "".join(f"{name}: {value}\n" for name, value in message.headers.items()),
        "dkim": "{@example.com : pass}",
        "to": message.to,
        "from": message.headers["From"],
        "sender_ip": "192.0.2.1",
        "subject": message.subject or "",
        "text": message.body,
        **({"html": message.html} if message.html else {}),
        "envelope": json.dumps({"to": [message.to], "from": message.sender}),
        "attachments": "0",
        "charsets": json.dumps(dict.fromkeys(("to", "from", "subject", "text", "html"), "UTF-8")),
        "SPF": "pass",
    }
    boundary = f"xYz{secrets.token_hex(16)}"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{fields[name]}\r\n' for name in fields
    ]
    body = ("".join(parts) + f"--{boundary}--\r\n").encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "User-Agent": "SendGrid/Inbound Parse"}
    return Delivery("sendgrid_inbound", f"inbound {message.id}", url, body, lambda _: headers, ATTEMPTS)
