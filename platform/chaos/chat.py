"""Workers killed in the middle of an answer: how many answers does each customer get?"""

from __future__ import annotations

import asyncio
import random
import secrets
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from uuid import UUID, uuid4

from sqlalchemy import text

from lead_orchestrator.bench.conversing import phone, sell
from lead_orchestrator.bench.stage import Stage, open_stage
from lead_orchestrator.chaos.nursery import Nursery, nursery
from lead_orchestrator.chat.conversations import Conversations
from lead_orchestrator.leads.models import Channel, LeadSource
from lead_orchestrator.leads.service import Enquiry, end_touches, locked
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["LEASE", "Size", "break_chats", "run"]

LEASE = 3.0
"""Seconds that an answer is its worker's."""
_JOBS = "4"
"""At once in each worker: a kill interrupts a few conversations, and an answer is in time on a slow machine too."""
_PACE = 0.03
_LOOK_SECONDS = 0.05
_AFTER_THE_FIRST_WORDS = (0.0, 0.6)
_PATIENCE_SECONDS = 180.0
_QUESTIONS = ("How much for ceramic tint on a Model 3?", "What are your hours?", "¿Cuánto cuesta el parabrisas?")


@dataclass(frozen=True)
class Size:
    """So many customers write so many texts each, one after the other is answered; workers die meanwhile."""

    customers: int
    texts: int
    kills: int
    workers: int = 2


_WHOLE, _QUICK = Size(customers=40, texts=6, kills=24), Size(customers=8, texts=1, kills=4)


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """Counted at the provider and in the conversations."""
    brief = settings.model_copy(
        update={"answer_lease_seconds": LEASE, "send_lease_seconds": LEASE, "unknown_settle_seconds": 1}
    )
    with tempfile.TemporaryDirectory(prefix="lead-chaos-") as folder:
        async with open_stage(brief) as stage:
            return await break_chats(stage, _QUICK if quick else _WHOLE, Path(folder) / "workers.log")


async def break_chats(stage: Stage, size: Size, log: Path) -> dict[str, object]:
    """Of a stage whose lease is `LEASE`."""
    seed = secrets.randbelow(10**6)
    chance = random.Random(seed)  # noqa: S311 - when to kill is no secret
    await sell(stage, bays=size.customers)
    stage.sandbox.world.openai.pace = _PACE
    waits: list[float] = []
    hit = handed = 0
    async with nursery(
        stage.settings, log, LOG_LEVEL="ERROR", DISPATCH_INTERVAL_SECONDS="1", WORKER_JOBS=_JOBS
    ) as workers:
        running = [await workers.start() for _ in range(size.workers)]
        leads: list[UUID] = []
        for number in range(size.texts):
            leads = await _write(stage, size, leads, number)
            began = monotonic()
            kills = size.kills // size.texts
            hit += await _kill(stage, workers, running, kills, chance)
            await _answered(stage, number + 1, size.customers)
            waits.append(monotonic() - began)
            handed += await _close_what_people_have(stage)
    return {
        "chaos": "chat",
        "seed": seed,
        "customers": size.customers,
        "texts": size.customers * size.texts,
        "kills": size.kills,
        "interrupted": hit,
        "handedOver": handed,
        "leaseSeconds": LEASE,
        "recoverySecondsMax": round(max(waits), 1),
        **await _figures(stage, size),
    }


async def _write(stage: Stage, size: Size, known: Sequence[UUID], number: int) -> list[UUID]:
    """Every customer texts the shop; the first time they are new."""
    asked = [_QUESTIONS[(number + n) % len(_QUESTIONS)] for n in range(size.customers)]
    return [await _text(stage, known[n] if known else None, words, n) for n, words in enumerate(asked)]


async def _text(stage: Stage, lead_id: UUID | None, words: str, number: int) -> UUID:
    services = stage.services
    async with services.tenancy.write(Scope.service(stage.tenant_id, "chaos")) as session:
        if lead_id is None:
            enquiry = Enquiry(
                location_id=stage.location_id, source=LeadSource.API, first_name="Ada", phone=phone(number)
            )
            lead_id = (await services.leads.receive(session, enquiry)).lead.id
        lead = await locked(session, lead_id)
        await end_touches(session, lead, "The customer writes first")  # a touch is no answer
        await Conversations().hear(session, lead, Channel.SMS, words, uuid4().hex)
    return lead_id


async def _kill(stage: Stage, workers: Nursery, running: list[int], kills: int, chance: random.Random) -> int:
    """Each time the model has begun to speak; says how often somebody was speaking."""
    calls, hit = stage.sandbox.world.openai.calls, 0
    for _ in range(kills):
        before, began = len(calls), monotonic()
        while len(calls) == before and monotonic() - began < 2 * LEASE:  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(_LOOK_SECONDS)
        hit += len(calls) > before
        await asyncio.sleep(chance.uniform(*_AFTER_THE_FIRST_WORDS))
        workers.kill(running.pop(chance.randrange(len(running))))
        running.append(await workers.start())
    return hit


async def _answered(stage: Stage, texts: int, customers: int) -> None:
    """Wait until everybody's phone shows as many answers as they wrote texts, and nothing is owed; for a while, then it is counted."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while min(_received(stage, customers)) < texts or any((await _counts(stage)).values()):  # noqa: ASYNC110 - it happens in other processes
                await asyncio.sleep(_LOOK_SECONDS)


async def _close_what_people_have(stage: Stage) -> int:
    """Whom the assistant could not answer in three attempts a person has; the next text begins a conversation with the assistant."""
    async with stage.services.tenancy.write(Scope.service(stage.tenant_id, "chaos")) as session:
        taken = list(await session.scalars(_TAKEN))
        for chat_id in taken:
            await stage.services.hand_off.close(session, chat_id)
    return len(taken)


_TAKEN = text("SELECT id FROM chat_sessions WHERE state = 'HUMAN'")
_COUNTS = text("""
  SELECT (SELECT count(*) FROM chat_sessions WHERE answer_due_at IS NOT NULL) AS owed,
    (SELECT count(*) FROM scheduled_messages WHERE kind = 'REPLY' AND status IN ('SCHEDULED', 'SENDING', 'UNKNOWN')) AS waiting""")


async def _counts(stage: Stage) -> dict[str, int]:
    async with stage.services.tenancy.read(Scope.service(stage.tenant_id, "chaos")) as session:
        return {name: int(value) for name, value in (await session.execute(_COUNTS)).mappings().one().items()}


def _received(stage: Stage, customers: int) -> list[int]:
    """How many texts each customer's phone shows."""
    of_each = Counter(
        message.to
        for message in stage.sandbox.world.messages
        if message.channel == "SMS" and message.direction == "outbound"
    )
    return [of_each[phone(number)] for number in range(customers)]


async def _figures(stage: Stage, size: Size) -> dict[str, object]:
    """What each customer's phone shows against what they wrote; to be told that a person has it is an answer."""
    of_each = _received(stage, size.customers)
    return {
        "answers": sum(of_each),
        "lost": sum(max(0, size.texts - got) for got in of_each),
        "duplicates": sum(max(0, got - size.texts) for got in of_each),
        "unresolved": sum((await _counts(stage)).values()),
    }
