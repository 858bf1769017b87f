"""What goes to a model and what comes back, in our words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import SecretStr

__all__ = ["Account", "Ended", "Said", "ToolCall", "Wanted"]


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks whom: the key shows in no repr. `base_url` ends before `/chat/completions`."""

    api_key: SecretStr
    model: str
    base_url: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """One call: `messages` and `tools` are as the protocol has them; the answer has `max_tokens` at most and is there within
    `timeout` seconds, or not at all."""

    messages: Sequence[Mapping[str, object]]
    tools: Sequence[Mapping[str, object]] = ()
    max_tokens: int = 600
    timeout: float = 15.0


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model wants called; `arguments` is the text it wrote, which need not be JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Said:
    """Some more of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of an answer. `tokens` is what it cost, prompt included; None if the service did not say. `cut`: it met
    `max_tokens`."""

    tool_calls: Sequence[ToolCall] = field(default_factory=tuple)
    tokens: int | None = None
    cut: bool = False
