"""Whether a customer's text asks us to stop.

Whoever may mean it is taken to mean it: a text too few can be sent later, a text too many cannot be taken back. The rule asked for
is 47 CFR 64.1200(a)(10): any reasonable means, not only keywords.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from lead_orchestrator.messaging.opt_out_words import vocabulary
from lead_orchestrator.messaging.plain_words import clauses, own_words, plain, sentences, slips
from lead_orchestrator.messaging.templates.defaults import Language

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
    `somebody_else`: who asks to be left alone is not the person we know, as behind a wrong number. `language` is to answer in.
    """

    intent: Intent
    why: str
    soft: bool = False
    somebody_else: bool = False
    language: Language = "en"

    @property
    def stops(self) -> bool:
        """Whether the person is to be opted out."""
        return self.intent in {Intent.STOP, Intent.LIKELY_STOP}


def classify(text: str) -> Reading:
    """What `text`, an incoming message of any channel, asks for."""
    own = own_words(text)
    bare = plain(own)
    words = _corrected(bare)
    reading = _keyword(bare) or _likely(own) if words else _signs(own)
    reading = reading or Reading(Intent.NONE, "Does not ask us to stop")
    somebody_else = reading.stops and vocabulary().somebody_else.search(words) is not None
    language: Language = "es" if vocabulary().spanish.intersection(bare.split()) else "en"
    return replace(reading, somebody_else=somebody_else, language=language)


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


def _likely(own: str) -> Reading | None:
    parts = [part for sentence in sentences(own) for part in _parts(sentence)]
    if any(_tells_us_to_stop(part) for part in parts):
        return Reading(Intent.LIKELY_STOP, "The text has a word for opting out as a command")
    for why, pattern in vocabulary().phrases:
        if any(pattern.search(part) for part in parts):
            return Reading(Intent.LIKELY_STOP, f"The text {why}")
    return None


def _parts(sentence: str) -> list[str]:
    """The sentence and its clauses in plain words, without what only looks like an opt-out."""
    rest = vocabulary().harmless.sub("_", _corrected(plain(sentence)))
    return [rest, *(clause for part in clauses(sentence) if (clause := _corrected(part)) in rest)]


def _tells_us_to_stop(clause: str) -> bool:
    """Whether the clause is a command to stop, or has little but a word for it."""
    if vocabulary().command.match(clause):
        return True
    telling = [word for word in clause.split() if word not in vocabulary().fillers]
    return bool(telling) and all(word in vocabulary().nearly for word in telling)


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
