"""How long a customer at the chat page waits for the first words, once the model has spoken its first sentence; and what open
conversations cost the api's process.

Everything is as in production: visitors on sockets in a process of their own, an api and a worker in theirs, and the model behind
HTTP and the real SDK. The sandbox, in this process, says when the first sentence of each answer was whole.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lead_orchestrator.bench.chat_visitors import Heard, Visitors
from lead_orchestrator.bench.conversing import sell
from lead_orchestrator.bench.stage import Stage, milliseconds, open_stage
from lead_orchestrator.chaos.nursery import nursery
from lead_orchestrator.demo.franchises import slug
from lead_orchestrator.sandbox.seed import SUN_SHADE
from lead_orchestrator.settings import Settings

__all__ = ["Size", "converse", "run"]

PACE = 0.02
TARGETS = {"firstDeltaP95Ms": 300, "conversationsMegabytes": 300}
_QUESTIONS = ("How much for ceramic tint? My plate is {plate}", "What are your hours? My plate is {plate}")
_DEBOUNCE = 1.0
_SHOP = slug(f"{SUN_SHADE.name} {SUN_SHADE.locations[0].name}")
_UNCOUNTED = 10**6
"""Of one address in a minute: all visitors come from one."""
_TOKENS = 10**9
"""Of the franchise in a month: all customers write today."""


@dataclass(frozen=True)
class Size:
    """`waves` of customers, `at_once` in each. Those of earlier waves stay: the last ones are answered while all are open."""

    waves: int
    at_once: int = 50


_WHOLE, _QUICK = Size(waves=20), Size(waves=1, at_once=20)


@dataclass(frozen=True)
class Answered:
    """An answer, and when the model's first sentence of it was whole; None if rules or a person answered."""

    heard: Heard
    spoken: float | None

    @property
    def words(self) -> float:
        """When the customer saw some of it."""
        return self.heard.whole if self.heard.first is None else self.heard.first


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """`firstDelta` counts from the model's first whole sentence, `firstWords` from the question, less the debounce."""
    open_to_many = settings.model_copy(update={"public_writes_per_minute": _UNCOUNTED})
    with tempfile.TemporaryDirectory(prefix="lead-bench-") as folder:
        async with open_stage(open_to_many) as stage:
            return await converse(stage, _QUICK if quick else _WHOLE, Path(folder) / "log")


async def converse(stage: Stage, size: Size, log: Path) -> dict[str, object]:
    """On a stage whose public is let in as often as it comes."""
    await sell(stage, bays=size.at_once)
    await stage.services.tenants.set_limits(stage.tenant_id, {"assistant_token_budget": _TOKENS}, actor="bench")
    stage.sandbox.world.openai.pace = PACE
    async with nursery(stage.settings, log, LOG_LEVEL="ERROR") as processes:
        await processes.start()
        api = await processes.start_api()
        async with Visitors(processes.api_url, _SHOP) as visitors:
            await visitors.enter(1)  # an api that has answered once
            idle = processes.resident_megabytes(api)
            waves = [await _wave(stage, visitors, number, size.at_once) for number in range(size.waves)]
            opened, held = await visitors.enter(0), processes.resident_megabytes(api)
    return {**_figures(waves, size), "apiMemory": _memory(idle, held, opened), "targets": TARGETS}


async def _wave(stage: Stage, visitors: Visitors, wave: int, at_once: int) -> list[Answered]:
    """More customers come, and ask their questions, each all at once."""
    model, answered = stage.sandbox.world.openai, list[Answered]()
    await visitors.enter(at_once)
    for question in _QUESTIONS:
        texts = [question.format(plate=f"w{wave}q{number}") for number in range(at_once)]
        heard = await visitors.write(texts)
        answered += (Answered(one, model.sentences.get(text)) for one, text in zip(heard, texts, strict=True) if one)
    return answered


def _figures(waves: Sequence[Sequence[Answered]], size: Size) -> dict[str, object]:
    every = [one for wave in waves for one in wave]
    return {
        "bench": "chat",
        "conversationsAtOnce": size.at_once,
        "modelSecondsBetweenPieces": PACE,
        "answers": len(every),
        "handedOver": sum(one.heard.handed_over for one in every),
        "answersWithoutDelta": sum(one.heard.first is None for one in every),
        "answersWithoutTheModel": sum(one.spoken is None for one in every),
        "firstDelta": _waits(every),
        "firstDeltaOfTheLastWave": _waits(waves[-1]),
        "firstWords": milliseconds([one.words - one.heard.asked - _DEBOUNCE for one in every]),
        "wholeAnswer": milliseconds([one.heard.whole - one.heard.asked - _DEBOUNCE for one in every]),
    }


def _waits(answered: Sequence[Answered]) -> dict[str, float]:
    """From the model's first whole sentence to the words on the customer's page."""
    return milliseconds([one.words - one.spoken for one in answered if one.spoken is not None])


def _memory(idle: float, held: float, opened: int) -> dict[str, object]:
    """Of the api's process: before anybody came, with all conversations open, and what these take."""
    return {
        "openConversations": opened,
        "idleMegabytes": round(idle, 1),
        "megabytes": round(held, 1),
        "conversationsMegabytes": round(held - idle, 1),
        "kilobytesEach": round((held - idle) * 1024 / opened, 1),
    }
