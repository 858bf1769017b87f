"""The model's state: keys, how fast it speaks, and what it was asked."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

__all__ = ["MODEL", "OBEDIENT_MODEL", "ModelCall", "OpenAIWorld"]

MODEL, OBEDIENT_MODEL = "sandbox-model", "sandbox-obedient"
"""A sensible model, and one that does whatever the customer tells it to."""

KEPT_CALLS = 20_000


@dataclass(frozen=True)
class ModelCall:
    """One request as it came, and what it was said to have cost."""

    key: str
    model: str
    body: dict[str, Any]
    tokens: int


@dataclass
class OpenAIWorld:
    """`pace` is the seconds between two pieces of an answer. Keys are accepted if they begin with `key_prefix`. `sentences` says when,
    by `time.perf_counter`, the first sentence of the answer to each question was whole."""

    key_prefix: str = "sk-demo"
    pace: float = 0.0
    calls: deque[ModelCall] = field(default_factory=lambda: deque(maxlen=KEPT_CALLS))

    sentences: dict[str, float] = field(default_factory=dict)

    def clear(self) -> None:
        self.calls.clear()
        self.sentences.clear()
