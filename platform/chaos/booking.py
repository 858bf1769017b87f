"""Workers and apis killed while customers book, move and cancel: what was confirmed stands once here, in ShopMonkey and at Google."""

from __future__ import annotations

import asyncio
import random
import secrets
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx

from lead_orchestrator.bench.stage import Stage, open_stage
from lead_orchestrator.booking.capacity import change_location, set_hours
from lead_orchestrator.catalog.service import ServiceChange, upsert_service
from lead_orchestrator.chaos import repository
from lead_orchestrator.chaos.nursery import Nursery, nursery
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.sandbox.faults import Fault
from lead_orchestrator.services import token_issuer
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.hours import Open
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["LEASE", "Size", "break_bookings", "run"]

LEASE = 1.5
"""Seconds; an outbox entry is leased for twice that."""
_BAYS = 2
_BETWEEN_KILLS = (0.1, 0.6)
_INTO_A_CALL = (0.0, 0.05)
_DROPPED = 0.1
_LOOK_SECONDS = 0.2
_PATIENCE_SECONDS = 180.0
_HOUR = timedelta(hours=1)
_MOVED, _CANCELLED = 0.25, 0.15

_BOOK = (
    "mutation($i: BookAppointmentInput!) { done: bookAppointment(input: $i) { appointment { id } errors { code } } }"
)
_MOVE = """mutation($id: ID!, $at: DateTime!, $k: String!) {
  done: rescheduleAppointment(id: $id, startsAt: $at, idempotencyKey: $k) { appointment { id } errors { code } } }"""
_CANCEL = "mutation($id: ID!) { done: cancelAppointment(id: $id) { appointment { id } errors { code } } }"


@dataclass(frozen=True)
class Size:
    """`each`: so many workers, and so many apis, run at a time."""

    bookings: int
    kills: int
    customers: int = 6
    each: int = 2


_WHOLE, _QUICK = Size(bookings=600, kills=60), Size(bookings=60, kills=10)


async def run(settings: Settings, *, quick: bool) -> dict[str, object]:
    """Counted here, in ShopMonkey and at Google."""
    brief = settings.model_copy(update={"send_lease_seconds": LEASE})
    with tempfile.TemporaryDirectory(prefix="lead-chaos-") as folder:
        async with open_stage(brief) as stage:
            return await break_bookings(stage, _QUICK if quick else _WHOLE, Path(folder) / "processes.log")


async def break_bookings(stage: Stage, size: Size, log: Path) -> dict[str, object]:
    """Of a stage whose send lease is `LEASE`."""
    seed = secrets.randbelow(10**6)
    chance = random.Random(seed)  # noqa: S311 - when to kill is no secret
    async with nursery(stage.settings, log, LOG_LEVEL="ERROR") as processes:
        service_id = await _open_shop(stage)
        _break_replies(stage)
        customers = _Customers(stage, processes.api_url, service_id, random.Random(seed + 1))  # noqa: S311 - no secret
        killing = _Killing(stage, processes, customers, chance)
        await killing.start(size.each)
        began = monotonic()
        await asyncio.gather(customers.book(size), killing.kill(size.kills))
        booked_in = monotonic() - began
        recovery = await _settled(stage)
        figures = await _figures(stage, customers)
    return {
        "chaos": "booking",
        "seed": seed,
        "bookings": size.bookings,
        "kills": size.kills,
        "interruptedRequests": killing.requests,
        "interruptedEntries": killing.entries,
        "repeatedRequests": customers.repeated,
        "leaseSeconds": 2 * LEASE,
        "bookedInSeconds": round(booked_in, 1),
        "recoverySecondsMax": round(recovery, 1),
        **figures,
    }


