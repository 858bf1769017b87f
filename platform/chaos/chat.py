"""Workers killed in the middle of an answer: how many answers does each customer get?"""

from __future__ import annotations

import asyncio
import random
import secrets
import tempfile
from collections.abc import Sequence
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


_WHOLE, _QUICK = Size(customers=40, texts=3, kills=40), Size(customers=8, texts=1, kills=4)


@dataclass(frozen=True)
class _Customer:
    lead_id: UUID
    chat_id: UUID


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
    hit = 0
    async with nursery(stage.settings, log, LOG_LEVEL="ERROR", DISPATCH_INTERVAL_SECONDS="1") as workers:
        running = [await workers.start() for _ in range(size.workers)]
        customers: list[_Customer] = []
        for number in range(size.texts):
            customers = await _write(stage, size, customers, number)
            began = monotonic()
            kills = size.kills // size.texts
            hit += await _kill(stage, workers, running, kills, chance)
            await _answered(stage, number + 1, size.customers)
            waits.append(monotonic() - began)
    return {
        "chaos": "chat",
        "seed": seed,
        "customers": size.customers,
        "texts": size.customers * size.texts,
        "kills": size.kills,
        "interrupted": hit,
        "leaseSeconds": LEASE,
        "recoverySecondsMax": round(max(waits), 1),
        **await _figures(stage, size),
    }


async def _write(stage: Stage, size: Size, known: Sequence[_Customer], number: int) -> list[_Customer]:
    """Every customer texts the shop; the first time they are new."""
    asked = [_QUESTIONS[(number + n) % len(_QUESTIONS)] for n in range(size.customers)]
    return [await _text(stage, known[n] if known else None, words, n) for n, words in enumerate(asked)]


async def _text(stage: Stage, customer: _Customer | None, words: str, number: int) -> _Customer:
    services = stage.services
    async with services.tenancy.write(Scope.service(stage.tenant_id, "chaos")) as session:
        if customer is None:
            enquiry = Enquiry(
                location_id=stage.location_id, source=LeadSource.API, first_name="Ada", phone=phone(number)
            )
            lead_id = (await services.leads.receive(session, enquiry)).lead.id
        else:
            lead_id = customer.lead_id
        lead = await locked(session, lead_id)
        await end_touches(session, lead, "The customer writes first")  # a touch is no answer
        chat_id = await Conversations().hear(session, lead, Channel.SMS, words, uuid4().hex)
    return _Customer(lead_id, chat_id)


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


async def _answered(stage: Stage, number: int, customers: int) -> None:
    """Wait until everybody has as many answers as they wrote texts, and the texts are out."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            row = await _counts(stage)
            if row["owed"] == 0 and row["sent"] >= number * customers:
                return
            await asyncio.sleep(_LOOK_SECONDS)


_COUNTS = text("""
  SELECT (SELECT count(*) FROM chat_sessions WHERE answer_due_at IS NOT NULL) AS owed,
    (SELECT count(*) FROM scheduled_messages WHERE kind = 'REPLY' AND status IN ('SENT', 'DELIVERED')) AS sent,
    (SELECT count(*) FROM scheduled_messages WHERE kind = 'REPLY' AND status IN ('SCHEDULED', 'SENDING', 'UNKNOWN')) AS waiting,
    (SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM chat_messages WHERE role = 'ASSISTANT' GROUP BY session_id) a) AS most,
    (SELECT coalesce(min(n), 0) FROM (SELECT count(m.id) AS n FROM chat_sessions s LEFT JOIN chat_messages m ON m.session_id = s.id
      AND m.role = 'ASSISTANT' GROUP BY s.id) a) AS least,
    (SELECT count(*) FROM chat_sessions WHERE state <> 'ASSISTANT') AS handed""")


async def _counts(stage: Stage) -> dict[str, int]:
    async with stage.services.tenancy.read(Scope.service(stage.tenant_id, "chaos")) as session:
        return {name: int(value) for name, value in (await session.execute(_COUNTS)).mappings().one().items()}


async def _figures(stage: Stage, size: Size) -> dict[str, object]:
    """What each customer's phone shows against what they wrote; who was handed over was told so once."""
    counts = await _counts(stage)
    received = [
        message
        for message in stage.sandbox.world.messages
        if message.channel == "SMS" and message.direction == "outbound"
    ]
    of_each = [sum(message.to == phone(number) for message in received) for number in range(size.customers)]
    return {
        "answers": sum(of_each),
        "lost": sum(max(0, size.texts - got) for got in of_each),
        "duplicates": sum(max(0, got - size.texts) for got in of_each),
        "unresolved": counts["owed"] + counts["waiting"],
        "handedOver": counts["handed"],
    }
