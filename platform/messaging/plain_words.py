"""A customer's text as bare words: what is left when typography, emoji, disguises and quotations are taken away."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from pathlib import Path

__all__ = ["LOOKALIKES", "clauses", "own_words", "plain", "sentences", "slips"]

_LONGEST_MAIL, _LONGEST = 20_000, 4_000  # characters; a text message has at most 1,600

LOOKALIKES = str.maketrans(
    {
        odd: letter
        for letter, odds in tomllib.loads(Path(__file__).with_name("lookalikes.toml").read_text("utf-8")).items()
        for odd in odds
    }
)
_APOSTROPHE = re.compile("(?<=[a-z])['`\u2018\u2019\u00b4](?=[a-z])")
_NUMBER_SIGN = re.compile(r"(?<=\s)#(?![\w#])")
_BETWEEN_SENTENCES = re.compile("[.!?\u2026]+(?=\\s|$)|[\n\u00a1\u00bf]")
_BETWEEN_CLAUSES = re.compile("[.!?;,:()\u2026]+|\\s[-\u2013\u2014]+\\s")
_REACTION = re.compile(
    r"(?:liked|loved|laughed at|emphasi[sz]ed|questioned|disliked|reacted \S+ to|removed an? [\w ]+ from|le (?:gust|encant|dio risa)\S*"
    r"|\W+ (?:to|a))\s+[“\"«].*[”\"»…]",
    re.IGNORECASE | re.DOTALL,
)
_ATTRIBUTION = re.compile(
    r"^\s*(?:(?:on|el)\b.{6,200}?\b(?:wrote|escribi[óo]):\s*$"
    r"|[-_]{2,} ?(?:original message|mensaje original)|_{8,}|(?:from|de): [^\n]*@)",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)


def own_words(text: str) -> str:
    """What the person wrote: without a quoted message, which carries our own "unsubscribe", and without a mere reaction to one."""
    text = text[:_LONGEST_MAIL].strip()
    if _REACTION.fullmatch(text):
        return ""
    answers = [line for line in text.splitlines() if not line.lstrip().startswith(">")]
    if len(answers) < len(text.splitlines()):
        return _ATTRIBUTION.sub("", "\n".join(answers))[:_LONGEST]
    return _ATTRIBUTION.split(text, maxsplit=1)[0][:_LONGEST]


def plain(text: str) -> str:
    """Lower-case words of a-z and digits, one space between: no accents, no punctuation, lookalike letters made plain."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(LOOKALIKES)
    decomposed = unicodedata.normalize("NFD", folded)
    kept = "".join(mark for mark in decomposed if unicodedata.category(mark) not in {"Mn", "Me", "Cf"})
    return _spelled_out(re.sub(r"[^a-z0-9]+", " ", _NUMBER_SIGN.sub("number", _APOSTROPHE.sub("", kept))).strip())


def sentences(text: str) -> list[str]:
    """The parts of a text that end with a full stop or a line, as they were written."""
    return [part for part in _BETWEEN_SENTENCES.split(text) if part.strip()]


def clauses(sentence: str) -> list[str]:
    """The plain words between commas, dashes and the like."""
    return [words for part in _BETWEEN_CLAUSES.split(sentence) if (words := plain(part))]


def slips(word: str, meant: str) -> int:
    """How many slips of the finger turn `meant` into `word`: a letter left out, added, changed or swapped with its neighbour."""
    before: list[int] = []
    row = list(range(len(meant) + 1))
    for i, letter in enumerate(word, start=1):
        older, before, row = before, row, [i]
        for j, wanted in enumerate(meant, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            swapped = i > 1 and j > 1 and letter == meant[j - 2] and word[i - 2] == wanted
            row.append(min(cost, older[j - 2] + 1) if swapped else cost)
    return row[-1]


def _spelled_out(words: str) -> str:
    """`s t o p` is one word; a 0 among letters is an o."""
    joined = re.sub(r"\b[a-z](?: [a-z]){2,}\b", lambda run: run[0].replace(" ", ""), words)
    return re.sub(r"(?<=[a-z])0|0(?=[a-z])", "o", joined)
