"""SendGrid's Inbound Parse: a mail that somebody wrote to us, as the fields of a form.

It is not signed: whoever receives it must make sure of the sender by the address it is posted to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.errors import MessageError
from email.parser import HeaderParser
from email.utils import parseaddr
from typing import Any

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.integrations.text import storable

__all__ = ["InboundMail", "parse"]

LONGEST_ADDRESS = 320


@dataclass(frozen=True, slots=True)
class InboundMail:
    """One mail; nothing of it shows in a repr.

    `to` are the addresses it was delivered to (the envelope's), whatever its To line says. `sender` is the From line's
    address, which anybody can write. `headers` have lower-case names, the last of each. `automatic`: an out-of-office
    note, a list or a delivery report wrote it, no person.
    """

    sender: str = field(repr=False)
    sender_name: str | None = field(repr=False)
    to: tuple[str, ...] = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def message_id(self) -> str | None:
        """The mail's own id, the same when the mail is delivered again."""
        return self.headers.get("message-id")

    @property
    def automatic(self) -> bool:
        submitted = self.headers.get("auto-submitted", "no").partition(";")[0].strip().lower()
        precedence = self.headers.get("precedence", "").strip().lower()
        named = any(name in self.headers for name in ("x-autoreply", "x-autorespond", "x-auto-response-suppress"))
        no_return = self.headers.get("return-path", "").strip() == "<>"
        return submitted != "no" or precedence in ("auto_reply", "bulk", "junk", "list") or named or no_return


def parse(fields: Mapping[str, str]) -> InboundMail:
    """The mail in the form's fields, decoded by what its `charsets` says.

    Raises:
        BadInputError: no sender or no recipient is named.
    """
    charsets, envelope = _object(fields.get("charsets")), _object(fields.get("envelope"))
    read = {name: storable(_decoded(value, charsets.get(name))) for name, value in fields.items()}
    name, address = parseaddr(read.get("from", ""))
    sender = _address(address) or _address(envelope.get("from"))
    stated = envelope.get("to")
    delivered_to = stated if isinstance(stated, list) else [parseaddr(read.get("to", ""))[1]]
    to = tuple(found for found in map(_address, delivered_to) if found)
    if sender is None or not to:
        raise BadInputError("the mail names no usable sender or recipient; send Inbound Parse's from and envelope")
    return InboundMail(
        sender=sender,
        sender_name=name.strip() or None,
        to=to,
        subject=" ".join(read.get("subject", "").split()),
        text=read.get("text", ""),
        html=read.get("html") or None,
        headers=_headers(read.get("headers", "")),
    )


def _decoded(value: str, charset: object) -> str:
    """The text again in its own charset, where the form's reader had to take its bytes for Latin-1."""
    if not isinstance(charset, str) or charset.lower().replace("-", "").replace("_", "") in ("utf8", "usascii"):
        return value
    try:
        return value.encode("latin-1").decode(charset)
    except (UnicodeError, LookupError):
        return value


def _headers(text: str) -> dict[str, str]:
    try:
        parsed = HeaderParser().parsestr(text.strip())
        return {name.lower(): " ".join(str(value).split()) for name, value in parsed.items()}
    except (MessageError, ValueError):
        return {}


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _address(value: object) -> str | None:
    usable = isinstance(value, str) and value.isprintable() and len(value) <= LONGEST_ADDRESS
    local, at, domain = str(value).strip().rpartition("@") if usable else ("", "", "")
    return f"{local}@{domain}".lower() if at and local and "." in domain and " " not in local + domain else None
