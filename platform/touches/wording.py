"""What a text may be on each channel, and what is wrong with one that is to be a template."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from lead_orchestrator.errors import AppError, BadInputError
from lead_orchestrator.leads.models import Channel
from lead_orchestrator.touches.templates import check

__all__ = ["LONGEST_BODY", "LONGEST_SUBJECT", "problem", "wording_problems"]

LONGEST_BODY = {Channel.SMS: 1600, Channel.WHATSAPP: 1600, Channel.EMAIL: 50_000}
LONGEST_SUBJECT = 200
_SHOWN = 60


def wording_problems(
    what: str, channel: Channel, subject: str | None, body: str, allowed: Collection[str], path: tuple[str, ...] = ()
) -> Iterator[AppError]:
    """Everything that keeps these words from being a template on `channel`; `what` is it in words, `path` where it stands."""
    longest = LONGEST_BODY.get(channel)
    if longest is None:
        message = f"channel is {channel.value}: {what} go by {', '.join(LONGEST_BODY)}"
        yield problem(message, (*path, "channel"))
    elif len(body) > longest:
        message = f"body has {len(body)} characters: {channel.value} takes {longest} at most"
        yield problem(message, (*path, "body"))
    if not body.strip():
        yield problem("body is empty: write what it says", (*path, "body"))
    for found in check(body, allowed):
        yield problem(found.message, (*path, "body"))
    yield from _subject(channel, subject or "", allowed, (*path, "subject"))


def _subject(channel: Channel, subject: str, allowed: Collection[str], path: tuple[str, ...]) -> Iterator[AppError]:
    if channel is not Channel.EMAIL:
        if subject.strip():
            message = f"{channel.value} has no subject, and this is {subject[:_SHOWN]!r}: leave it out"
            yield problem(message, path)
        return
    if not subject.strip():
        yield problem("subject is empty: a mail needs one", path)
    if len(subject) > LONGEST_SUBJECT or not subject.isprintable():
        yield problem(f"subject is {subject[:_SHOWN]!r}: send one line of {LONGEST_SUBJECT} characters at most", path)
    for found in check(subject, allowed):
        yield problem(found.message, path)


def problem(message: str, path: tuple[str, ...]) -> AppError:
    return BadInputError(message, field=path)
