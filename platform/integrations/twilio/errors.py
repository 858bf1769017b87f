"""Twilio's error codes in our words; Twilio's own texts quote the customer's number."""

from __future__ import annotations

__all__ = ["AMBIGUOUS", "BUSY", "CREDENTIALS", "OPTED_OUT", "sentence"]

OPTED_OUT = 21610
AMBIGUOUS = frozenset({20500})  # Twilio: the send may have happened
BUSY = frozenset({20429, 20503, 21611})
CREDENTIALS = frozenset({20003, 20005, 20008, 20403, 21212, 21603, 21606, 21608, 21659, 21660, 21703, 21705})

_SENTENCES = {
    20003: "Twilio does not accept the account SID and auth token",
    20005: "the Twilio account is not active",
    20008: "these are test credentials, which cannot send",
    20403: "the Twilio account may not do this",
    20404: "Twilio knows no such account or message",
    21211: "the recipient's number is not a valid phone number",
    21212: "the sending number is not valid",
    21217: "the recipient's number is not a valid phone number",
    21408: "the Twilio account may not text the recipient's country",
    21602: "the message has no text",
    21603: "no sending number is given",
    21604: "no recipient is given",
    21606: "the sending number does not belong to the account or cannot send texts",
    21608: "a trial account may text verified numbers only",
    21610: "the recipient has opted out of messages from this number",
    21612: "the sending number cannot reach the recipient's number",
    21614: "the recipient's number cannot receive texts",
    21617: "the text is longer than 1,600 characters",
    21619: "the message has no text",
    21659: "the sending number does not belong to the account",
    21660: "the sending number does not belong to the account",
    21703: "the messaging service has no sending number",
    21705: "the messaging service does not exist",
    30034: "the sending number is not registered for business texting (A2P 10DLC)",
}


def sentence(code: int | None, status: int) -> str:
    """What a Twilio error means, safe to store and to show."""
    if code is None:
        return f"Twilio refused the message (HTTP {status})"
    return _SENTENCES.get(code, f"Twilio refused the message (error {code})")
