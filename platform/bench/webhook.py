"""From a website quote to the provider's acceptance, through api, queue and worker, at a steady rate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter

import httpx

from lead_orchestrator.bench.stage import Stage, milliseconds, open_stage
from lead_orchestrator.demo.run import listen, run_api, run_worker
from lead_orchestrator.sandbox.seed import LOS_ANGELES_LOCATION_ID
from lead_orchestrator.settings import Settings

__all__ = ["run"]

_QUOTES, _QUICK_QUOTES = 500, 60
_PER_SECOND = 10
_PATIENCE_SECONDS = 60.0


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """Quotes at ten a second; the sandbox's own times decide."""
    count = _QUICK_QUOTES if quick else _QUOTES
    listener = listen("127.0.0.1", 0)
    api = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with (
        open_stage(settings, product_url=api) as stage,
        run_worker(stage.settings),
        run_api(stage.settings, listener),
    ):
        placed = await _quotes(stage, count)
        texts = await _texts(stage, placed)
    return {
        "bench": "webhook",
        "quotes": count,
        "perSecond": _PER_SECOND,
        "texted": len(texts),
        "quoteToAcceptance": milliseconds(texts),
    }


async def _quotes(stage: Stage, count: int) -> dict[str, int]:
    """Place quotes; the moments (unix ms) by the customers' numbers."""
    started, placed = perf_counter(), {}
    async with httpx.AsyncClient(base_url=stage.sandbox.url, timeout=30) as http:
        for number in range(count):
            phone = f"+1{213 + number // 100}55501{number % 100:02d}"
            body = {"locationId": LOS_ANGELES_LOCATION_ID, "firstName": "Ada", "phone": phone}
            placed[phone] = (await http.post("/quotes", json=body)).raise_for_status().json()["at"]
            await asyncio.sleep(max(0.0, started + (number + 1) / _PER_SECOND - perf_counter()))
    return placed


async def _texts(stage: Stage, placed: dict[str, int]) -> Sequence[float]:
    """Seconds from each quote to the acceptance of its text."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while len(stage.sandbox.world.messages) < len(placed):  # noqa: ASYNC110 - the sandbox rings no bell
            await asyncio.sleep(0.05)
    return [(message.accepted_at - placed[message.to]) / 1000 for message in stage.sandbox.world.messages]
