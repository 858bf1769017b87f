"""How a message is shown to whoever looks into the sandbox."""

from __future__ import annotations

import re
from typing import Any

from lead_orchestrator.sandbox.context import is_web_address
from lead_orchestrator.sandbox.world import Message

__all__ = ["message_json", "unsubscribe_address"]


def unsubscribe_address(mail: Message) -> str | None:
    """Where a one-click unsubscribe of this mail is posted."""
    headers = {name.lower(): value for name, value in mail.headers.items()}
    found = re.search(r"<(https?://[^>\s]+)>", headers.get("list-unsubscribe", ""))
    return found[1] if found and "list-unsubscribe-post" in headers and is_web_address(found[1]) else None


def message_json(message: Message) -> dict[str, Any]:
    """A message as GET /messages shows it; `acceptedAt` is in unix milliseconds of real time."""
    step = message.step()
    return {
        "id": message.id,
        "providerId": message.id,
        "channel": message.channel,
        "direction": message.direction,
        "account": message.account,
        "company": message.company,
        "to": message.to,
        "from": message.sender,
        "fromName": message.sender_name,
        "replyTo": message.reply_to,
        "subject": message.subject,
        "body": message.body,
        "text": message.body,
        "html": message.html,
        "headers": message.headers,
        "customArgs": message.custom_args,
        "attachments": [
            {"name": one.name, "type": one.media_type, "text": one.content.decode(errors="replace")}
            for one in message.attachments
        ],
        "reference": message.reference,
        "inReplyTo": message.in_reply_to,
        "automatic": message.automatic,
        "statusCallback": message.status_callback,
        "status": step.status,
        "errorCode": step.error_code,
        "acceptedAt": message.accepted_at,
        "appTime": message.app_time.isoformat() if message.app_time else None,
    }
