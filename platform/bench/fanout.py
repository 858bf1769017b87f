"""What one api process delivers to 1,000 sockets: at a steady rate, to everybody at once, and in a burst; and what they cost
the database while nothing happens."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import perf_counter
from uuid import UUID

import httpx
from redis.asyncio import Redis

from lead_orchestrator.bench.repository import transactions
from lead_orchestrator.bench.stage import Stage, milliseconds, open_stage
from lead_orchestrator.demo.run import listen
from lead_orchestrator.graphql.events.wake import Bell
from lead_orchestrator.leads.models import LeadSource
from lead_orchestrator.leads.service import Enquiry
from lead_orchestrator.services import token_issuer
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.onboarding import parse_franchise
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["run"]

_SOCKETS, _LOCATIONS = 1_000, 20
_DELIVERIES_A_SECOND = 500
_SECONDS, _QUICK_SECONDS = 30, 8
_BURST = 60
_IDLE = 10_000
_SOCKETS_OF_A_USER = 20
_PATIENCE_SECONDS = 60
_MEGABYTE = 1 << 20
_QUERY = "subscription { leadEvents { cursor kind at detail lead { id firstName lastName status } } }"


@dataclass(frozen=True)
class _Shops:
    """A franchise of twenty locations with one lead at each."""

    tenant_id: UUID
    locations: Sequence[UUID]
    leads: Sequence[UUID]


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """The server is a process of its own, and so are the clients; seconds count from before the commit to the frame read."""
    seconds = _QUICK_SECONDS if quick else _SECONDS
    with listen("127.0.0.1", 0) as taken:
        port: int = taken.getsockname()[1]
    async with (
        open_stage(settings) as stage,
        Redis.from_url(stage.settings.redis_url or "") as redis,
        _server(stage.settings, port),
    ):
        bell = Bell(redis)
        stage.services.tenancy.on_events = bell.ring
        shops = await _open_shops(stage)
        spread = await _spread(stage, shops, port, seconds)
        everybody, burst = await _everybody(stage, shops, port, seconds)
        idle = await _idle(stage, shops, port, seconds)
        await bell.close()
    return {
        "bench": "fanout",
        "sockets": _SOCKETS,
        "spread": spread,
        "everybody": everybody,
        "burst": burst,
        "idle": idle,
        "cores": os.cpu_count(),
    }


async def _spread(stage: Stage, shops: _Shops, port: int, seconds: int) -> dict[str, object]:
    """Each socket is an agent's of one location; each event concerns one location."""
    tokens = [_token(stage, shops, number, [shops.locations[number % _LOCATIONS]]) for number in range(_SOCKETS)]
    each = _SOCKETS // _LOCATIONS
    async with _clients(port, tokens) as clients:
        moments = await _steadily(stage, shops, _DELIVERIES_A_SECOND / each, seconds)
        heard = await _heard(clients)
    return _figures(moments, heard, each)


async def _everybody(
    stage: Stage, shops: _Shops, port: int, seconds: int
) -> tuple[dict[str, object], dict[str, object]]:
    """Each socket is an owner's: every event goes to all of them."""
    tokens = [_token(stage, shops, number, None) for number in range(_SOCKETS)]
    async with _clients(port, tokens) as clients:
        moments = await _steadily(stage, shops, _DELIVERIES_A_SECOND / _SOCKETS, seconds)
        steady = await _heard(clients)
    async with _clients(port, tokens) as clients:
        started = perf_counter()
        await _happen(stage, shops, range(_BURST))
        burst = await _heard(clients, _BURST * _SOCKETS)
    took = max(moment for _, moment in burst) - started
    figures: dict[str, object] = {
        "deliveries": len(burst),
        "expected": _BURST * _SOCKETS,
        "seconds": round(took, 2),
        "deliveriesPerSecond": round(len(burst) / took),
    }
    return _figures(moments, steady, _SOCKETS), figures


