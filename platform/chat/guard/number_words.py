"""Numbers in words, English and Spanish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

__all__ = ["Run", "runs"]

_ENGLISH = (
    "zero one two three four five six seven eight nine ten"
    " eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
)
_SPANISH = (
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciseis diecisiete dieciocho diecinueve"
    " veinte veintiuno veintidos veintitres veinticuatro veinticinco veintiseis veintisiete veintiocho veintinueve"
)
_TENS = (
    "_ _ twenty thirty forty fifty sixty seventy eighty ninety",
    "_ _ _ treinta cuarenta cincuenta sesenta setenta ochenta noventa",
)
_HUNDREDS = "_ ciento doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos novecientos"

SMALL: dict[str, int] = {
    **{word: value for words in (_ENGLISH, _SPANISH) for value, word in enumerate(words.split())},
    **{word: 10 * value for words in _TENS for value, word in enumerate(words.split()) if word != "_"},
    **{word: 100 * value for value, word in enumerate(_HUNDREDS.split()) if word != "_"},
    **{word[:-2] + "as": 100 * value for value, word in enumerate(_HUNDREDS.split()) if word.endswith("os")},
    "cien": 100,
    "veintiun": 21,
    "fourty": 40,
    "ninty": 90,
    "dozen": 12,
    "docena": 12,
}
del SMALL["once"]  # it is English as well, and "eleven" beside a currency is blocked without being read
SCALES = {
    "hundred": 100,
    "hundreds": 100,
    "cientos": 100,
    "thousand": 1000,
    "thousands": 1000,
    "grand": 1000,
    "k": 1000,
    "mil": 1000,
    "miles": 1000,
    "million": 1_000_000,
    "millions": 1_000_000,
    "millon": 1_000_000,
    "millones": 1_000_000,
}
_CENT = 100
_JOINS = {"and", "y", "-"}
_ARTICLES = {"a", "un", "una"}


@dataclass(frozen=True)
class Run:
    """Words, from `at` up to and without `end`, that are a number; `values` are its readings: "five ninety nine" is 599 and 5.99."""

    at: int
    end: int
    values: tuple[Decimal, ...]


def runs(tokens: Sequence[str]) -> Iterator[Run]:
    """The numbers in words; digits before a scale ("6 hundred", "0.6 k") belong to them."""
    at = 0
    while at < len(tokens):
        end = _end(tokens, at)
        if end is None:
            at += 1
            continue
        yield Run(at, end, _readings([token for token in tokens[at:end] if token not in _JOINS]))
        at = end


def _end(tokens: Sequence[str], at: int) -> int | None:
    """Where the number ends that begins here; None where none begins."""
    begins = tokens[at] in SMALL or tokens[at] in ("hundred", "thousand", "mil")
    with_scale = at + 1 < len(tokens) and tokens[at + 1] in SCALES
    if not begins and not (with_scale and (tokens[at] in _ARTICLES or tokens[at][0].isdigit())):
        return None
    end = at + 1
    while end < len(tokens):
        if tokens[end] in SMALL or tokens[end] in SCALES:
            end += 1
        elif (
            tokens[end] in _JOINS
            and end + 1 < len(tokens)
            and tokens[end + 1] in SMALL
            and tokens[end - 1] not in ("y", "and")
        ):
            end += 2
        else:
            break
    return end


def _readings(words: Sequence[str]) -> tuple[Decimal, ...]:
    total, part = Decimal(0), Decimal(0)
    pieces: list[int] = []
    for word in words:
        if word in SCALES:
            scale = SCALES[word]
            part = (part or Decimal(1)) * scale
            if scale >= SCALES["thousand"]:
                total, part = total + part, Decimal(0)
            continue
        value = _small(word)
        part += value
        pieces.append(int(value))
    return (total + part, *_colloquial(words, pieces))


def _colloquial(words: Sequence[str], pieces: Sequence[int]) -> Iterator[Decimal]:
    """Prices as they are spoken: "five ninety nine", "one oh nine" aside."""
    if len(pieces) == 1 or any(word in SCALES for word in words):
        return
    first, rest = pieces[0], sum(pieces[1:])
    if 1 <= first < _CENT and rest < _CENT:
        yield Decimal(first * _CENT + rest)
        yield Decimal(first) + Decimal(rest) / _CENT


def _small(word: str) -> Decimal:
    if word in SMALL:
        return Decimal(SMALL[word])
    return Decimal(1) if word in _ARTICLES else Decimal(word.replace(",", "."))
