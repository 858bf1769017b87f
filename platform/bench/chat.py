"""How long a customer waits for the first words, once the model has spoken its first sentence; the debounce is left aside."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import perf_counter
from uuid import UUID

from lead_orchestrator.bench.conversing import Talk, sell
from lead_orchestrator.bench.stage import Stage, milliseconds, open_stage
from lead_orchestrator.chat.models import ChatRole
from lead_orchestrator.settings import Settings

__all__ = ["run"]

AT_ONCE = 50
PACE = 0.02
_ROUNDS, _QUICK_ROUNDS = 6, 1


@dataclass
class _Stopwatch:
    """When the first words of each conversation's answer came."""

    first: dict[UUID, float] = field(default_factory=dict)

    async def typing(self, chat_id: UUID, role: ChatRole) -> None:
        """Nothing is measured."""

    async def delta(self, chat_id: UUID, message_id: UUID, offset: int, text: str) -> None:  # noqa: ARG002 - a protocol
        self.first.setdefault(chat_id, perf_counter())


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """`AT_ONCE` customers ask at the same time; the sandbox's model, in this process too, says when its first sentence was whole."""
    waits, answers = list[float](), list[float]()
    async with open_stage(settings) as stage:
        await sell(stage, bays=AT_ONCE)
        stage.services.assistant.prepare()
        stage.sandbox.world.openai.pace = PACE
        for number in range(_QUICK_ROUNDS if quick else _ROUNDS):
            some_waits, some_answers = await _round(stage, number)
            waits += some_waits
            answers += some_answers
    return {
        "bench": "chat",
        "conversationsAtOnce": AT_ONCE,
        "modelSecondsBetweenPieces": PACE,
        "firstDelta": milliseconds(waits),
        "wholeAnswer": milliseconds(answers),
    }


async def _round(stage: Stage, number: int) -> tuple[list[float], list[float]]:
    watch, model = _Stopwatch(), stage.sandbox.world.openai
    stage.services.assistant.listener = watch
    talks = [await Talk.begin(stage.services, stage.tenant_id, stage.location_id) for _ in range(AT_ONCE)]
    asked = [f"How much for ceramic tint? My plate is r{number}q{n}" for n in range(AT_ONCE)]
    model.sentences.clear()
    for talk, words in zip(talks, asked, strict=True):
        await talk.write(words)

    async def answered(talk: Talk) -> float:
        began = perf_counter()
        await stage.services.assistant.answer(talk.tenant_id, talk.chat_id)
        return perf_counter() - began

    seconds = await asyncio.gather(*(answered(talk) for talk in talks))
    waits = [watch.first[talk.chat_id] - model.sentences[words] for talk, words in zip(talks, asked, strict=True)]
    return waits, list(seconds)
