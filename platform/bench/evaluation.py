"""Whole conversations with the assistant, each with what is to come of it: offline with the sandbox's model, or with a real one."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from uuid import UUID

from rich.console import Console
from rich.table import Table

from lead_orchestrator.bench.conversing import Talk, outcome_of, sell
from lead_orchestrator.bench.stage import open_stage
from lead_orchestrator.services import Services
from lead_orchestrator.settings import Settings

__all__ = ["Conversation", "Judged", "conversations", "evaluate", "hold"]

BAYS = 60
MOST_BLOCKED = 0.02
"""Of the answers; the conversations are good ones."""
OUTCOMES = ("booked", "handed over", "opted out", "price quoted", "times offered", "hours told")


@dataclass(frozen=True)
class Conversation:
    """What the customer writes, one after the other, and what is to come of it; all of `quotes` must have been said."""

    name: str
    expect: str
    says: Sequence[str]
    quotes: Sequence[str] = ()
    known: bool = True


@dataclass(frozen=True)
class Judged:
    """How a conversation went; `became` are the outcomes it had, `blocked` the answers that the guard kept back."""

    conversation: Conversation
    became: frozenset[str]
    missing: Sequence[str]
    answers: int
    blocked: int
    seconds: float
    said: Sequence[str] = field(repr=False, default=())

    @property
    def as_expected(self) -> bool:
        return self.conversation.expect in self.became and not self.missing


def conversations() -> list[Conversation]:
    """The set, from conversations.toml."""
    rows = tomllib.loads(Path(__file__).with_name("conversations.toml").read_text("utf-8"))["conversation"]
    return [Conversation(**row) for row in rows]


async def hold(services: Services, tenant_id: UUID, location_id: UUID, conversation: Conversation) -> Judged:
    """Hold one conversation from beginning to end, and see what came of it."""
    started = perf_counter()
    talk = await Talk.begin(services, tenant_id, location_id, known=conversation.known)
    for words in conversation.says:
        await talk.say(words)
    seen = await outcome_of(services, tenant_id, talk.chat_id)
    became = {
        "booked": seen.booked,
        "handed over": seen.state == "HUMAN" and not seen.blocked,
        "opted out": seen.opted_out,
        "price quoted": any("$" in text for text in seen.answers),
        "times offered": seen.offered,
        "hours told": any("9:00" in text for text in seen.answers),
    }
    return Judged(
        conversation=conversation,
        became=frozenset(name for name, true in became.items() if true),
        missing=[quote for quote in conversation.quotes if not any(quote in text for text in seen.answers)],
        answers=len(seen.answers) + seen.blocked,
        blocked=seen.blocked,
        seconds=perf_counter() - started,
        said=seen.answers,
    )


async def evaluate(settings: Settings, *, quick: bool) -> dict[str, object]:
    """All conversations (quick: every fourth), by the model that OPENAI_API_KEY names, else by the sandbox's."""
    chosen = conversations()[:: 4 if quick else 1]
    real = settings.openai_api_key is not None and bool(settings.openai_api_key.get_secret_value())
    async with open_stage(settings, real_model=real) as stage:
        await sell(stage, bays=BAYS)
        judged = [await hold(stage.services, stage.tenant_id, stage.location_id, one) for one in chosen]
    _print(judged)
    failed = [one for one in judged if not one.as_expected]
    answers, blocked = sum(one.answers for one in judged), sum(one.blocked for one in judged)
    share = blocked / answers if answers else 0.0
    wanted, met = (
        Counter(one.conversation.expect for one in judged),
        Counter(one.conversation.expect for one in judged if one.as_expected),
    )
    return {
        "eval": "assistant",
        "model": settings.openai_model if real else "sandbox",
        "passed": not failed and share < MOST_BLOCKED,
        "conversations": len(judged),
        "asExpected": len(judged) - len(failed),
        "byOutcome": {name: f"{met[name]}/{wanted[name]}" for name in OUTCOMES if wanted[name]},
        "answers": answers,
        "blockedAnswers": blocked,
        "blockedShare": round(share, 4),
        "mostBlockedShare": MOST_BLOCKED,
        "failed": [one.conversation.name for one in failed],
    }


def _print(judged: Sequence[Judged]) -> None:
    table = Table("conversation", "expected", "became", "missing", "answers", "blocked", "seconds")
    for one in judged:
        mark = "" if one.as_expected else "[red]"
        table.add_row(
            f"{mark}{one.conversation.name}",
            one.conversation.expect,
            ", ".join(sorted(one.became)),
            ", ".join(one.missing),
            str(one.answers),
            str(one.blocked or ""),
            f"{one.seconds:.1f}",
        )
    Console(stderr=True).print(table)
