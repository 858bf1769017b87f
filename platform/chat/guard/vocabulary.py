"""The words that the guard goes by, from `words.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

__all__ = ["pattern", "words"]


@cache
def words(name: str) -> frozenset[str]:
    """A set of plain words."""
    return frozenset(str(_file()[name]).split())


@cache
def pattern(name: str) -> re.Pattern[str]:
    """Any of a list of patterns, as whole words."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(_file()[name])})(?!\w)")


@cache
def _file() -> Mapping[str, str | list[str]]:
    return tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))
