"""Message templates: `{name}` and `{name|default}` are filled in, `{{` and `}}` are braces; and what a text costs to send."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from lead_orchestrator.errors import BadInputError

__all__ = ["Encoding", "Problem", "check", "clean", "parameters", "render", "segments", "variables"]

Encoding = Literal["GSM-7", "UCS-2"]

_TOKEN = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")
_VARIABLE = re.compile(r"\{([a-z][a-z0-9_]*)(?:\|([^{}|]*))?\}", re.ASCII)
_JOINERS = "\u200c\u200d"  # they hold scripts and emoji together, unlike the other invisible characters

_GSM = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENSION = "\f^{}\\[~]|€"
_WIDTHS = {**dict.fromkeys(_GSM, 1), **dict.fromkeys(_GSM_EXTENSION, 2)}
_ROOM: dict[Encoding, tuple[int, int]] = {"GSM-7": (160, 153), "UCS-2": (70, 67)}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at `position` (characters before it) of a template."""

    position: int
    message: str


@dataclass(frozen=True, slots=True)
class _Variable:
    position: int
    name: str
    default: str


def render(template: str, values: Mapping[str, str]) -> str:
    """The template with each `{name}` replaced by its value, once: braces in a value stay what they are.

    Values are cleaned first. An empty one takes its default, else it leaves no gap and no stray comma behind.

    Raises:
        BadInputError: the template is malformed or names a variable `values` does not have; the message says where.
    """
    parts, malformed = _parsed(template)
    problems = [*malformed, *_unknown(parts, values)]
    if problems:
        raise BadInputError(problems[0].message, field=("template",))
    written, closing = "", False
    for part in parts:
        if isinstance(part, _Variable):
            text = clean(values[part.name]) or clean(part.default)
            closing = not text
        elif closing and part:
            written, text = _closed(written, part)
            closing = False
        else:
            text = part
        written += text
    return written.rstrip(" ") if closing else written


def parameters(template: str, values: Mapping[str, str]) -> tuple[str, ...]:
    """What each variable of the template stands for, each once, in their order: an approved template of WhatsApp has a
    placeholder for each.

    Raises:
        BadInputError: one has neither a value nor a default; WhatsApp takes none that is empty.
    """
    defaults: dict[str, str] = {}
    for part in _parsed(template)[0]:
        if isinstance(part, _Variable):
            defaults[part.name] = defaults.get(part.name) or part.default
    found = {name: clean(values[name]) or clean(default) for name, default in defaults.items()}
    if empty := next((name for name, value in found.items() if not value), None):
        raise BadInputError(f"{{{empty}}} has no value for WhatsApp's template: write {{{empty}|something}}")
    return tuple(found.values())


def check(template: str, allowed: Collection[str]) -> list[Problem]:
    """Everything that keeps the template from being rendered with the `allowed` variables, in order; empty if nothing."""
    parts, problems = _parsed(template)
    return sorted([*problems, *_unknown(parts, allowed)], key=lambda problem: problem.position)


def variables(template: str) -> list[str]:
    """The names of the variables in the template, each once, in their order."""
    return list(dict.fromkeys(part.name for part in _parsed(template)[0] if isinstance(part, _Variable)))


def clean(value: str) -> str:
    """A value fit for one line of a message: trimmed, white space single, control and invisible characters removed."""
    if value.isascii() and value.isprintable():
        return " ".join(value.split())
    spaced = "".join(" " if character.isspace() else character for character in unicodedata.normalize("NFC", value))
    visible = (c for c in spaced if not unicodedata.category(c).startswith("C") or c in _JOINERS)
    return " ".join("".join(visible).split())


def segments(text: str) -> tuple[Encoding, int]:
    """How a text message travels and in how many parts, each of which is paid for; no text is no part."""
    encoding: Encoding = "GSM-7" if _WIDTHS.keys() >= set(text) else "UCS-2"
    widths = [_WIDTHS[c] if encoding == "GSM-7" else 1 + (ord(c) > 0xFFFF) for c in text]  # noqa: PLR2004  # surrogates
    alone, joined = _ROOM[encoding]
    if sum(widths) <= alone:
        return encoding, 1 if text else 0
    count, used = 1, 0
    for width in widths:
        if used + width > joined:  # a pair is never split between two parts
            count, used = count + 1, 0
        used += width
    return encoding, count


@lru_cache(maxsize=1024)  # one schedule's templates are filled in for every lead
def _parsed(template: str) -> tuple[Sequence[str | _Variable], Sequence[Problem]]:
    parts: list[str | _Variable] = []
    problems: list[Problem] = []
    end = 0
    for token in _TOKEN.finditer(template):
        parts.append(template[end : token.start()])
        end = token.end()
        variable = _VARIABLE.fullmatch(token[0])
        if token[0] in ("{{", "}}"):
            parts.append(token[0][0])
        elif variable:
            parts.append(_Variable(token.start(), variable[1], variable[2] or ""))
        else:
            problems.append(_malformed(token[0], token.start()))
    parts.append(template[end:])
    return tuple(parts), tuple(problems)


def _malformed(token: str, position: int) -> Problem:
    place = f"at character {position + 1}"
    if token in ("{", "}"):
        return Problem(position, f"a single {token} {place}; write {token * 2} for a brace, {{name}} for a variable")
    return Problem(position, f"{token!r} {place} is no variable; write {{name}} or {{name|default}}")


def _unknown(parts: Sequence[str | _Variable], known: Collection[str]) -> list[Problem]:
    unknown = [part for part in parts if isinstance(part, _Variable) and part.name not in known]
    names = (", ".join(sorted(known)) or "none") if unknown else ""
    return [
        Problem(part.position, f"unknown variable {part.name!r} at character {part.position + 1}; known are: {names}")
        for part in unknown
    ]


def _closed(before: str, after: str) -> tuple[str, str]:
    """The texts around an empty value, joined as if nothing had been between them."""
    if not before or before.endswith("\n"):
        return before, after.lstrip(" ,;:")
    if after[0] in " \n,.;:!?)":
        return before.rstrip(" "), after
    return before, after
