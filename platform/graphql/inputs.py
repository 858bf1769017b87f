"""Parts of inputs that several mutations have."""

from __future__ import annotations

from collections.abc import Iterator

import strawberry

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.enums import Channel
from lead_orchestrator.leads.consents import ConsentGiven

__all__ = ["ConsentInput", "consents", "text"]

LONGEST_WORDING = 2000
_SHOWN = 60


@strawberry.input
class ConsentInput:
    """What the person ticked; null is no answer. `wording` is the exact text they saw."""

    sms: bool | None = None
    email: bool | None = None
    whatsapp: bool | None = None
    wording: str | None = None


def consents(given: ConsentInput | None) -> Iterator[ConsentGiven]:
    if given is None:
        return
    wording = text(given.wording, "wording", LONGEST_WORDING)
    answers = {Channel.SMS: given.sms, Channel.EMAIL: given.email, Channel.WHATSAPP: given.whatsapp}
    for channel, granted in answers.items():
        if granted is not None:
            yield ConsentGiven(channel, granted, "api", wording)


def text(value: str | None, field: str, longest: int) -> str | None:
    """`value` trimmed, None when nothing is left."""
    if value is not None and len(value) > longest:
        message = f"{field} has {len(value)} characters, as in {value[:_SHOWN]!r}: send {longest} at most"
        raise BadInputError(message, field=(field,))
    return (value or "").strip() or None
