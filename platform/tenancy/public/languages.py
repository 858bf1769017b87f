"""The languages in which the public is answered."""

from __future__ import annotations

from typing import Literal

__all__ = ["Language", "preferred_language"]

Language = Literal["en", "es"]
_LANGUAGES: tuple[Language, ...] = ("en", "es")
_LONGEST = 400


def preferred_language(accept_language: str | None) -> Language:
    """`en` or `es`, whichever the browser would rather have (RFC 9110, 12.5.4)."""
    best, most = _LANGUAGES[0], 0.0
    for entry in (accept_language or "")[:_LONGEST].split(","):
        tag, _, parameter = entry.strip().partition(";")
        name, weight = tag.partition("-")[0].lower(), _weight(parameter)
        for language in _LANGUAGES:
            if name == language and weight > most:
                best, most = language, weight
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    try:
        return min(float(value), 1.0) if name == "q" else 1.0
    except ValueError:
        return 0.0
