"""Our API beside PostGraphile 5 and beside hand-written SQL: the same database, policies, tokens and answers."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from statistics import median
from typing import Any
from uuid import UUID

import httpx

from lead_orchestrator.bench.graphql_figures import figures, ratio
from lead_orchestrator.bench.graphql_operations import Operation, normalised, operations
from lead_orchestrator.bench.graphql_peer import PEER_VERSION, install_peer, peer
from lead_orchestrator.bench.graphql_rows import Crowd, count_written, fill
from lead_orchestrator.bench.load import LoadProcess, Round, request_bytes
from lead_orchestrator.bench.programs import free_port, serving
from lead_orchestrator.bench.stage import Stage, open_stage
from lead_orchestrator.errors import AppError
from lead_orchestrator.graphql.schema import make_schema
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.services import required, token_issuer
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["run"]

OURS, PEER, FLOOR = "ours", "postgraphile", "floor"
CONNECTIONS = 16
_STATUSES = ("CONTACTED", "NEW")
_READ_BY = 4
_COMPARED = 5
_LIST = "flatLeads"
_NO_LIMIT = "1000000000"


@dataclass(frozen=True)
class _Size:
    tenants: int
    leads: int
    rounds: int
    seconds: float


_FULL, _QUICK = _Size(200, 200_000, 7, 2.0), _Size(50, 20_000, 3, 1.0)


@dataclass(frozen=True)
class _Request:
    """One request of one tenant, before it is written in a contestant's words."""

    tenant: UUID
    token: str
    lead: UUID
    location: UUID
    status: str


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """Interleaved rounds of each operation; the ratios are those of neighbouring rounds."""
    size = _QUICK if quick else _FULL
    asked = operations(make_schema(development=False)._schema)  # noqa: SLF001 - the library's own schema is what validates
    async with open_stage(settings) as stage, AsyncExitStack() as stack:
        crowd = await fill(stage.superuser_url, tenants=size.tenants, leads=size.leads)
        ports, peer_says = await _contestants(stage, asked, stack)
        load = await stack.enter_async_context(LoadProcess())
        found = {operation.name: await _measure(stage, crowd, operation, ports, load, size) for operation in asked}
        first_page = await _first_page(stage, crowd, asked, ports[OURS], load, size)
    return {
        "bench": "graphql",
        "postgraphile": peer_says,
        "tenants": size.tenants,
        "leads": size.leads,
        "connections": CONNECTIONS,
        "rounds": size.rounds,
        "secondsPerRound": size.seconds,
        "asked": {operation.name: operation.file for operation in asked},
        "operations": found,
        "firstPage": first_page,
    }


async def _contestants(stage: Stage, asked: Sequence[Operation], stack: AsyncExitStack) -> tuple[dict[str, int], str]:
    """Their ports, and PostGraphile's version or why it is missing."""
    ports = {
        OURS: await stack.enter_async_context(_our_api(stage.settings)),
        FLOOR: await stack.enter_async_context(_floor(stage.settings, asked)),
    }
    try:
        ports[PEER] = await stack.enter_async_context(peer(stage.settings, await install_peer()))
    except AppError as error:  # npm is away, or what it fetched does not start here
        return ports, f"not available: {error.message}"
    return ports, PEER_VERSION


@asynccontextmanager
async def _our_api(settings: Settings) -> AsyncIterator[int]:
    port = free_port()
    environment = {
        name.upper(): value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        for name, value in settings
        if value is not None
    }
    program = [sys.executable, "-c", "from lead_orchestrator.cli import main; main()", "serve"]
    environment |= {"PORT": str(port), "LOG_LEVEL": "WARNING"}
    environment |= {"API_REQUESTS_PER_MINUTE": _NO_LIMIT, "API_COST_PER_MINUTE": _NO_LIMIT}
    async with serving(program, environment, port):
        yield port


@asynccontextmanager
async def _floor(settings: Settings, asked: Sequence[Operation]) -> AsyncIterator[int]:
    port = free_port()
    environment = {
        "FLOOR_DATABASE_URL": required(settings, "database_url"),
        "FLOOR_PUBLIC_KEY": token_issuer(settings).public_key_pem,
        "FLOOR_ISSUER": settings.public_url,
        "FLOOR_POOL": str(settings.database_direct_connections),
        "FLOOR_PORT": str(port),
        "FLOOR_STATEMENTS": json.dumps({f"/{one.name}": (one.statement, one.values) for one in asked}),
    }
    async with serving([sys.executable, "-m", "lead_orchestrator.bench.graphql_floor"], environment, port):
        yield port


async def _measure(
    stage: Stage, crowd: Crowd, operation: Operation, ports: Mapping[str, int], load: LoadProcess, size: _Size
) -> dict[str, object]:
    asked = {name: _requests(stage, crowd, operation, number) for number, name in enumerate(ports)}
    await _compare(operation, ports, dict.fromkeys(ports, asked[OURS]))
    for name, port in ports.items():
        raw = [request_bytes(port, *_asked(name, operation, request), request.token) for request in asked[name]]
        await load.keep(f"{operation.name}/{name}", port, raw)
    rounds = await _rounds(operation, list(ports), load, size)
    found = figures(rounds, OURS)
    if operation.writes:
        found["written"] = {name: await _written(stage, asked[name], rounds[name]) for name in ports}
    return found


