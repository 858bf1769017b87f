"""Whether a sentence may be said. What is not understood is not said: every number must be explained by something."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from lead_orchestrator.chat.guard.evidence import Evidence
from lead_orchestrator.chat.guard.money import allowed_prices, prices, without_names
from lead_orchestrator.chat.guard.promises import promise
from lead_orchestrator.chat.guard.reading import Number, Sentence, plain, read
from lead_orchestrator.chat.guard.times import times
from lead_orchestrator.chat.guard.vocabulary import pattern, words

__all__ = ["Said", "blocked"]

_LINK = re.compile(
    r"\b(?:https?:|www\.)\S+|\b[\w.+-]+@[\w-]+\.\w+"
    r"|\b[\w-]+\.(?:com|net|org|io|co|app|dev|info|biz|ru|xyz|link|shop)\b"
)
_NAME_OF_A_CAR = re.compile(r"(?!us|usd|for|at|only)[a-z]{1,4}-?\d{1,4}[a-z]{0,2}")
_PERCENT = re.compile(r"\b(\d+(?:[.,]\d+)?) ?%(?!\s*(?:off|discount|less|de descuento|menos))")
_LIST_MARK = re.compile(r"(?:^|\n)\s*\d{1,2}[.)](?=\s)")
_COUNTED = re.compile(
    r"(?:of|more|other|great|free|available|good|different|or|and|y|o|otr[ao]s|mas|libres)?\s*"
    + pattern("counted").pattern
)
_PRONOUNS = {"one", "uno"}
_PAIRS, _ARTICLES = {"two", "three", "dos", "tres"}, {"the", "these", "those", "los", "las", "estos", "estas"}
_POINTING = frozenset(
    [
        "which",
        "this",
        "that",
        "the",
        "each",
        "every",
        "another",
        "first",
        "second",
        "last",
        "any",
        "either",
        "no",
        "cada",
        "ningun",
    ]
)
_DURATION = {
    **dict.fromkeys(("minute", "minutes", "min", "mins", "minuto", "minutos"), 1),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "h", "hora", "horas"), 60),
}
_HOUR_WORDS = re.compile(
    r"\b(?:(?P<half>half an hour|media hora)|(?P<more>an hour and a half|una hora y media)|(?P<one>an hour|one hour|una hora))\b"
)
_MODELS = words("models")
_FEW_DIGITS, _YEAR_DIGITS = 2, 4
_SMALL, _FIRST_YEAR, _LAST_YEAR = 12, 1950, 2039
_LONGEST_WORD, _FEW_WORDS, _KNOWN_SHARE = 30, 5, 0.34
_PRIVATE_WORDS = 7


@dataclass(frozen=True)
class Said:
    """What a sentence is judged by: what the tools showed, what the customer wrote, what must not be repeated, the shop's date."""

    evidence: Evidence
    asked: str
    private: str
    today: date


def blocked(text: str, said: Said) -> str | None:
    """Why this may not be said, without its words; None if it may."""
    sentence = read(text)
    return next((why for why in _faults(sentence, text, said) if why), None)


def _faults(sentence: Sentence, text: str, said: Said) -> Iterator[str | None]:
    evidence = said.evidence
    yield _unreadable(sentence, evidence)
    yield _private(sentence, said.private)
    yield _link(text, evidence)
    unnamed = without_names(_without_texts(sentence.text, evidence), evidence)
    yield promise(unnamed, evidence)
    allowed = allowed_prices(sentence, evidence)
    yield prices(sentence, evidence, allowed).wrong
    told = times(_LIST_MARK.sub(" ", unnamed), evidence, said.today)
    yield told.wrong
    yield _duration(told.text, evidence)
    yield _number(told.text, said, allowed)


def _unreadable(sentence: Sentence, evidence: Evidence) -> str | None:
    spoken = [token for token in sentence.tokens if token[0].isalpha()]
    common = words("common")
    if sentence.foreign or any(len(word) > _LONGEST_WORD for word in spoken):
        return "letters or a language that cannot be checked"
    ours = {
        word for part in (*evidence.texts, *(one.name for one in evidence.services)) for word in plain(part).split()
    }
    known = sum(word in common or word in ours for word in spoken)
    if len(spoken) >= _FEW_WORDS and known < _KNOWN_SHARE * len(spoken):
        return "letters or a language that cannot be checked"
    return None


def _private(sentence: Sentence, private: str) -> str | None:
    spoken = re.findall(r"[a-z0-9']+", sentence.text)
    hidden = " ".join(re.findall(r"[a-z0-9']+", plain(private)))
    for at in range(len(spoken) - _PRIVATE_WORDS + 1):
        if " ".join(spoken[at : at + _PRIVATE_WORDS]) in hidden:
            return "the assistant's own instructions"
    return None


