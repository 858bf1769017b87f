"""Whether a customer's text asks us to stop.

Whoever may mean it is taken to mean it: a text too few can be sent later, a text too many cannot be taken back. The rule asked for
is 47 CFR 64.1200(a)(10): any reasonable means, not only keywords.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from lead_orchestrator.messaging.opt_out_words import vocabulary
from lead_orchestrator.messaging.plain_words import clauses, own_words, plain, slips

__all__ = ["Intent", "Reading", "classify"]


class Intent(StrEnum):
    STOP = "STOP"
    """An exact keyword: opted out, nothing to ask."""
    LIKELY_STOP = "LIKELY_STOP"
    """Opted out too; the confirmation says how to come back."""
    START = "START"
    HELP = "HELP"
    NONE = "NONE"


@dataclass(frozen=True)
class Reading:
    """What a text asks for, and why we think so (without its words: it may be logged and shown).

    `soft`: a START that is a mere yes; it restores only a person who opted out before and else is an ordinary answer.
    """

    intent: Intent
    why: str
    soft: bool = False

    @property
    def stops(self) -> bool:
        """Whether the person is to be opted out."""
        return self.intent in {Intent.STOP, Intent.LIKELY_STOP}


def classify(text: str) -> Reading:
    """What `text`, an incoming message of any channel, asks for."""
    own = own_words(text)
    words = _corrected(plain(own))
    if not words:
        return _signs(own)
    return _keyword(plain(own)) or _likely(own, words) or Reading(Intent.NONE, "Does not ask us to stop")


def _keyword(words: str) -> Reading | None:
    if words in vocabulary().stop:
        return Reading(Intent.STOP, "The text is a keyword for opting out")
    if words in vocabulary().start:
        return Reading(Intent.START, "The text is a keyword for opting in again")
    if words in vocabulary().soft_yes:
        return Reading(Intent.START, "The text is a yes", soft=True)
    if words in vocabulary().help:
        return Reading(Intent.HELP, "The text is a keyword for help")
    return None


def _likely(own: str, words: str) -> Reading | None:
    if any(_only_asks_to_stop(_corrected(clause)) for clause in (words, *clauses(own))):
        return Reading(Intent.LIKELY_STOP, "The text has little but a word for opting out")
    rest = vocabulary().harmless.sub("_", words)
    for why, pattern in vocabulary().phrases:
        if pattern.search(rest):
            return Reading(Intent.LIKELY_STOP, f"The text {why}")
    return None


def _only_asks_to_stop(clause: str) -> bool:
    telling = [word for word in clause.split() if word not in vocabulary().fillers]
    return (
        bool(telling)
        and all(word in vocabulary().nearly for word in telling)
        and not vocabulary().harmless.search(clause)
    )


def _signs(own: str) -> Reading:
    if any(sign in vocabulary().signs for sign in own):
        return Reading(Intent.LIKELY_STOP, "The text is a sign for stop")
    return Reading(Intent.NONE, "The text has no words of its own")


def _corrected(words: str) -> str:
    """The words with what the fingers slipped on put right, where it matters here."""
    joined = re.sub(r"\b(?:un|de) (?=sub?scri)", "un", re.sub(r"\bopt (?:ot|oit|put|our)\b", "opt out", words))
    return " ".join(_meant(word) for word in joined.split())


def _meant(word: str) -> str:
    if word in vocabulary().own or word in vocabulary().slips:
        return word
    stretched = re.sub(r"(.)\1{2,}", r"\1", word)
    for meant, most in vocabulary().slips.items():
        if abs(len(stretched) - len(meant)) <= most and slips(stretched, meant) <= most:
            return meant
    return word