async def _idle(stage: Stage, shops: _Shops, port: int, seconds: int) -> dict[str, object]:
    """Transactions a second of the whole database with nobody there, and with everybody listening to nothing."""
    without = await _transactions(stage, seconds)
    tokens = [_token(stage, shops, number, None) for number in range(_SOCKETS)]
    async with _clients(port, tokens, subscriptions=_IDLE // _SOCKETS):
        held = await _transactions(stage, seconds)
    return {"subscriptions": _IDLE, "transactionsPerSecond": {"without": without, "with": held}}


async def _transactions(stage: Stage, seconds: int) -> float:
    before = await transactions(stage.superuser_url)
    started = perf_counter()
    await asyncio.sleep(seconds)
    return round((await transactions(stage.superuser_url) - before) / (perf_counter() - started), 2)


def _figures(moments: dict[int, float], heard: Sequence[tuple[int, float]], each: int) -> dict[str, object]:
    took = max(moments.values()) - min(moments.values())
    return {
        "deliveries": len(heard),
        "expected": len(moments) * each,
        "perSecond": round(len(heard) / took),
        **milliseconds([moment - moments[number] for number, moment in heard]),
    }


async def _steadily(stage: Stage, shops: _Shops, a_second: float, seconds: int) -> dict[int, float]:
    """Events at an even rate; when each was about to be committed, by number."""
    moments: dict[int, float] = {}
    started = perf_counter()
    for number in range(max(2, int(a_second * seconds))):
        await asyncio.sleep(max(0.0, started + number / a_second - perf_counter()))
        moments[number] = await _happen(stage, shops, [number])
    return moments


async def _happen(stage: Stage, shops: _Shops, numbers: Sequence[int]) -> float:
    """One commit; the moment before it."""
    async with stage.services.tenancy.write(Scope.service(shops.tenant_id, "bench")) as session:
        for number in numbers:
            place = number % _LOCATIONS
            session.record(
                "bench.happened",
                location_id=shops.locations[place],
                lead_id=shops.leads[place],
                detail={"n": number},
            )
        return perf_counter()


async def _open_shops(stage: Stage) -> _Shops:
    described = {
        "name": "Fan-out",
        "slug": "fan-out",
        "locations": [
            {"name": f"Shop {n}", "slug": f"fan-out-{n}", "timezone": "America/Los_Angeles"} for n in range(_LOCATIONS)
        ],
    }
    made = await stage.services.onboarding.onboard(parse_franchise(described), actor="bench")
    locations = [made.location_ids[f"fan-out-{number}"] for number in range(_LOCATIONS)]
    leads = []
    async with stage.services.tenancy.write(Scope.service(made.tenant_id, "bench")) as session:
        for location in locations:
            enquiry = Enquiry(location_id=location, source=LeadSource.API, first_name="Ada", phone="+12135550101")
            leads.append((await stage.services.leads.receive(session, enquiry)).lead.id)
    return _Shops(made.tenant_id, locations, leads)


def _token(stage: Stage, shops: _Shops, number: int, locations: Sequence[UUID] | None) -> str:
    role = Role.OWNER if locations is None else Role.AGENT
    user = number % _LOCATIONS * _SOCKETS + number // _LOCATIONS // _SOCKETS_OF_A_USER
    return token_issuer(stage.settings).issue(
        subject=f"bench-{user}", role=role, tenant_id=shops.tenant_id, location_ids=locations
    )


async def _heard(clients: Process, expected: int | None = None) -> Sequence[tuple[int, float]]:
    """What the clients have heard a while after the last event, or once they must have heard everything."""
    assert clients.stdin is not None  # noqa: S101 - a pipe was asked for
    assert clients.stdout is not None  # noqa: S101 - likewise
    await asyncio.sleep(2 if expected is None else 12)
    clients.stdin.write(b"\n")
    await clients.stdin.drain()
    heard: list[tuple[int, float]] = json.loads(await clients.stdout.readline())
    return heard


@asynccontextmanager
async def _clients(port: int, tokens: Sequence[str], *, subscriptions: int = 1) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lead_orchestrator.bench.fanout_client", stdin=PIPE, stdout=PIPE, limit=64 * _MEGABYTE
    )
    assert process.stdin is not None  # noqa: S101 - a pipe was asked for
    assert process.stdout is not None  # noqa: S101 - likewise
    try:
        asked = {"port": port, "sockets": tokens, "query": _QUERY, "subscriptions": subscriptions}
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        async with asyncio.timeout(_PATIENCE_SECONDS):
            if await process.stdout.readline() != b"ready\n":
                raise RuntimeError("the sockets did not open")
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def _server(settings: Settings, port: int) -> AsyncIterator[None]:
    """`lead-orchestrator serve` with these settings, once it answers."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from lead_orchestrator.cli import main; main()",
        "serve",
        env=_environment(settings.model_copy(update={"port": port, "log_level": "ERROR"})),
    )
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS), httpx.AsyncClient() as http:
            while True:
                with suppress(httpx.TransportError):
                    if (await http.get(f"http://127.0.0.1:{port}/health")).is_success:
                        break
                await asyncio.sleep(0.05)
        yield
    finally:
        process.terminate()
        await process.wait()


def _environment(settings: Settings) -> dict[str, str]:
    given = {name.upper(): value for name in Settings.model_fields if (value := getattr(settings, name)) is not None}
    plain = {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        for name, value in given.items()
    }
    return {**os.environ, **plain}
