"""What people do in their calendars: the control API and the forms of the page."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from lead_orchestrator.errors import AppError, BadInputError, NotFoundError
from lead_orchestrator.sandbox.context import Sandbox, json_object
from lead_orchestrator.sandbox.google_events import changed_event, new_event, tell_channels
from lead_orchestrator.sandbox.google_world import GoogleAccount
from lead_orchestrator.sandbox.shopmonkey_appointments import new_appointment, shown

__all__ = ["CalendarsApi"]


class CalendarsApi:
    """/calendars, /calendars/{account}/… and /appointments in JSON; the forms under /calendar."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._world = sandbox.world
        self._google = sandbox.world.google

    def routes(self) -> list[BaseRoute]:
        return [
            _route("/calendars", self._list, "GET"),
            _route("/calendars/{account}/events", self._add_event, "POST"),
            _route("/calendars/{account}/events/{id}", self._remove_event, "DELETE"),
            _route("/calendars/{account}/revoke", self._revoke, "POST"),
            _route("/calendars/{account}/expire", self._expire, "POST"),
            _route("/appointments", self._appointments, "GET"),
            _route("/appointments", self._add_appointment, "POST"),
            _route("/calendar/events", self._form_event, "POST"),
            _route("/calendar/revoke", self._form_revoke, "POST"),
        ]

    async def _list(self, _: Request) -> Response:
        found = [
            {
                "account": account.email,
                "company": account.company,
                "timezone": account.timezone,
                "events": list(account.events.values()),
                "channels": len(account.channels),
                "grants": sum(
                    not grant.revoked for grant in self._google.grants.values() if grant.email == account.email
                ),
            }
            for account in self._google.accounts.values()
        ]
        return JSONResponse({"calendars": found})

    async def _add_event(self, request: Request) -> Response:
        return JSONResponse(self._put(self._account(request), await json_object(request)), 201)

    async def _remove_event(self, request: Request) -> Response:
        account, event_id = self._account(request), request.path_params["id"]
        if event_id not in account.events:
            raise NotFoundError(f"event {event_id!r} is unknown")
        account.store(changed_event(account, account.events[event_id], {"status": "cancelled"}))
        tell_channels(self._sandbox, account)
        return JSONResponse(account.events[event_id])

    async def _revoke(self, request: Request) -> Response:
        return JSONResponse({"revoked": self._google.revoke(self._account(request).email)})

    async def _expire(self, request: Request) -> Response:
        self._account(request).expire_sync_tokens()
        return JSONResponse({"ok": True})

    async def _appointments(self, request: Request) -> Response:
        company = request.query_params.get("company")
        rows = [
            {**shown(row), "company": one.name}
            for one in self._world.companies.values()
            for row in one.appointments.values()
            if company in (None, one.name)
        ]
        return JSONResponse({"appointments": rows, "count": len(rows)})

    async def _add_appointment(self, request: Request) -> Response:
        data = await json_object(request)
        company = self._world.company_of_location(str(data.get("locationId")))
        if company is None:
            raise BadInputError(f"locationId {data.get('locationId')!r} is unknown: GET /locations names them")
        return JSONResponse(shown(new_appointment(self._world, company, {"color": "green", **data})), 201)

    async def _form_event(self, request: Request) -> Response:
        form = await _form(request)
        account = self._known(form.get("account", ""))
        edges = {name: {"dateTime": form.get(name, ""), "timeZone": account.timezone} for name in ("start", "end")}
        self._put(account, {"summary": form.get("summary", ""), **edges})
        return RedirectResponse("/calendar", 303)

    async def _form_revoke(self, request: Request) -> Response:
        self._google.revoke(self._known((await _form(request)).get("account", "")).email)
        return RedirectResponse("/calendar", 303)

    def _put(self, account: GoogleAccount, data: Mapping[str, Any]) -> dict[str, Any]:
        event = new_event(account, {**data, "id": secrets.token_hex(13)})
        account.store(event)
        tell_channels(self._sandbox, account)
        return event

    def _account(self, request: Request) -> GoogleAccount:
        return self._known(request.path_params["account"])

    def _known(self, email: str) -> GoogleAccount:
        account = self._google.accounts.get(email)
        if account is None:
            raise NotFoundError(f"account {email!r} is unknown: GET /calendars names them")
        return account


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))


def _route(path: str, handler: Callable[[Request], Awaitable[Response]], method: str) -> Route:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except AppError as error:
            return JSONResponse({"error": {"code": error.code, "message": error.message}}, error.http_status)

    return Route(path, answer, methods=[method])
