"""Providers' words in ours. What says nothing that we act on is None."""

from __future__ import annotations

import hashlib
import re
from uuid import UUID

from lead_orchestrator.integrations.sendgrid.events import MailEvent
from lead_orchestrator.integrations.sendgrid.inbound import InboundMail
from lead_orchestrator.integrations.sendgrid.plain import plain_text
from lead_orchestrator.integrations.text import storable
from lead_orchestrator.integrations.twilio import errors as twilio_errors
from lead_orchestrator.integrations.twilio import webhook as twilio
from lead_orchestrator.integrations.whatsapp import errors as whatsapp_errors
from lead_orchestrator.integrations.whatsapp import webhook as whatsapp
from lead_orchestrator.leads.addresses import known_email, known_phone
from lead_orchestrator.leads.models import Channel
from lead_orchestrator.messaging.inbound.models import Arrival, Heard, News, Told
from lead_orchestrator.messaging.reference import referenced

__all__ = [
    "mail_news",
    "mail_received",
    "message_received",
    "text_news",
    "text_received",
    "whatsapp_news",
]

LONGEST_TEXT = 10_000
_MEDIA_ONLY = "(a picture or file without words)"
_NO_ANSWER = frozenset({"reaction", "system", "unsupported", "unknown"})

_TEXT_ARRIVALS = {
    **dict.fromkeys(("accepted", "scheduled", "queued", "sending", "sent", "partially_delivered"), Arrival.SENT),
    "delivered": Arrival.DELIVERED,
    "read": Arrival.DELIVERED,
    "undelivered": Arrival.UNDELIVERED,
    "failed": Arrival.FAILED,
    "canceled": Arrival.FAILED,
}
_WHATSAPP_ARRIVALS = {
    "sent": Arrival.SENT,
    "delivered": Arrival.DELIVERED,
    "read": Arrival.DELIVERED,  # `delivered` is left out when it is read at once
    "failed": Arrival.FAILED,
}
_MAIL_ARRIVALS = {
    **dict.fromkeys(("processed", "deferred"), Arrival.SENT),
    **dict.fromkeys(
        ("delivered", "open", "click", "spamreport", "unsubscribe", "group_unsubscribe"), Arrival.DELIVERED
    ),
    "bounce": Arrival.UNDELIVERED,
    "dropped": Arrival.FAILED,
}
_UNSUBSCRIBED = frozenset({"spamreport", "unsubscribe", "group_unsubscribe"})
_DROPPED_AS_UNSUBSCRIBED = frozenset({"Unsubscribed Address", "Spam Reporting Address"})
_MAIL_WHY = {
    "bounce": "the recipient's mail server refused the mail",
    "dropped": "SendGrid did not send the mail, because of what it knows of the address",
}


def text_received(text: twilio.InboundText) -> Told | None:
    """A customer's text; None where it comes from no number, as a short code's."""
    phone = known_phone(text.from_number)
    words = text.body if text.body.strip() else _MEDIA_ONLY if text.media else ""
    if phone is None or not words:
        return None
    heard = Heard(Channel.SMS, text.sid, phone, None, text.to_number, _clean(words), answered=text.opt_out_type)
    return Told(f"twilio:{text.sid}:received", heard)


def text_news(update: twilio.StatusUpdate, message_id: UUID, attempt: int) -> Told | None:
    arrival = _TEXT_ARRIVALS.get(update.status)
    if arrival is None:
        return None
    code = update.error_code
    failed = arrival in (Arrival.UNDELIVERED, Arrival.FAILED)
    news = News(
        Channel.SMS,
        update.sid,
        arrival,
        message_id,
        attempt,
        str(code) if failed and code else None,
        twilio_errors.sentence(code, 0) if failed and code else None,
        opted_out=code == twilio_errors.OPTED_OUT,
    )
    return Told(f"twilio:{update.sid}:{update.status}", news)


def message_received(message: whatsapp.InboundMessage) -> Told | None:
    """A customer's WhatsApp message; None for reactions and what WhatsApp itself writes."""
    if message.kind in _NO_ANSWER:
        return None
    phone = known_phone(message.phone)
    if phone is None and message.user_id is None:
        return None
    heard = Heard(
        Channel.WHATSAPP,
        message.message_id,
        phone,
        message.user_id,
        message.phone_number_id,
        _clean(message.text or _MEDIA_ONLY),
        name=_line(message.name),
    )
    return Told(_key(f"whatsapp:{message.message_id}:received"), heard)


