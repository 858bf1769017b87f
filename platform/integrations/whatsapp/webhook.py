"""What Meta posts: batches of customers' messages and of our messages' statuses, for any number of the app.

Since 2026 a person with a username can come without a number: every number here may be None where `user_id` (the
business-scoped id) is not. Deliveries repeat and come in any order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.integrations.text import storable

__all__ = ["Batch", "InboundMessage", "StatusUpdate", "parse"]

OBJECT = "whatsapp_business_account"
LONGEST_ID = 300
_DIGITS = re.compile(r"\+?([0-9]{5,15})", re.ASCII)
_UNIX = re.compile(r"[0-9]{1,11}", re.ASCII)


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """What a customer sent; texts, numbers and names show in no repr.

    `phone` is E.164. `text` is what was written or chosen, or a medium's caption; None for everything else, which
    `kind` names as Meta does. `replied_to` is the id of our message that was quoted or whose button was pressed.
    """

    phone_number_id: str
    message_id: str
    kind: str
    at: datetime
    phone: str | None = field(repr=False)
    user_id: str | None = field(repr=False)
    name: str | None = field(repr=False)
    text: str | None = field(repr=False)
    replied_to: str | None = None


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """What became of our message: sent, delivered, read or failed. `reference` is what was given when it was sent."""

    phone_number_id: str
    message_id: str
    status: str
    at: datetime
    error_code: int | None
    reference: str | None
    phone: str | None = field(repr=False)
    user_id: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Batch:
    messages: tuple[InboundMessage, ...] = ()
    statuses: tuple[StatusUpdate, ...] = ()


def parse(body: bytes) -> Batch:
    """Everything in a delivery that can be used; what Meta adds later, or what is malformed, is passed over.

    Raises:
        BadInputError: the body is not a JSON object.
    """
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        raise BadInputError("the body is not JSON; send the webhook's JSON object") from None
    if not isinstance(payload, dict):
        raise BadInputError("the body is not a JSON object; send the webhook's JSON object")
    if payload.get("object") != OBJECT:
        return Batch()
    values = list(_values(payload))
    return Batch(
        tuple(message for number, value in values for message in _messages(number, value)),
        tuple(status for number, value in values for status in _statuses(number, value)),
    )


def _values(payload: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Our number's id and the value of each change about messages."""
    for entry in _objects(payload.get("entry")):
        for change in _objects(entry.get("changes")):
            value = change.get("value")
            if change.get("field") == "messages" and isinstance(value, dict):
                number = _id(_object(value.get("metadata")).get("phone_number_id"))
                if number:
                    yield number, value


def _messages(number: str, value: dict[str, Any]) -> Iterator[InboundMessage]:
    contacts = _objects(value.get("contacts"))
    for row in _objects(value.get("messages")):
        message_id, at = _id(row.get("id")), _moment(row.get("timestamp"))
        phone, user_id = _phone(row.get("from")), _id(row.get("from_user_id"))
        contact = _contact(contacts, row.get("from"), user_id)
        phone, user_id = phone or _phone(contact.get("wa_id")), user_id or _id(contact.get("user_id"))
        if message_id and at and (phone or user_id):
            kind = _id(row.get("type")) or "unknown"
            name = _string(_object(contact.get("profile")).get("name"))
            replied_to = _id(_object(row.get("context")).get("id"))
            yield InboundMessage(number, message_id, kind, at, phone, user_id, name, _text(kind, row), replied_to)


def _contact(contacts: list[dict[str, Any]], wa_id: object, user_id: str | None) -> dict[str, Any]:
    """The sender's entry; a batch of one sender's messages has one entry, which may name neither id."""
    for contact in contacts:
        if (wa_id and contact.get("wa_id") == wa_id) or (user_id and contact.get("user_id") == user_id):
            return contact
    return contacts[0] if len(contacts) == 1 and not wa_id and not user_id else {}


def _statuses(number: str, value: dict[str, Any]) -> Iterator[StatusUpdate]:
    for row in _objects(value.get("statuses")):
        message_id, status, at = _id(row.get("id")), _id(row.get("status")), _moment(row.get("timestamp"))
        errors = _objects(row.get("errors"))
        code = errors[0].get("code") if errors else None
        if message_id and status and at:
            yield StatusUpdate(
                phone_number_id=number,
                message_id=message_id,
                status=status,
                at=at,
                error_code=code if isinstance(code, int) and not isinstance(code, bool) else None,
                reference=_string(row.get("biz_opaque_callback_data")),
                phone=_phone(row.get("recipient_id")),
                user_id=_id(row.get("recipient_user_id")),
            )


def _text(kind: str, row: dict[str, Any]) -> str | None:
    part = _object(row.get(kind))
    if kind == "text":
        return _string(part.get("body"))
    if kind == "button":
        return _string(part.get("text"))
    if kind == "interactive":
        return _string(_object(part.get(str(part.get("type")))).get("title"))
    return _string(part.get("caption"))


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _string(value: object) -> str | None:
    return storable(value) if isinstance(value, str) and value.strip("\x00 \t\r\n") else None


def _id(value: object) -> str | None:
    usable = isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= LONGEST_ID
    return str(value).strip() if usable else None


def _phone(value: object) -> str | None:
    digits = _DIGITS.fullmatch(value) if isinstance(value, str) else None
    return f"+{digits[1]}" if digits else None


def _moment(value: object) -> datetime | None:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return datetime.fromtimestamp(int(text), UTC) if _UNIX.fullmatch(text) else None
