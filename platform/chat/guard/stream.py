"""Letting an answer out sentence by sentence, each after it was checked."""

from __future__ import annotations

import re

__all__ = ["Sentences"]

_ABBREVIATED = re.compile(
    r"(?:\b(?:[ap]\.m|approx|st|ave|blvd|no|vs|mr|mrs|ms|dr|sr|sra|etc|e\.g|i\.e|aprox|tel|ud|uds)|(?:^|\n)\s*\d{1,2}|\b[ap])\.$",
    re.IGNORECASE,
)
_END = re.compile(r"[.!?…]+[\"')\]\u201d\u2019]*(?=\s)|\n+")


class Sentences:
    """Text comes in pieces; whole sentences come out, with the blanks behind them."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, piece: str) -> list[str]:
        """The sentences that are whole now."""
        self._rest += piece
        whole: list[str] = []
        at = 0
        for found in _END.finditer(self._rest):
            if found.start() < at or _ABBREVIATED.search(self._rest[at : found.end()]):
                continue
            end = found.end() + len(self._rest[found.end() :]) - len(self._rest[found.end() :].lstrip())
            whole.append(self._rest[at:end])
            at = end
        self._rest = self._rest[at:]
        return [sentence for sentence in whole if sentence.strip()]

    def end(self) -> str:
        """What is left when nothing more comes."""
        rest, self._rest = self._rest, ""
        return rest