def whatsapp_news(update: whatsapp.StatusUpdate) -> Told | None:
    arrival = _WHATSAPP_ARRIVALS.get(update.status)
    if arrival is None:
        return None
    message_id, attempt = referenced(update.reference) or (None, None)
    code = update.error_code
    failed = arrival is Arrival.FAILED
    news = News(
        Channel.WHATSAPP,
        update.message_id,
        arrival,
        message_id,
        attempt,
        str(code) if failed and code is not None else None,
        whatsapp_errors.sentence(code) if failed else None,
        opted_out=code == whatsapp_errors.OPTED_OUT,
    )
    return Told(_key(f"whatsapp:{update.message_id}:{update.status}"), news)


def mail_news(event: MailEvent) -> Told | None:
    """None for events that say nothing of a mail of ours, or cannot be told apart."""
    arrival = _MAIL_ARRIVALS.get(event.kind)
    message_id, attempt = referenced(event.custom_args.get("message")) or (None, None)
    if arrival is None or event.event_id is None or not (message_id or event.message_id):
        return None
    dropped_as_unsubscribed = event.kind == "dropped" and event.reason in _DROPPED_AS_UNSUBSCRIBED
    news = News(
        Channel.EMAIL,
        event.message_id or "",
        arrival,
        message_id,
        attempt,
        _line(event.status or event.bounce_type or event.kind) if event.kind in _MAIL_WHY else None,
        _MAIL_WHY.get(event.kind),
        opted_out=event.kind in _UNSUBSCRIBED or dropped_as_unsubscribed,
    )
    return Told(_key(f"sendgrid:{event.event_id}"), news)


def mail_received(mail: InboundMail) -> Told | None:
    """A customer's mail without what it quotes; None for out-of-office notes and the like.

    The subject of a mail that answers none is part of what it says: some write "stop" there and nothing below.
    """
    sender = known_email(mail.sender)
    words = _own_words(mail.text) or _own_words(plain_text(mail.html or ""))
    if not _ANSWERS.match(mail.subject):
        words = f"{mail.subject}\n{words}".strip()
    if sender is None or mail.automatic or not words:
        return None
    named = mail.message_id or "\n".join((sender, *mail.to, mail.subject, mail.text, mail.html or ""))
    digest = hashlib.sha256(named.encode("utf-8", "replace")).hexdigest()
    heard = Heard(
        Channel.EMAIL, digest, sender, None, mail.to[0], _clean(words), _line(mail.subject), _line(mail.sender_name)
    )
    return Told(f"sendgrid:mail:{digest}", heard)


_ANSWERS = re.compile(r"\s*(?:re|aw|sv|rv|fwd?)\s*:", re.IGNORECASE)
_QUOTE_BEGINS = re.compile(
    r"^(?:-{2,} ?original message|_{10,}|from: .+|on .{5,200} wrote:|el .{5,200} escribi[oó]:)\s*$", re.IGNORECASE
)


def _own_words(text: str) -> str:
    """The lines above the quotation: what we wrote must not be taken for the customer's words."""
    own: list[str] = []
    for line in text[: 10 * LONGEST_TEXT].splitlines():
        if _QUOTE_BEGINS.match(line.strip()[:300]):
            break
        if not line.lstrip().startswith(">"):
            own.append(line.rstrip())
    return "\n".join(own).strip()


def _clean(text: str) -> str:
    """As Postgres can keep it, and no longer than anybody reads."""
    return storable(text)[:LONGEST_TEXT]


def _line(text: str | None) -> str | None:
    printable = "".join(character if character.isprintable() else " " for character in text or "")
    return " ".join(storable(printable).split())[:200] or None


def _key(change: str) -> str:
    """The change's name, or its hash where it is longer than any honest one."""
    return change if len(change) <= 300 else hashlib.sha256(change.encode("utf-8", "replace")).hexdigest()  # noqa: PLR2004 - none has longer ids
