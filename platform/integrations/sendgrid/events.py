"""SendGrid's event webhook: what became of the mails we handed over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.integrations.text import storable

__all__ = ["MailEvent", "parse"]

LONGEST_ID = 200
LATEST = 2**36  # seconds; beyond it no datetime can be made
# SendGrid's own names; every other one of an event is a custom argument of the mail.
_OWN = frozenset({
    "asm_group_id", "attempt", "bounce_classification", "category", "cert_err", "email", "event", "ip", "marketing_campaign_id",
    "marketing_campaign_name", "pool", "reason", "response", "sg_content_type", "sg_event_id", "sg_machine_open",
    "sg_message_id", "sg_template_id", "sg_template_name", "smtp-id", "status", "timestamp", "tls", "type", "unique_args",
    "url", "url_offset", "useragent",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class MailEvent:
    """One event; the address shows in no repr.

    `kind` is SendGrid's: processed, dropped, deferred, delivered, bounce, open, click, spamreport, unsubscribe,
    group_unsubscribe, group_resubscribe. `event_id` is the same when an event is delivered again. `message_id` is what
    the send's X-Message-Id was. `bounce_type`: `bounce` (the address is dead) or `blocked` (it may work later).
    `reason` and `response` are the mail server's words and can quote the address: neither for logs nor to be shown.
    """

    kind: str
    event_id: str | None
    message_id: str | None
    at: datetime
    custom_args: Mapping[str, str]
    bounce_type: str | None
    status: str | None
    email: str | None = field(repr=False)
    reason: str | None = field(repr=False)
    response: str | None = field(repr=False)


def parse(body: bytes) -> tuple[MailEvent, ...]:
    """The events of a delivery, in its order; those without a kind or a time are passed over.

    Raises:
        BadInputError: the body is not a JSON array.
    """
    try:
        rows = json.loads(body)
    except (ValueError, RecursionError):
        raise BadInputError("the body is not JSON; send the webhook's JSON array") from None
    if not isinstance(rows, list):
        raise BadInputError("the body is not a JSON array; send the webhook's JSON array")
    found = [_event(row) for row in rows if isinstance(row, dict)]
    return tuple(event for event in found if event)


def _event(row: dict[str, Any]) -> MailEvent | None:
    kind, at = _text(row.get("event")), _moment(row.get("timestamp"))
    if kind is None or at is None:
        return None
    message_id = _text(row.get("sg_message_id"))
    return MailEvent(
        kind=kind,
        event_id=_text(row.get("sg_event_id")),
        message_id=message_id.partition(".")[0] if message_id else None,
        at=at,
        custom_args={
            name: storable(value) for name, value in row.items() if name not in _OWN and isinstance(value, str)
        },
        bounce_type=_text(row.get("type")),
        status=_text(row.get("status")),
        email=_text(row.get("email")),
        reason=_words(row.get("reason")),
        response=_words(row.get("response")),
    )


def _text(value: object) -> str | None:
    usable = isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= LONGEST_ID
    return str(value).strip() if usable else None


def _words(value: object) -> str | None:
    return storable(value) if isinstance(value, str) and value else None


def _moment(value: object) -> datetime | None:
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LATEST
    return datetime.fromtimestamp(int(value), UTC) if usable and isinstance(value, int) else None
