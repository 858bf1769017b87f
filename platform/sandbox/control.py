"""The sandbox's own API: place quotes, change orders, read what was accepted, switch faults, move the clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from lead_orchestrator.errors import AppError, BadInputError, NotFoundError
from lead_orchestrator.sandbox.callbacks import callbacks_json, change_callbacks
from lead_orchestrator.sandbox.clock import SandboxClock
from lead_orchestrator.sandbox.context import Sandbox, json_object
from lead_orchestrator.sandbox.faults import FAULT_KINDS, Fault
from lead_orchestrator.sandbox.messages import message_json
from lead_orchestrator.sandbox.quotes import place_quote, read_quote
from lead_orchestrator.sandbox.shopmonkey_rows import change_order, check_columns, remove_order, tell_webhooks
from lead_orchestrator.sandbox.world import Company, Quirks, Row, Timing

__all__ = ["ControlApi"]

Settings = TypeVar("Settings", Quirks, Timing)
MAX_WIND_SECONDS = 400 * 86_400.0


class NoClockError(AppError):
    """The sandbox was started without the application's clock."""

    code = "NO_CLOCK"
    http_status = 409


class ControlApi:
    """JSON routes at the root; errors are `{"error": {"code", "message"}}`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._world = sandbox.world

    def routes(self) -> list[BaseRoute]:
        return [
            _route("/health", self._health, "GET"),
            _route("/locations", self._locations, "GET"),
            _route("/quotes", self._place_quote, "POST"),
            _route("/orders/{id}", self._get_order, "GET"),
            _route("/orders/{id}", self._change_order, "PATCH"),
            _route("/orders/{id}", self._remove_order, "DELETE"),
            _route("/messages", self._messages, "GET"),
            _route("/callbacks", self._callbacks, "GET"),
            _route("/callbacks", self._change_callbacks, "POST"),
            _route("/log", self._log, "GET"),
            _route("/faults.json", self._list_faults, "GET"),
            _route("/faults", self._add_fault, "POST"),
            _route("/faults", self._clear_faults, "DELETE"),
            _route("/faults/{id:int}", self._clear_fault, "DELETE"),
            _route("/quirks", self._quirks, "GET"),
            _route("/quirks", self._change_quirks, "PATCH"),
            _route("/timing", self._timing, "GET"),
            _route("/timing", self._change_timing, "PATCH"),
            _route("/reset", self._reset, "POST"),
            _route("/clock.json", self._clock, "GET"),
            _route("/clock", self._move_clock, "POST"),
        ]

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"ok": True})

    async def _locations(self, _: Request) -> Response:
        found = [
            {"id": row["id"], "name": row["name"], "timezone": row["timezone"], "company": company.name}
            for company in self._world.companies.values()
            for row in company.locations.values()
        ]
        return JSONResponse({"locations": found})

    async def _place_quote(self, request: Request) -> Response:
        placed = place_quote(self._sandbox, read_quote(await json_object(request)))
        return JSONResponse(placed.to_json(), 201)

    async def _get_order(self, request: Request) -> Response:
        return JSONResponse(self._order(request)[1])

    async def _change_order(self, request: Request) -> Response:
        company, order = self._order(request)
        changes = await json_object(request)
        check_columns(changes)
        diff = change_order(self._world, order, changes)
        tell_webhooks(self._sandbox, company, "UPDATE", order, diff)
        return JSONResponse(order)

    async def _remove_order(self, request: Request) -> Response:
        company, order = self._order(request)
        remove_order(self._world, company, order, hard=request.query_params.get("hard") == "true")
        tell_webhooks(self._sandbox, company, "DELETE", order)
        return JSONResponse(order)

    def _order(self, request: Request) -> tuple[Company, Row]:
        order_id = request.path_params["id"]
        company = self._world.company_of_order(order_id)
        if company is None:
            raise NotFoundError(f"order {order_id!r} is unknown")
        return company, company.orders[order_id]

    async def _messages(self, request: Request) -> Response:
        query = request.query_params
        channel, direction = query.get("channel", "").upper(), query.get("direction", "outbound").lower()
        if channel not in ("", "SMS", "EMAIL", "WHATSAPP") or direction not in ("outbound", "inbound", "all"):
            raise BadInputError("channel is SMS, EMAIL or WHATSAPP; direction is outbound, inbound or all")
        since = _whole(query.get("since"), "since")
        known = self._world.messages
        if "to" in query:
            known = self._world.messages_by_customer.get(query["to"], [])
        found = [
            message_json(message)
            for message in known
            if message.accepted_at >= since
            and not message.automatic
            and channel in ("", message.channel)
            and direction in ("all", message.direction)
            and query.get("company") in (None, message.company)
        ]
        return JSONResponse({"messages": found, "count": len(found)})

    async def _callbacks(self, _: Request) -> Response:
        return JSONResponse(callbacks_json(self._sandbox))

    async def _change_callbacks(self, request: Request) -> Response:
        await change_callbacks(self._sandbox, await json_object(request))
        return await self._callbacks(request)

    async def _log(self, request: Request) -> Response:
        start = _whole(request.query_params.get("after"), "after")
        return JSONResponse({"entries": self._world.log[start:], "next": len(self._world.log)})

    async def _list_faults(self, _: Request) -> Response:
        active = [fault.to_json() for fault in self._world.faults.active()]
        return JSONResponse({"faults": active, "kinds": FAULT_KINDS})

    async def _add_fault(self, request: Request) -> Response:
        fault = self._world.faults.add(Fault.from_json(await json_object(request)))
        self._world.tell("fault_on", service=fault.service, fault=fault.kind)
        return JSONResponse(fault.to_json(), 201)

    async def _clear_faults(self, _: Request) -> Response:
        return JSONResponse({"removed": self._world.faults.clear()})

    async def _clear_fault(self, request: Request) -> Response:
        removed = self._world.faults.clear(request.path_params["id"])
        if not removed:
            raise NotFoundError(f"fault {request.path_params['id']} is not switched on")
        return JSONResponse({"removed": removed})

    async def _quirks(self, _: Request) -> Response:
        return JSONResponse(_camel(asdict(self._world.quirks)))

    async def _change_quirks(self, request: Request) -> Response:
        self._world.quirks = _changed(self._world.quirks, await json_object(request))
        return await self._quirks(request)

    async def _timing(self, _: Request) -> Response:
        return JSONResponse(_camel(asdict(self._world.timing)))

    async def _change_timing(self, request: Request) -> Response:
        self._world.timing = _changed(self._world.timing, await json_object(request))
        return await self._timing(request)

    async def _reset(self, _: Request) -> Response:
        self._world.reset()
        return JSONResponse({"ok": True})

    async def _clock(self, _: Request) -> Response:
        return JSONResponse(_clock_json(await self._require_clock().now()))

    async def _move_clock(self, request: Request) -> Response:
        clock, data = self._require_clock(), await json_object(request)
        async with self._sandbox.winding:
            if data.get("reset") is True:
                return JSONResponse(_clock_json(await clock.reset()))
            seconds = data.get("seconds")
            if (
                not isinstance(seconds, (int, float))
                or isinstance(seconds, bool)
                or not 0 < seconds <= MAX_WIND_SECONDS
            ):
                raise BadInputError(f"seconds is {seconds!r}: use a number above 0 (at most 400 days), or reset: true")
            self._world.tell("clock_wound", seconds=seconds)
            return JSONResponse(_clock_json(await clock.wind(float(seconds))))

    def _require_clock(self) -> SandboxClock:
        if self._sandbox.clock is None:
            raise NoClockError("this sandbox runs without the application's clock, so time cannot be moved")
        return self._sandbox.clock


def _clock_json(app_now: datetime) -> dict[str, Any]:
    real = datetime.now(UTC)
    return {
        "real": real.isoformat(),
        "app": app_now.isoformat(),
        "offsetSeconds": round((app_now - real).total_seconds(), 3),
    }


def _camel(values: dict[str, Any]) -> dict[str, Any]:
    return {_camel_name(name): value for name, value in values.items()}


def _camel_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.title() for other in others)


def _changed(settings: Settings, data: dict[str, Any]) -> Settings:
    """A copy with the values of `data`, each of the type that it replaces."""
    names = {_camel_name(item.name): item.name for item in fields(settings)}
    changes: dict[str, Any] = {}
    for key, value in data.items():
        if key not in names:
            raise BadInputError(f"{key!r} is unknown: use {', '.join(names)}")
        changes[names[key]] = _like(getattr(settings, names[key]), key, value)
    return replace(settings, **changes)


def _like(old: Any, key: str, value: Any) -> Any:
    if isinstance(old, bool):
        if not isinstance(value, bool):
            raise BadInputError(f"{key} is {value!r}: use true or false")
        return value
    if isinstance(old, tuple):
        if not isinstance(value, list) or not all(isinstance(item, (str, float, int)) for item in value):
            raise BadInputError(f"{key} is {value!r}: use a list")
        return tuple(value)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value < 0:
        raise BadInputError(f"{key} is {value!r}: use a number, 0 or more")
    return float(value)


def _route(path: str, handler: Callable[[Request], Awaitable[Response]], method: str) -> Route:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except AppError as error:
            return JSONResponse({"error": {"code": error.code, "message": error.message}}, error.http_status)

    return Route(path, answer, methods=[method])


def _whole(text: str | None, name: str) -> int:
    if not text:
        return 0
    if not text.isdecimal():
        raise BadInputError(f"{name} is {text!r}: use a whole number")
    return int(text)
