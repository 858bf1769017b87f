"""Faults that can be switched on, and the reply that never comes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lead_orchestrator.errors import BadInputError

__all__ = ["DROP_EXTENSION", "FAULT_KINDS", "DroppedReply", "Fault", "FaultReplies", "Faults", "guarded"]

Endpoint = Callable[[Request], Awaitable[Response]]

_DELIVERY = ("lose", "duplicate", "shuffle", "late")
_CALL = ("accept_then_drop", "bad_credentials", "error_429", "error_500", "drop", "delay", "hold")
_STREAM = ("stall", "cut_stream", "content_filter")
FAULT_KINDS: dict[str, tuple[str, ...]] = {
    "shopmonkey": ("waf_403", *_CALL),
    "twilio": _CALL,
    "sendgrid": _CALL,
    "whatsapp": (*_CALL, "pair_limit", "refuse_later"),
    "openai": ("bad_credentials", "error_429", "error_500", "no_quota", "drop", "delay", "hold", *_STREAM),
    "google": (*_CALL, "rate_limit", "sync_expired", "free_busy_error"),
    "google_oauth": ("bad_credentials", "error_429", "error_500", "drop", "delay", "hold"),
    "carrier": ("filter", "unreachable", "slow"),
    "webhook": _DELIVERY,
    "twilio_callback": _DELIVERY,
    "twilio_inbound": _DELIVERY,
    "sendgrid_event": _DELIVERY,
    "sendgrid_inbound": _DELIVERY,
    "whatsapp_webhook": _DELIVERY,
    "google_push": _DELIVERY,
}
DROP_EXTENSION = "sandbox.drop"
MAX_NUMBER = 1_000_000
NOBODY_THERE = 499
DELIVERY_SECONDS = {"late": 2.0, "shuffle": 0.5}
_REFUSALS = (
    "waf_403",
    "bad_credentials",
    "error_429",
    "error_500",
    "no_quota",
    "pair_limit",
    "rate_limit",
    "sync_expired",
)
_UNTIL_REMOVED = ("hold", "stall")
_numbers = itertools.count(1)


@dataclass
class Fault:
    """One fault. It strikes with `probability`, `count` times (None: until removed), only where `match` is part of
    "METHOD /path" (of a delivery: its URL; of a carrier: "number text"; of an answer that streams: "model question"). `seconds`:
    of a delay, a lateness, a stall at most, a shuffle's span, a carrier's queue or a Retry-After; `when`: a delay or a hold before
    or after the request is accepted; `copies`: of a duplicate. What a `hold` has struck waits until the fault is removed;
    `waiting` are the requests that do so now."""

    service: str
    kind: str
    count: int | None = None
    probability: float = 1.0
    match: str = ""
    seconds: float = 1.0
    when: str = "before"
    copies: int = 2
    struck: int = 0
    waiting: int = 0
    id: int = field(default_factory=lambda: next(_numbers))
    removed: asyncio.Event = field(default_factory=asyncio.Event, repr=False, compare=False)

    def __post_init__(self) -> None:
        kinds = FAULT_KINDS.get(self.service)
        if kinds is None:
            raise BadInputError(f"service {self.service!r} is unknown: use one of {', '.join(FAULT_KINDS)}")
        if self.kind not in kinds:
            raise BadInputError(f"kind {self.kind!r} is unknown for {self.service}: use one of {', '.join(kinds)}")
        if not 0 <= self.probability <= 1:
            raise BadInputError(f"probability is {self.probability!r}: use a number from 0 to 1")
        if self.count is not None and self.count < 1:
            raise BadInputError(f"count is {self.count!r}: use 1 or more, or leave it out for no limit")
        if self.when not in ("before", "after"):
            raise BadInputError(f"when is {self.when!r}: use before or after")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fault:
        """Of `{service, kind, count?, probability?, match?, seconds?, when?, copies?}`."""
        for name in ("service", "kind"):
            if not isinstance(data.get(name), str):
                raise BadInputError(f"{name} is {data.get(name)!r}: use a text")
        numbers = {name: _number(data, name) for name in ("probability", "seconds") if data.get(name) is not None}
        whole = {name: int(_number(data, name)) for name in ("count", "copies") if data.get(name) is not None}
        texts = {name: str(data[name]) for name in ("match", "when") if data.get(name) is not None}
        default = {} if "seconds" in numbers else {"seconds": DELIVERY_SECONDS.get(data["kind"], 1.0)}
        return cls(data["service"], data["kind"], **{**default, **numbers}, **whole, **texts)  # type: ignore[arg-type]  # each value was converted above

    def to_json(self) -> dict[str, Any]:
        names = (
            "id",
            "service",
            "kind",
            "count",
            "probability",
            "match",
            "seconds",
            "when",
            "copies",
            "struck",
            "waiting",
        )
        return {name: getattr(self, name) for name in names}


def _number(data: Mapping[str, Any], name: str) -> float:
    try:
        number = float(data[name])
    except (TypeError, ValueError):
        raise BadInputError(f"{name} is {data[name]!r}: use a number") from None
    if not 0 <= number <= MAX_NUMBER:
        raise BadInputError(f"{name} is {data[name]!r}: use a number from 0 to {MAX_NUMBER}")
    return number


class Faults:
    """The faults that are switched on."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._active: list[Fault] = []
        self._released = asyncio.Event()

    async def pause(self, seconds: float) -> None:
        """Wait, unless the sandbox ends before."""
        await self._ended(self._released, seconds)

    async def wait(self, fault: Fault) -> None:
        """Wait as long as the fault wants: a hold until it is removed, a stall so too, but `seconds` at most, a delay `seconds`."""
        removable = fault.kind in _UNTIL_REMOVED and not self._released.is_set()
        fault.waiting += 1
        try:
            most = None if fault.kind == "hold" else fault.seconds
            await self._ended(fault.removed if removable else self._released, most)
        finally:
            fault.waiting -= 1

    async def _ended(self, event: asyncio.Event, seconds: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()

    def release(self, *, released: bool = True) -> None:
        """End every pause, now and from now on; `released=False` lets them wait again."""
        if not released:
            self._released.clear()
            return
        self._released.set()
        for fault in self._active:
            fault.removed.set()

    def add(self, fault: Fault) -> Fault:
        self._active.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> int:
        """Switch off one fault, or all; says how many."""
        gone = [fault for fault in self._active if fault_id is None or fault.id == fault_id]
        for fault in gone:
            self._active.remove(fault)
            fault.removed.set()
        return len(gone)

    def active(self) -> list[Fault]:
        return list(self._active)

    def strike(self, service: str, kinds: tuple[str, ...], target: str) -> Fault | None:
        """The first fault of these kinds that strikes now; a fault that has struck `count` times is gone, or waits to be removed."""
        for fault in self._active:
            if fault.service == service and fault.kind in kinds and fault.match in target and self._hits(fault):
                fault.struck += 1
                if fault.struck == fault.count and fault.kind not in _UNTIL_REMOVED:
                    self._active.remove(fault)
                return fault
        return None

    def _hits(self, fault: Fault) -> bool:
        if fault.struck == fault.count:
            return False
        return fault.probability >= 1 or self._chance.random() < fault.probability


class DroppedReply(Response):
    """No reply at all: the connection is closed. Needs a server that offers the `sandbox.drop` extension."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # nothing is sent
        drop: Callable[[], None] | None = scope.get("extensions", {}).get(DROP_EXTENSION, {}).get("close")
        if drop is None:
            raise RuntimeError("this server cannot drop a connection: run the sandbox with SandboxServer")
        drop()
        while (await receive())["type"] != "http.disconnect":
            pass


@dataclass(frozen=True)
class FaultReplies:
    """What a service answers when a fault refuses a request; `accepts` tells which `accept_then_drop` means."""

    service: str
    refusals: Mapping[str, Callable[[Fault], Response]]
    accepts: Callable[[Request, Response], bool] = lambda _request, _response: False


async def _of(endpoint: Endpoint, request: Request) -> Response:
    """Its answer; to a caller who went away while it spoke nobody will read it."""
    try:
        return await endpoint(request)
    except ClientDisconnect:
        return Response(status_code=NOBODY_THERE)


def guarded(faults: Faults, replies: FaultReplies, endpoint: Endpoint) -> Endpoint:
    """The endpoint as it is when the service's faults strike."""

    async def answer(request: Request) -> Response:
        target = f"{request.method} {request.url.path}"
        delay = faults.strike(replies.service, ("delay", "hold"), target)
        if delay is not None and delay.when == "before":
            await request.body()  # it has arrived, even if the caller gives up while waiting
            await faults.wait(delay)
        if faults.strike(replies.service, ("drop",), target):
            return DroppedReply()
        refusal = faults.strike(replies.service, _REFUSALS, target)
        response = replies.refusals[refusal.kind](refusal) if refusal else await _of(endpoint, request)
        if delay is not None and delay.when == "after":
            await faults.wait(delay)
        if replies.accepts(request, response) and faults.strike(replies.service, ("accept_then_drop",), target):
            return DroppedReply()
        return response

    return answer
