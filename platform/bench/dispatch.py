"""How many messages one dispatcher sends in a second, claim to recorded result, through real sockets."""

from __future__ import annotations

from time import perf_counter

from lead_orchestrator.bench.repository import add_waiting_leads
from lead_orchestrator.bench.stage import open_stage
from lead_orchestrator.settings import Settings

__all__ = ["run"]

_MESSAGES, _QUICK_MESSAGES = 2_000, 300


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """Sends first touches until none is due; the sandbox's own count must agree."""
    count = _QUICK_MESSAGES if quick else _MESSAGES
    async with open_stage(settings) as stage:
        await add_waiting_leads(stage.superuser_url, stage.tenant_id, stage.location_id, count=count, due=count + 1)
        started = perf_counter()
        sent = 0
        while (batch := await stage.services.dispatcher.dispatch(stage.tenant_id)).claimed:
            sent += batch.outcomes["SENT"]
        seconds = perf_counter() - started
        accepted = len(stage.sandbox.world.messages)
    return {
        "bench": "dispatch",
        "due": count,
        "sent": sent,
        "acceptedByProvider": accepted,
        "messagesPerSecond": round(sent / seconds, 1),
        "msPerMessage": round(seconds / max(sent, 1) * 1000, 2),
    }