async def _open_shop(stage: Stage) -> UUID:
    """Round the clock, with its Google calendar; answers a service of an hour."""
    async with stage.services.tenancy.write(_scope(stage)) as session:
        await change_location(session, stage.location_id, {"bays": _BAYS, "horizon_days": 365, "lead_time_minutes": 0})
        await set_hours(session, stage.location_id, [Open(day, time(), time()) for day in range(7)])
        service = await upsert_service(session, ServiceChange(None, None, "Chaos", 60))
        url = await stage.services.calendars.connections.connect(session, stage.location_id)
    google = stage.sandbox.world.google
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    code = google.consent(next(iter(google.accounts)), asked["redirect_uri"], asked["code_challenge"])
    await stage.services.calendars.connections.complete(asked["state"], code)
    return service.id


def _break_replies(stage: Stage) -> None:
    faults = stage.sandbox.world.faults
    for service in ("shopmonkey", "google"):
        faults.add(Fault(service, "accept_then_drop", probability=_DROPPED))
        faults.add(Fault(service, "delay", probability=0.3, seconds=0.1))
        faults.add(Fault(service, "delay", probability=0.3, seconds=0.1, when="after"))


@dataclass
class _Customers:
    """They ask again with the same key until they are answered; `promised` is when each appointment is to be, as they were told,
    None if it was cancelled."""

    stage: Stage
    api_url: str
    service_id: UUID
    chance: random.Random
    promised: dict[str, datetime | None] = field(default_factory=dict)
    refused: int = 0
    repeated: int = 0
    under_way: int = 0
    finished: bool = False
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        issuer = token_issuer(self.stage.settings)
        token = issuer.issue(subject="chaos", role=Role.OWNER, tenant_id=self.stage.tenant_id, location_ids=None)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=2)

    async def book(self, size: Size) -> None:
        """Each hour is wanted by one more than it has bays."""
        numbers = iter(range(size.bookings))
        async with httpx.AsyncClient(base_url=self.api_url, headers=self._headers, timeout=10) as http:
            await asyncio.gather(*(self._customer(http, numbers) for _ in range(size.customers)))
        self.finished = True

    async def calling(self) -> None:
        """Until one of them waits for an answer, or all have theirs."""
        while not self.under_way and not self.finished:  # noqa: ASYNC110 - a request a customer would be many bells
            await asyncio.sleep(0.005)

    async def _customer(self, http: httpx.AsyncClient, numbers: Iterator[int]) -> None:
        for number in numbers:
            starts_at = self._begin + number // (_BAYS + 1) * _HOUR
            wanted = {
                "locationId": encode(Kind.LOCATION, self.stage.location_id),
                "serviceIds": [encode(Kind.SERVICE, self.service_id)],
                "startsAt": starts_at.isoformat(),
                "customer": {"firstName": "Ada", "phone": f"+1{201 + number // 100}55501{number % 100:02d}"},
                "idempotencyKey": f"book {number}",
            }
            made = await self._until_answered(http, _BOOK, {"i": wanted})
            if made is None:
                self.refused += 1
                continue
            self.promised[made] = starts_at
            await self._reconsider(http, made, number)

    async def _reconsider(self, http: httpx.AsyncClient, made: str, number: int) -> None:
        luck = self.chance.random()
        if luck < _MOVED:
            starts_at = self._begin + timedelta(days=100) + number * _HOUR
            await self._until_answered(http, _MOVE, {"id": made, "at": starts_at.isoformat(), "k": f"move {number}"})
            self.promised[made] = starts_at
        elif luck < _MOVED + _CANCELLED:
            await self._until_answered(http, _CANCEL, {"id": made})
            self.promised[made] = None

    async def _until_answered(self, http: httpx.AsyncClient, query: str, variables: dict[str, Any]) -> str | None:
        """The appointment's id; None: the time is taken."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                answer = await self._asked(http, query, variables)
                if answer is not None:
                    break
                self.repeated += 1
                await asyncio.sleep(0.05)
        codes = [error["code"] for error in answer["errors"]]
        self.failed += [code for code in codes if code != "SLOT_TAKEN"]
        return answer["appointment"]["id"] if answer["appointment"] else None

    async def _asked(self, http: httpx.AsyncClient, query: str, variables: dict[str, Any]) -> dict[str, Any] | None:
        """None: nobody knows what became of it."""
        self.under_way += 1
        try:
            answer = await http.post("/graphql", json={"query": query, "variables": variables})
            data = answer.json().get("data") if answer.status_code == httpx.codes.OK else None
        except (httpx.TransportError, ValueError):
            return None
        finally:
            self.under_way -= 1
        return data["done"] if data else None


@dataclass
class _Killing:
    """Kills an api or a worker each time, with whatever it has in hand, and starts another one. An api dies within a call,
    however fast the machine is."""

    stage: Stage
    processes: Nursery
    customers: _Customers
    chance: random.Random
    requests: int = 0
    entries: int = 0
    _running: dict[str, list[int]] = field(default_factory=dict)

    async def start(self, each: int) -> None:
        self._running = {"worker": [await self.processes.start() for _ in range(each)]}
        self._running["api"] = [await self.processes.start_api() for _ in range(each)]

    async def kill(self, kills: int) -> None:
        for number in range(kills):
            kind = "worker" if number % 2 else "api"
            if kind == "api":
                await self.customers.calling()
            await asyncio.sleep(self.chance.uniform(*(_INTO_A_CALL if kind == "api" else _BETWEEN_KILLS)))
            victims = self._running[kind]
            self.processes.kill(victims.pop(self.chance.randrange(len(victims))))
            if kind == "api":
                self.requests += self.customers.under_way > 0
                victims.append(await self.processes.start_api())
            else:
                async with self.stage.services.tenancy.read(_scope(self.stage)) as session:
                    self.entries += await repository.leased(session)
                victims.append(await self.processes.start())


async def _settled(stage: Stage) -> float:
    """Seconds until nothing is owed any more."""
    began = monotonic()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while await _owed(stage):  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(_LOOK_SECONDS)
    return monotonic() - began


async def _owed(stage: Stage) -> int:
    async with stage.services.tenancy.read(_scope(stage)) as session:
        return await repository.owed(session)


async def _figures(stage: Stage, customers: _Customers) -> dict[str, object]:
    async with stage.services.tenancy.read(_scope(stage)) as session:
        stored = await repository.appointments(session)
        overlaps = await repository.overlaps(session)
        unresolved = await repository.unsynced(session)
    wanted = Counter({(made, at): 1 for made, at in customers.promised.items() if at is not None})
    here = Counter((one.id, one.starts_at) for one in stored if one.confirmed)
    places = {"here": here, "shopmonkey": _at_shopmonkey(stage), "google": _at_google(stage)}
    unasked = [one for one in stored if one.id not in customers.promised]
    return {
        "confirmed": wanted.total(),
        "refused": customers.refused,
        "unexpectedErrors": sorted(set(customers.failed)),
        **{name: there.total() for name, there in places.items()},
        "overlaps": overlaps,
        "lost": sum((wanted - there).total() for there in places.values()),
        "duplicates": sum((there - wanted).total() for there in places.values()) + overlaps + len(unasked),
        "unresolved": unresolved,
    }


def _at_shopmonkey(stage: Stage) -> Counter[tuple[str, datetime]]:
    rows = [row for company in stage.sandbox.world.companies.values() for row in company.appointments.values()]
    return Counter((row["note"].splitlines()[-1], datetime.fromisoformat(row["startDate"])) for row in rows)


def _at_google(stage: Stage) -> Counter[tuple[str, datetime]]:
    return Counter(
        (encode(Kind.APPOINTMENT, UUID(event["id"])), datetime.fromisoformat(event["start"]["dateTime"]))
        for account in stage.sandbox.world.google.accounts.values()
        for event in account.events.values()
        if event["status"] != "cancelled"
    )


def _scope(stage: Stage) -> Scope:
    return Scope.service(stage.tenant_id, "chaos")