async def _first_page(
    stage: Stage, crowd: Crowd, asked: Sequence[Operation], port: int, load: LoadProcess, size: _Size
) -> dict[str, object]:
    """What the flat list costs callers who are limited to locations, by an owner's: both of us, in turn."""
    [operation] = [one for one in asked if one.name == _LIST]
    some: Mapping[str, Mapping[UUID, Sequence[UUID]] | None] = {
        "owner": None,
        "agentOfOne": {tenant: [places[0]] for tenant, places in crowd.some.items()},
        "agentOfThree": crowd.some,
    }
    for name, places in some.items():
        requests = _requests(stage, crowd, operation, 0, places)
        raw = [request_bytes(port, *_asked(OURS, operation, request), request.token) for request in requests]
        await load.keep(f"{operation.name}/{name}", port, raw)
    rounds = await _rounds(operation, list(some), load, size)
    rates = {name: [len(one.microseconds) / one.seconds for one in each] for name, each in rounds.items()}
    return {
        "costByAnOwners": {name: ratio(rates["owner"], each) for name, each in rates.items() if name != "owner"},
        "requestsPerSecond": {name: round(median(each)) for name, each in rates.items()},
        "failures": {name: sum(one.failures for one in each) for name, each in rounds.items()},
    }


async def _rounds(operation: Operation, names: Sequence[str], load: LoadProcess, size: _Size) -> dict[str, list[Round]]:
    """Each contestant in turn, a different one first in each round; a first round that is not counted warms up."""
    rounds: dict[str, list[Round]] = defaultdict(list)
    for number in range(size.rounds + 1):
        first = number % len(names)
        for name in chain(names[first:], names[:first]):
            one = await load.run(f"{operation.name}/{name}", connections=CONNECTIONS, seconds=size.seconds)
            if number or operation.writes:
                rounds[name].append(one)
    return rounds


def _requests(
    stage: Stage,
    crowd: Crowd,
    operation: Operation,
    share: int,
    limits: Mapping[UUID, Sequence[UUID]] | None = None,
) -> list[_Request]:
    """Over all tenants in turn, as their owners or as agents of `limits`; for a change, leads that no other contestant
    touches, each moved to and fro."""
    issuer, role = token_issuer(stage.settings), Role.AGENT if limits else Role.OWNER
    tokens = {
        tenant: issuer.issue(
            subject="bench",
            role=role,
            tenant_id=tenant,
            location_ids=limits[tenant] if limits else None,
            lifetime=timedelta(hours=1),
        )
        for tenant in crowd.leads
    }

    def own() -> Iterator[_Request]:
        first = share * _READ_BY if operation.writes else 0
        for status in _STATUSES if operation.writes else _STATUSES[:1]:
            for number in range(first, first + _READ_BY):
                for tenant, leads in crowd.leads.items():
                    yield _Request(tenant, tokens[tenant], leads[number], crowd.locations[tenant], status)

    return list(own())


def _asked(name: str, operation: Operation, request: _Request) -> tuple[str, object]:
    """The path and the body of a request to this contestant."""
    values = {
        "id": str(request.lead),
        "location": str(request.location),
        "status": request.status,
        "tenant": str(request.tenant),
    }
    if name == FLOOR:
        return f"/{operation.name}", {key: values[key] for key in operation.values}
    if name == OURS:
        values |= {"id": encode(Kind.LEAD, request.lead), "location": encode(Kind.LOCATION, request.location)}
    query = operation.ours if name == OURS else operation.peer
    variables = {key: value for key, value in values.items() if f"${key}:" in query}
    return "/graphql", {"query": query, "variables": variables}


async def _compare(operation: Operation, ports: Mapping[str, int], asked: Mapping[str, Sequence[_Request]]) -> None:
    """The same questions to each.

    Raises:
        AppError: the answers differ, or one is an error.
    """
    async with httpx.AsyncClient(timeout=60) as http:
        for number in range(_COMPARED):
            answers = {
                name: await _answer(http, port, name, operation, asked[name][number]) for name, port in ports.items()
            }
            if any(answer != answers[OURS] for answer in answers.values()):
                shown = {name: json.dumps(answer)[:1500] for name, answer in answers.items()}
                raise AppError(f"the answers to {operation.name} differ: {shown}")


async def _answer(http: httpx.AsyncClient, port: int, name: str, operation: Operation, request: _Request) -> Any:
    path, body = _asked(name, operation, request)
    headers = {"authorization": f"Bearer {request.token}", "accept": "application/json"}
    response = await http.post(f"http://127.0.0.1:{port}{path}", json=body, headers=headers)
    answer = response.json()
    if not answer.get("data") or answer.get("errors"):
        raise AppError(f"{name} answers {operation.name} with {response.status_code}: {response.text[:1500]}")
    return normalised(answer["data"])


async def _written(stage: Stage, asked: Sequence[_Request], rounds: Sequence[Round]) -> dict[str, int]:
    """What the database holds of the changes that were answered."""
    events, audits = await count_written(stage.superuser_url, [request.lead for request in asked])
    return {"answered": sum(len(one.microseconds) for one in rounds), "events": events, "audits": audits}
