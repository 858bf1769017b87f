"""A sentence as a customer reads it: disguises taken away, and its words and numbers told apart."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from lead_orchestrator.chat.guard.number_words import runs
from lead_orchestrator.messaging.plain_words import LOOKALIKES

__all__ = ["Number", "Sentence", "plain", "read"]

KEPT = 1_000
"""Texts whose reading is remembered: what tools showed and the instructions are held against every sentence of an answer."""

_SIGNS = str.maketrans(
    {"💲": "$", "💵": "$", "💰": "$", "🤑": "$", "💸": "$", "🆓": " free ", "💯": " 100 ", "🎁": " gift "}
    | dict.fromkeys("\u2018\u2019\u00b4", "'")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
)
_SPELLED = re.compile(r"(?<![a-z0-9'])[a-z](?:[ .*_|/-][a-z]){2,}(?![a-z0-9'])")
_SPELLED_DIGITS = re.compile(r"(?<![\w.,:$])\d(?: \d)+(?![\w:])")
_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:[.,]\d+)*|\S")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d{1,3}(?:\.\d{3})+(?:,\d{1,2})?")


@dataclass(frozen=True)
class Number:
    """A number at `at`, up to and without `end`, among the sentence's tokens; `values` are what it can mean."""

    at: int
    end: int
    values: tuple[Decimal, ...]
    words: bool


@dataclass(frozen=True)
class Sentence:
    """`text` is lower case, without accents and disguises; `glued` tokens touch the one before. `foreign`: it has letters that are
    not ours."""

    text: str
    tokens: tuple[str, ...]
    glued: tuple[bool, ...]
    numbers: tuple[Number, ...]
    foreign: bool

    def word(self, at: int) -> str:
        return self.tokens[at] if 0 <= at < len(self.tokens) else ""


@lru_cache(maxsize=KEPT)
def plain(text: str) -> str:
    """Lower case, no accents, no invisible letters, letters and digits of other alphabets made ours where they look alike."""
    folded = unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS).casefold().translate(LOOKALIKES)
    kept = "".join(_ours(mark) for mark in unicodedata.normalize("NFD", folded))
    kept = re.sub(r"[^\S\n]+", " ", kept)
    joined = _SPELLED.sub(lambda run: re.sub(r"[^a-z]", "", run[0]), kept)
    return _SPELLED_DIGITS.sub(lambda run: run[0].replace(" ", ""), joined)


def _ours(mark: str) -> str:
    if mark.isascii():
        return mark
    if unicodedata.category(mark) in {"Mn", "Me", "Cf"}:
        return ""
    digit = unicodedata.digit(mark, None)
    return mark if digit is None else str(digit)


def read(text: str) -> Sentence:
    """What a sentence says."""
    shown = plain(text)
    found = list(_TOKEN.finditer(shown))
    tokens = tuple(match[0] for match in found)
    glued = tuple(number > 0 and found[number - 1].end() == match.start() for number, match in enumerate(found))
    foreign = any(token.isalpha() and not token.isascii() for token in tokens)
    return Sentence(shown, tokens, glued, tuple(_numbers(tokens)), foreign)


def _numbers(tokens: tuple[str, ...]) -> Iterator[Number]:
    in_words = {run.at: run for run in runs(tokens)}
    at = 0
    while at < len(tokens):
        if at in in_words:
            run = in_words[at]
            yield Number(run.at, run.end, run.values, words=True)
            at = run.end
            continue
        if tokens[at][0].isdigit():
            yield Number(at, at + 1, _values(tokens[at]), words=False)
        at += 1


def _values(digits: str) -> tuple[Decimal, ...]:
    """1,200.50 and 1.200,50 are the same; 1,50 is one and a half."""
    if _THOUSANDS.fullmatch(digits):
        decimal = digits[-3] if digits[-3] in ".," else ""
        whole, _, rest = digits.rpartition(decimal) if decimal else (digits, "", "")
        return (Decimal(re.sub(r"[.,]", "", whole) + (f".{rest}" if rest else "")),)
    try:
        return (Decimal(digits.replace(",", ".")),)
    except InvalidOperation:  # 1.2.3, as in a date or a version
        return ()
