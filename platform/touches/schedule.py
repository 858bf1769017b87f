"""The 13 touches of a lead's first 30 days: when each is due and what it says by default."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from lead_orchestrator.leads.models import Channel
from lead_orchestrator.touches.wall_time import wall_instant

__all__ = ["DEFAULT_DAYS", "DEFAULT_TOUCHES", "VARIABLES", "Touch", "next_due"]

DEFAULT_DAYS = (0, 1, 3, 5, 7, 10, 13, 16, 19, 22, 25, 27, 30)
VARIABLES = frozenset({"first_name", "shop_name", "shop_address", "vehicle", "chat_link", "unsubscribe_link"})


@dataclass(frozen=True, slots=True)
class Touch:
    """The `number`-th touch (from 1), due `day` days after the first contact; `subject` is for e-mail only.

    `whatsapp_template` names the approved template that opens a conversation there.
    """

    number: int
    day: int
    channel: Channel
    subject: str | None
    body: str
    whatsapp_template: str | None = None


def next_due(anchor: datetime, day: int, zone: ZoneInfo, previous_sent_at: datetime | None) -> datetime:
    """When the touch of `day` is due, in UTC: the anchor's wall time that many days on.

    `anchor` is the first contact. A touch that went out late shifts the next ones: each comes a day after the one before
    at least, by the wall clock. A wall time the clock leaves out is the end of the gap, one it shows twice the first.

    Raises:
        ValueError: an instant has no zone.
    """
    planned = _days_on(anchor, day, zone)
    if previous_sent_at is None:
        return planned
    return max(planned, _days_on(previous_sent_at, 1, zone))


def _days_on(instant: datetime, days: int, zone: ZoneInfo) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("an instant must be aware")
    if not days:
        return instant.astimezone(UTC)
    local = instant.astimezone(zone)
    return wall_instant(local.date() + timedelta(days=days), local.time(), zone)


_FOOTER = """

{shop_name}
{shop_address}

Don't want these e-mails? Unsubscribe: {unsubscribe_link}"""

_TEXTS: tuple[tuple[Channel, str | None, str], ...] = (
    (
        Channel.SMS,
        None,
        (
            "Hi {first_name|there}, it's {shop_name}. Thanks for asking us about window tint for your {vehicle|vehicle}! "
            "Questions about price or times? Just text back or chat here: {chat_link} Reply STOP to opt out"
        ),
    ),
    (
        Channel.SMS,
        None,
        (
            "Hi {first_name|there}, {shop_name} again. Your quote is ready whenever you are. "
            "Is there a day this week that would suit you?"
        ),
    ),
    (
        Channel.EMAIL,
        "Your window tint quote from {shop_name}",
        """Hi {first_name|there},

thank you for asking us about your {vehicle|vehicle}. Your quote is waiting for you, and so are we.

Not sure which tint is right? Tell us how you use the car and we will suggest one. You can see free times and book in a \
minute here: {chat_link}

Or simply answer this e-mail; a person reads it."""
        + _FOOTER,
    ),
    (
        Channel.SMS,
        None,
        (
            "Hi {first_name|there}, quick thought from {shop_name}: good tint keeps most of the sun's heat and UV out. "
            "Shall we find you a time?"
        ),
    ),
    (
        Channel.SMS,
        None,
        (
            "{first_name|Hello}, most cars are done and back with you the same day. "
            "Which works better for you, a weekday or Saturday? - {shop_name}"
        ),
    ),
    (
        Channel.EMAIL,
        "Three things to know before you tint your {vehicle|vehicle}",
        """Hi {first_name|there},

three things customers often ask us:

1. How dark may it be? Each state sets its own limit. We only fit what is legal where you drive.
2. How long does it take? Usually a few hours. You leave the car with us or wait here.
3. What if I don't like it? Tell us. We stand behind our work.

Anything else? Ask us here: {chat_link}"""
        + _FOOTER,
    ),
    (
        Channel.SMS,
        None,
        (
            "Hi {first_name|there}, still thinking about tint for your {vehicle|vehicle}? "
            "We're happy to answer anything, no strings attached. - {shop_name}"
        ),
    ),
    (
        Channel.SMS,
        None,
        "{shop_name} here. We have some openings coming up, {first_name|friend}. Pick one that suits you: {chat_link}",
    ),
    (
        Channel.EMAIL,
        "Can we answer a question for you?",
        """Hi {first_name|there},

a quote often leaves a question open: the shade, the warranty, the price, the time it takes. Whatever yours is, we would \
like to answer it.

Write back, or chat with us here: {chat_link}"""
        + _FOOTER,
    ),
    (
        Channel.SMS,
        None,
        (
            "Hi {first_name|there}, has anything changed about your {vehicle|vehicle}? "
            "If you'd like other options or a new quote, just say so. - {shop_name}"
        ),
    ),
    (
        Channel.SMS,
        None,
        "A cooler car is one visit away, {first_name|friend}. Want us to hold a spot for you at {shop_name}?",
    ),
    (
        Channel.EMAIL,
        "Your quote is still here",
        """Hi {first_name|there},

your quote for the {vehicle|car} is still on file with us, so there is nothing to fill in again.

If the time is right, pick a day here: {chat_link}
If it isn't, no hard feelings. We'll write once more and then leave you in peace."""
        + _FOOTER,
    ),
    (
        Channel.SMS,
        None,
        (
            "Hi {first_name|there}, this is our last note about your quote. We'd love to see you and your {vehicle|car} "
            "whenever you're ready: {chat_link} All the best, {shop_name}"
        ),
    ),
)

DEFAULT_TOUCHES: tuple[Touch, ...] = tuple(
    Touch(number, day, channel, subject, body)
    for number, (day, (channel, subject, body)) in enumerate(zip(DEFAULT_DAYS, _TEXTS, strict=True), start=1)
)