def _link(text: str, evidence: Evidence) -> str | None:
    found = _LINK.findall(text.casefold())
    known = " ".join(evidence.texts).casefold()
    return "an address that no tool has shown" if any(link.rstrip(".,;)") not in known for link in found) else None


def _without_texts(text: str, evidence: Evidence) -> str:
    """Without what the shop says of itself word by word: its address, its telephone number, what services are described as."""
    for known in sorted(evidence.texts, key=len, reverse=True):
        shown = plain(known)
        if len(shown) > _SMALL // 2:
            text = text.replace(shown, " _ ")
    shares = {found.replace(" ", "") for told in evidence.texts for found in re.findall(r"\d+(?:[.,]\d+)? ?%", told)}
    return _PERCENT.sub(lambda found: " _ " if f"{found[1]}%" in shares else found[0], text)


def _duration(text: str, evidence: Evidence) -> str | None:
    for found in _HOUR_WORDS.finditer(text):
        minutes = 30 if found["half"] else 90 if found["more"] else 60
        if minutes not in evidence.minutes:
            return "a duration that no tool has shown"
    return None


def _number(text: str, said: Said, allowed: frozenset[int]) -> str | None:
    """Every number that is left must be a price, a duration, a count, a car's, or one that the shop itself uses."""
    sentence = read(_HOUR_WORDS.sub(" ", text))
    taken = prices(sentence, said.evidence, allowed).taken
    for place, number in enumerate(sentence.numbers):
        if place not in taken and not _explained(sentence, number, said):
            return "a number that no tool has shown"
    return None


def _explained(sentence: Sentence, number: Number, said: Said) -> bool:
    after = sentence.word(number.end)
    if after in _DURATION and not (after == "h" and number.words):
        return any(int(value * _DURATION[after]) in said.evidence.minutes for value in number.values)
    if _is_pronoun(sentence, number):
        return True
    counted = _COUNTED.match(" ".join(sentence.tokens[number.end : number.end + 3]))
    if counted and all(value <= _SMALL for value in number.values):
        return True
    digits = sentence.tokens[number.at]
    return not number.words and (_shown(digits, said.evidence) or _of_a_car(sentence, number, said.asked))


def _is_pronoun(sentence: Sentence, number: Number) -> bool:
    """ "Which one", "one of them", "both of the two"; not "the price is one"."""
    word, before = sentence.tokens[number.at], sentence.word(number.at - 1)
    if number.end > number.at + 1 or not number.words:
        return False
    if word in _PRONOUNS:
        return before in _POINTING or sentence.word(number.end).isalpha()
    return word in _PAIRS and before in _ARTICLES


def _shown(digits: str, evidence: Evidence) -> bool:
    """Whether the shop uses this number itself, in a service's name or its address; short ones only within their own words."""
    names = " ".join((*evidence.texts, *(one.name for one in evidence.services)))
    return len(digits) > _FEW_DIGITS and digits in re.findall(r"\d+(?:[.,]\d+)*", names)


def _of_a_car(sentence: Sentence, number: Number, asked: str) -> bool:
    """A year or a model, as the customer wrote it."""
    digits, theirs = sentence.tokens[number.at], read(asked).tokens
    if digits not in theirs:
        return False
    before, after = sentence.word(number.at - 1), sentence.word(number.end)
    if len(digits) == _YEAR_DIGITS and _FIRST_YEAR <= int(digits) <= _LAST_YEAR:
        pairs = set(itertools.pairwise(theirs))
        beside = [word for word, pair in ((before, (before, digits)), (after, (digits, after))) if pair in pairs]
        return any(word.isalpha() and word not in words("common") for word in beside)
    if before in _MODELS:
        return True
    written = _as_written(sentence, number)
    named = _NAME_OF_A_CAR.fullmatch(written) is not None
    return named and re.search(rf"(?<![\w$]){re.escape(written)}(?![\w%])", plain(asked)) is not None


def _as_written(sentence: Sentence, number: Number) -> str:
    """The number with the letters that touch it: f-150, rav4."""
    start, end = number.at, number.end
    while start > 0 and sentence.glued[start]:
        start -= 1
    while (
        end < len(sentence.tokens)
        and sentence.glued[end]
        and (sentence.tokens[end].isalnum() or sentence.tokens[end] == "-")
    ):
        end += 1
    return "".join(sentence.tokens[start:end])
