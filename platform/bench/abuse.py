"""What it costs to refuse: milliseconds and memory for each request of the abuse corpus, over real HTTP, as in production."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from lead_orchestrator.app import server_config
from lead_orchestrator.bench.abuse_requests import REQUESTS, Abuse
from lead_orchestrator.bench.stage import Stage, milliseconds, open_stage
from lead_orchestrator.demo.run import listen
from lead_orchestrator.graphql.app import GraphQLServices, create_graphql_app
from lead_orchestrator.graphql.budgets import Budgets, budget_sizes
from lead_orchestrator.jobs.queue import open_queue
from lead_orchestrator.services import AUDIENCE, required, token_issuer
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.tokens import Role, TokenVerifier

__all__ = ["run"]

_ROUNDS, _QUICK_ROUNDS = 20, 3
_SLOWEST = 5


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """Refuse everything many times; `growthKb` is what the process kept after the first round."""
    rounds = _QUICK_ROUNDS if quick else _ROUNDS
    seconds: dict[str, list[float]] = {}
    async with open_stage(settings) as stage, _served(stage) as http:
        await _round(http, {})
        before = _resident_kilobytes()
        unexpected = [name for _ in range(rounds) for name in await _round(http, seconds)]
        grown = _resident_kilobytes() - before
    return {
        "bench": "abuse",
        "requests": len(REQUESTS) * rounds,
        "unexpected": sorted(set(unexpected)),
        "growthKb": grown,
        "refusal": milliseconds([each for many in seconds.values() for each in many]),
        "slowestMs": _slowest(seconds),
    }


@asynccontextmanager
async def _served(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the GraphQL app as production has it, signed in as an owner."""
    settings, services, issuer = stage.settings, stage.services, token_issuer(stage.settings)
    verifier = TokenVerifier([issuer.public_key_pem], settings.public_url, AUDIENCE)
    queue = await open_queue(required(settings, "redis_url"))
    budgets = Budgets(queue.redis, budget_sizes(settings))
    access = Access(verifier, RevocationList())
    app = create_graphql_app(
        GraphQLServices(services.tenancy, services.leads, access, queue.due, reader=services.reader, budgets=budgets)
    )
    token = issuer.issue(subject="bench", role=Role.OWNER, tenant_id=stage.tenant_id, location_ids=None)
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(server_config(app, settings))
    serving = asyncio.create_task(server._serve(sockets=[listener]))  # noqa: SLF001 - serve() would take the signals
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with httpx.AsyncClient(base_url=address, timeout=30, headers={"authorization": f"Bearer {token}"}) as http:
        yield http
    server.should_exit = True
    await serving
    await queue.redis.aclose(close_connection_pool=True)


async def _round(http: httpx.AsyncClient, seconds: dict[str, list[float]]) -> list[str]:
    """Each request once; the names of those that were answered otherwise than they should."""
    unexpected = []
    for abuse in REQUESTS:
        started = time.perf_counter()
        answer = await _send(http, abuse)
        seconds.setdefault(abuse.name, []).append(time.perf_counter() - started)
        codes = {error["extensions"]["code"] for error in answer.json().get("errors", [])}
        if (answer.status_code, codes) != (abuse.status, {abuse.code}):
            unexpected.append(abuse.name)
    return unexpected


async def _send(http: httpx.AsyncClient, abuse: Abuse) -> httpx.Response:
    headers = {"content-type": abuse.content_type, **abuse.headers}
    asked: dict[str, Any] = {"content": abuse.body}
    if abuse.method == "GET":
        asked = {"params": {"query": abuse.body.decode()}}
    return await http.request(abuse.method, "/graphql", headers=headers, **asked)


def _slowest(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Medians of the slowest."""
    medians = {name: sorted(many)[len(many) // 2] * 1000 for name, many in seconds.items()}
    ranked = sorted(medians.items(), key=lambda item: -item[1])
    return {name: round(median, 2) for name, median in ranked[:_SLOWEST]}


def _resident_kilobytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024
