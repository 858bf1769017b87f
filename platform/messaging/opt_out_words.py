"""The vocabulary of opting out: opt_out.toml, compiled."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Vocabulary", "vocabulary"]


@dataclass(frozen=True)
class Vocabulary:
    """See opt_out.toml for what each part means."""

    stop: frozenset[str]
    nearly: frozenset[str]
    fillers: frozenset[str]
    start: frozenset[str]
    soft_yes: frozenset[str]
    help: frozenset[str]
    own: frozenset[str]
    signs: frozenset[str]
    spanish: frozenset[str]
    slips: Mapping[str, int]
    command: re.Pattern[str]
    somebody_else: re.Pattern[str]
    harmless: re.Pattern[str]
    phrases: Sequence[tuple[str, re.Pattern[str]]]


@cache
def vocabulary() -> Vocabulary:
    """Read and compiled once per process."""
    raw = tomllib.loads(Path(__file__).with_name("opt_out.toml").read_text("utf-8"))
    groups = _groups(raw["groups"])
    return Vocabulary(
        **{name: frozenset(_entries(listed)) for name, listed in raw["words"].items()},
        slips=raw["slips"],
        command=re.compile(f"{raw['commands']['begins']}(?!{raw['commands']['goes_on']})"),
        somebody_else=_compiled(_of_somebody_else(raw["phrases"]), groups),
        harmless=_compiled(raw["harmless"]["patterns"], groups),
        phrases=[(phrase["why"], _compiled(phrase["patterns"], groups)) for phrase in raw["phrases"]],
    )


def _of_somebody_else(phrases: Sequence[Mapping[str, Any]]) -> list[str]:
    return [pattern for phrase in phrases if phrase.get("somebody_else") for pattern in phrase["patterns"]]


def _entries(listed: str) -> list[str]:
    return [entry.replace("_", " ") for entry in listed.split()]


def _groups(raw: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, listed in raw.items():
        if isinstance(listed, str):
            found[name] = "(?:" + "|".join(entry.replace("*", r"\w*") for entry in _entries(listed)) + ")"
        else:
            found |= _groups(listed)
    return found


def _compiled(patterns: Sequence[str], groups: Mapping[str, str]) -> re.Pattern[str]:
    def expanded(pattern: str) -> str:
        many = re.sub(r"<(\w+)>~", lambda name: f"(?: {groups[name[1]]})*?", pattern)
        return re.sub(r"<(\w+)>", lambda name: groups[name[1]], many)

    return re.compile("|".join(rf"\b(?:{expanded(pattern)})(?!\w)" for pattern in patterns))
