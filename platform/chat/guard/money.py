"""Prices in a sentence: each must be one that a tool has shown, in the shop's currency, and of the service that is named with it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from decimal import Decimal

from lead_orchestrator.chat.guard.evidence import Evidence
from lead_orchestrator.chat.guard.reading import Number, Sentence, plain
from lead_orchestrator.chat.guard.vocabulary import pattern

__all__ = ["Prices", "allowed_prices", "prices", "without_names"]

_OURS = {"$", "usd", "dollar", "dollars", "dolar", "dolares", "buck", "bucks"}
_CENTS = {"cent", "cents", "centavo", "centavos"}
_MOST_COUNTED = 24
_SIGNED = {"-", "+", "minus", "plus", "less", "menos", "mas"}


@dataclass(frozen=True)
class Prices:
    """`wrong` says what no tool has shown; `taken` are the places in the sentence's `numbers` of what is a price."""

    wrong: str | None
    taken: frozenset[int] = frozenset()


def prices(sentence: Sentence, evidence: Evidence, allowed: frozenset[int]) -> Prices:
    """Check the prices of a sentence, which are to be of `allowed_prices`."""
    rest = without_names(sentence.text, evidence)
    if pattern("other_currencies").search(rest) or any(_is_foreign(sentence, at) for at in range(len(sentence.tokens))):
        return Prices("another currency")
    if ("$" in rest or pattern("speaks_of_money").search(rest)) and pattern("parts_of_prices").search(rest):
        return Prices("a price made of another")
    marked = [_beside(sentence, at) for at, token in enumerate(sentence.tokens) if token in _OURS | _CENTS]
    if None in marked:
        return Prices("a currency without a price")
    stated = frozenset(place for place in marked if place is not None)
    if not all(_is_price(sentence, sentence.numbers[place], allowed) for place in stated):
        return Prices("a price that no tool has shown")
    bare = (
        place
        for place, number in enumerate(sentence.numbers)
        if place not in stated and _looks_like_price(sentence, number) and _is_price(sentence, number, allowed)
    )
    return Prices(None, stated.union(bare))


def allowed_prices(sentence: Sentence, evidence: Evidence) -> frozenset[int]:
    """Those of the services that the sentence names, else all that were shown; in cents."""
    return _named(sentence, evidence) or evidence.amounts


def without_names(text: str, evidence: Evidence) -> str:
    """The text without what services are called: "Half Windshield Strip" promises nothing."""
    for service in sorted(evidence.services, key=lambda one: -len(one.name)):
        text = text.replace(plain(service.name), " _ ")
    return text


def _named(sentence: Sentence, evidence: Evidence) -> frozenset[int]:
    """The prices of the services that the sentence names, and their sum."""
    text, found = sentence.text, list[int]()
    for service in sorted(evidence.services, key=lambda one: -len(one.name)):
        name = plain(service.name)
        if name in text:
            text = text.replace(name, " ")
            found.extend([service.cents] if service.cents is not None else [])
    return frozenset({*found, sum(found)}) if found else frozenset()


def _beside(sentence: Sentence, at: int) -> int | None:
    """Which number belongs to the currency at this token: the one after a sign, else the one before."""
    after = next((place for place, number in enumerate(sentence.numbers) if number.at == at + 1), None)
    before = next((place for place, number in enumerate(sentence.numbers) if number.end == at), None)
    first, second = (after, before) if sentence.tokens[at] in ("$", "usd") else (before, after)
    return first if first is not None else second


def _is_price(sentence: Sentence, number: Number, allowed: frozenset[int]) -> bool:
    cents = sentence.word(number.end) in _CENTS
    readings = {int(value if cents else value * 100) for value in number.values if _whole_cents(value)}
    return bool(readings & allowed) and sentence.word(number.at - 1) not in _SIGNED


def _is_foreign(sentence: Sentence, at: int) -> bool:
    """Another sign than ours, or ours with the letters of another country: R$, C$."""
    if sentence.tokens[at] == "$":
        return at > 0 and sentence.glued[at] and sentence.tokens[at - 1].isalpha() and sentence.tokens[at - 1] != "us"
    return unicodedata.category(sentence.tokens[at][0]) == "Sc"


def _whole_cents(value: Decimal) -> bool:
    return value * 100 == int(value * 100)


def _looks_like_price(sentence: Sentence, number: Number) -> bool:
    """Written as an amount: 600.00, or too much for a count."""
    return not number.words and (
        "." in sentence.tokens[number.at] or any(value > _MOST_COUNTED for value in number.values)
    )
