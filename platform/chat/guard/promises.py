"""Promises in a sentence: discounts, gifts, guarantees, appointments that were never made."""

from __future__ import annotations

import re

from lead_orchestrator.chat.guard.evidence import Evidence
from lead_orchestrator.chat.guard.vocabulary import pattern

__all__ = ["promise"]

_NOT = (
    r"(?:can't|cannot|can not|don't|do not|doesn't|does not|won't|will not|unable to|not able to|not allowed to|isn't|is not|aren't"
    r"|are not|there (?:is|are) no|no puedo|no podemos|no ofrecemos|no hay|no tenemos|no damos|no se puede|nunca|never)"
)
_REFUSED = re.compile(rf"\b{_NOT}\b(?:\s+(?!not\b|no\b|only\b|solo\b)[\w']+){{0,6}}\s*$")
_CLAUSES = re.compile(r"[,;:()]| - |\bbut\b|\bpero\b|\band\b|\by\b")


def promise(text: str, evidence: Evidence) -> str | None:
    """What is promised without a tool's word for it; `text` is plain and has no names of services."""
    text = pattern("free_time").sub(" ", text)
    if any(_gives(clause) for clause in _CLAUSES.split(text)):
        return "a discount, a gift or a guarantee"
    if pattern("ready").search(text):
        return "when the work is done"
    asks = text.rstrip().endswith("?")
    claims = pattern("not_booked").sub(" ", text)
    if not asks and not evidence.booked and pattern("booked").search(claims):
        return "an appointment that was not made"
    if not asks and not (evidence.held or evidence.booked) and pattern("held").search(claims):
        return "a time that is not held"
    return None


def _gives(clause: str) -> bool:
    """Whether something is given in this clause that is not refused in the same breath."""
    if "%" in clause:
        return True
    return any(not _REFUSED.search(clause[: found.start()]) for found in pattern("gifts").finditer(clause))
