"""What it costs to refuse: milliseconds and memory for each request of the abuse corpus, over real HTTP, as in production.

A thousand subscribes on one socket are a part of it: they take as long as until the server has closed the socket.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from lead_orchestrator.app import server_config
from lead_orchestrator.bench.abuse_requests import FLOOD, REQUESTS, SUBSCRIBE, SUBSCRIBES, Abuse
from lead_orchestrator.bench.stage import Stage, milliseconds, open_stage
from lead_orchestrator.demo.run import listen
from lead_orchestrator.graphql.app import GraphQLServices, create_graphql_app
from lead_orchestrator.graphql.budgets import Budgets, budget_sizes
from lead_orchestrator.graphql.events.codes import Close
from lead_orchestrator.graphql.events.sockets import PROTOCOL, open_sockets
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
    async with open_stage(settings) as stage, _served(stage) as server:
        await _round(server, {})
        before = _resident_kilobytes()
        unexpected = [name for _ in range(rounds) for name in await _round(server, seconds)]
        grown = _resident_kilobytes() - before
    return {
        "bench": "abuse",
        "requests": (len(REQUESTS) + 1) * rounds,
        "unexpected": sorted(set(unexpected)),
        "growthKb": grown,
        "refusal": milliseconds([each for many in seconds.values() for each in many]),
        "slowestMs": _slowest(seconds),
    }


@dataclass(frozen=True)
class _Server:
    """A client of the GraphQL app, and what opens sockets to it, with an owner's token."""

    http: httpx.AsyncClient
    url: str
    token: str


@asynccontextmanager
async def _served(stage: Stage) -> AsyncIterator[_Server]:
    """As production has it."""
    settings, services, issuer = stage.settings, stage.services, token_issuer(stage.settings)
    verifier = TokenVerifier([issuer.public_key_pem], settings.public_url, AUDIENCE)
    queue = await open_queue(required(settings, "redis_url"))
    budgets = Budgets(queue.redis, budget_sizes(settings))
    access = Access(verifier, RevocationList())
    given = GraphQLServices(
        services.tenancy, services.leads, access, queue.due, reader=services.reader, budgets=budgets
    )
    token = issuer.issue(subject="bench", role=Role.OWNER, tenant_id=stage.tenant_id, location_ids=None)
    listener = listen("127.0.0.1", 0)
    address, headers = f"127.0.0.1:{listener.getsockname()[1]}", {"authorization": f"Bearer {token}"}
    async with open_sockets(given, services.lookups.heads, queue.redis) as sockets:
        server = uvicorn.Server(server_config(create_graphql_app(given, sockets), settings))
        serving = asyncio.create_task(server._serve(sockets=[listener]))  # noqa: SLF001 - serve() would take the signals
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=30, headers=headers) as http:
            yield _Server(http, f"ws://{address}/graphql", token)
        server.should_exit = True
        await serving
    await queue.redis.aclose(close_connection_pool=True)


async def _round(server: _Server, seconds: dict[str, list[float]]) -> list[str]:
    """Each request once; the names of those that were answered otherwise than they should."""
    unexpected = []
    for abuse in REQUESTS:
        started = time.perf_counter()
        answer = await _send(server.http, abuse)
        seconds.setdefault(abuse.name, []).append(time.perf_counter() - started)
        codes = {error["extensions"]["code"] for error in answer.json().get("errors", [])}
        if (answer.status_code, codes) != (abuse.status, {abuse.code}):
            unexpected.append(abuse.name)
    started = time.perf_counter()
    if await _flooded(server) != Close.POLICY:
        unexpected.append(FLOOD)
    seconds.setdefault(FLOOD, []).append(time.perf_counter() - started)
    return unexpected


async def _flooded(server: _Server) -> int | None:
    """How the server closes a socket that subscribes a thousand times."""
    async with connect(server.url, subprotocols=[Subprotocol(PROTOCOL)], max_queue=None) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"token": server.token}}))
        await socket.recv()
        with suppress(ConnectionClosed):
            for number in range(SUBSCRIBES):
                await socket.send(json.dumps({"type": "subscribe", "id": str(number), "payload": {"query": SUBSCRIBE}}))
        await socket.wait_closed()
        return socket.close_code


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
