"""What Twilio posts: customers' texts, and what became of ours. Fields it adds later are passed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.integrations.text import storable

__all__ = ["InboundText", "StatusUpdate", "parse_inbound", "parse_status"]

LONGEST_ID = 64
LONGEST_ADDRESS = 100
OPT_OUT_TYPES = frozenset({"STOP", "START", "HELP"})

Parameters = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class InboundText:
    """A customer's text; numbers and text show in no repr.

    `opt_out_type` is STOP, START or HELP when Twilio itself has acted on a keyword and answered the customer: nothing
    more may be said about it.
    """

    sid: str
    account_sid: str
    from_number: str = field(repr=False)
    to_number: str = field(repr=False)
    body: str = field(repr=False)
    media: int = 0
    messaging_service_sid: str | None = None
    opt_out_type: str | None = None


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """What became of our text. `error_code` is given with undelivered and failed."""

    sid: str
    account_sid: str
    status: str
    error_code: int | None
    to_number: str = field(repr=False)
    from_number: str = field(repr=False)


def parse_inbound(parameters: Parameters) -> InboundText:
    """The text in a form whose signature was verified.

    Raises:
        BadInputError: a field that every text has is missing.
    """
    form = dict(parameters)
    opt_out_type = form.get("OptOutType", "").strip().upper()
    return InboundText(
        sid=_required(form, "MessageSid", "SmsSid"),
        account_sid=_required(form, "AccountSid"),
        from_number=_required(form, "From", longest=LONGEST_ADDRESS),
        to_number=_required(form, "To", longest=LONGEST_ADDRESS),
        body=storable(form.get("Body", "")),
        media=_count(form.get("NumMedia", "")),
        messaging_service_sid=form.get("MessagingServiceSid", "").strip()[:LONGEST_ID] or None,
        opt_out_type=opt_out_type if opt_out_type in OPT_OUT_TYPES else None,
    )


def parse_status(parameters: Parameters) -> StatusUpdate:
    """The status in a form whose signature was verified.

    Raises:
        BadInputError: a field that every status has is missing.
    """
    form = dict(parameters)
    code = _count(form.get("ErrorCode", ""))
    return StatusUpdate(
        sid=_required(form, "MessageSid", "SmsSid"),
        account_sid=_required(form, "AccountSid"),
        status=_required(form, "MessageStatus", "SmsStatus").lower(),
        error_code=code or None,
        to_number=form.get("To", "").strip()[:LONGEST_ADDRESS],
        from_number=form.get("From", "").strip()[:LONGEST_ADDRESS],
    )


def _required(form: dict[str, str], *names: str, longest: int = LONGEST_ID) -> str:
    for name in names:
        value = form.get(name, "").strip()
        if 0 < len(value) <= longest and value.isprintable():
            return value
    raise BadInputError(f"{names[0]} is missing or unusable; send Twilio's form")


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 0  # noqa: PLR2004  # below a billion
