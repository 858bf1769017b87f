"""Google Calendar v3 as the product meets it: events with sync tokens, free/busy and push channels."""

from __future__ import annotations

import json
import re
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.context import Sandbox, is_web_address, json_object
from lead_orchestrator.sandbox.faults import Fault, FaultReplies, guarded
from lead_orchestrator.sandbox.google_events import (
    busy_spans,
    changed_event,
    ends_after,
    new_event,
    read_edge,
    tell_channels,
)
from lead_orchestrator.sandbox.google_world import GoogleAccount, PushChannel

__all__ = ["GoogleCalendarApi"]

PREFIX = "/calendar/v3"
EVENT_ID = re.compile(r"[a-v0-9]{5,1024}", re.ASCII)
FORBIDDEN_WITH_TOKEN = ("iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty", "timeMin")
MORE_FORBIDDEN = ("timeMax", "updatedMin")
DEFAULT_RESULTS, MOST_RESULTS = 250, 2500
HTTP_REDIRECTS = 300

Handler = Callable[[Request, GoogleAccount], Awaitable[Response]]


class GoogleError(Exception):
    """An answer in Google's error envelope."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message

    def response(self) -> JSONResponse:
        errors = [{"domain": "global", "reason": self.reason, "message": self.message}]
        return JSONResponse(
            {"error": {"errors": errors, "code": self.status, "message": self.message}}, status_code=self.status
        )


def _answers(status: int, reason: str, message: str) -> Callable[[Fault], Response]:
    return lambda _: GoogleError(status, reason, message).response()


class GoogleCalendarApi:
    """The routes under /calendar/v3; the Bearer token decides whose calendar is `primary`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._world = sandbox.world
        self._google = sandbox.world.google
        self._replies = FaultReplies(
            "google",
            {
                "bad_credentials": _answers(401, "authError", "Invalid Credentials"),
                "error_429": _answers(429, "rateLimitExceeded", "Rate Limit Exceeded"),
                "error_500": _answers(500, "backendError", "Backend Error"),
                "rate_limit": _answers(403, "userRateLimitExceeded", "User Rate Limit Exceeded"),
                "sync_expired": _answers(410, "fullSyncRequired", "Sync token is no longer valid."),
            },
            lambda request, response: request.method != "GET" and response.status_code < HTTP_REDIRECTS,
        )

    def routes(self) -> list[BaseRoute]:
        return [
            self._route("/calendars/{calendar}/events", self._list, "GET"),
            self._route("/calendars/{calendar}/events", self._insert, "POST"),
            self._route("/calendars/{calendar}/events/watch", self._watch, "POST"),
            self._route("/calendars/{calendar}/events/{id}", self._get, "GET"),
            self._route("/calendars/{calendar}/events/{id}", self._patch, "PATCH"),
            self._route("/calendars/{calendar}/events/{id}", self._delete, "DELETE"),
            self._route("/freeBusy", self._free_busy, "POST"),
            self._route("/channels/stop", self._stop, "POST"),
        ]

    def _route(self, path: str, handler: Handler, method: str) -> Route:
        async def answer(request: Request) -> Response:
            try:
                account = self._account(request)
                if request.path_params.get("calendar", "primary") not in ("primary", account.email):
                    raise GoogleError(404, "notFound", "Not Found")
                return await handler(request, account)
            except GoogleError as error:
                return error.response()
            except BadInputError as error:
                return GoogleError(400, "invalid", error.message).response()

        return Route(PREFIX + path, guarded(self._world.faults, self._replies, answer), methods=[method])

    def _account(self, request: Request) -> GoogleAccount:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        account = self._google.account_of(token) if scheme.lower() == "bearer" else None
        if account is None:
            raise GoogleError(401, "authError", "Invalid Credentials")
        return account

    async def _list(self, request: Request, account: GoogleAccount) -> Response:
        """Changes in the order of their versions; a page token carries what it is a page of."""
        query = request.query_params
        limit = max(1, min(_whole(query.get("maxResults"), DEFAULT_RESULTS), MOST_RESULTS))
        asked = _asked(query, account)
        found = _changes(account, asked)
        page, rest = found[:limit], found[limit:]
        body: dict[str, Any] = {
            "kind": "calendar#events",
            "summary": account.email,
            "timeZone": account.timezone,
            "items": [event for _, event in page],
        }
        if rest:
            body["nextPageToken"] = _sealed("page", {**asked, "after": page[-1][0]})
        else:
            body["nextSyncToken"] = _sealed("sync", {"version": asked["until"]})
        return JSONResponse(body)

    async def _get(self, request: Request, account: GoogleAccount) -> Response:
        return JSONResponse(_find(request, account))

    async def _insert(self, request: Request, account: GoogleAccount) -> Response:
        data = await json_object(request)
        event_id = data.get("id", secrets.token_hex(13))
        if not isinstance(event_id, str) or not EVENT_ID.fullmatch(event_id):
            raise GoogleError(400, "invalid", "Invalid resource id value.")
        if event_id in account.events:  # also one that was cancelled
            raise GoogleError(409, "duplicate", "The requested identifier already exists.")
        event = new_event(account, {**data, "id": event_id})
        self._stored(account, event)
        return JSONResponse(event)

    async def _patch(self, request: Request, account: GoogleAccount) -> Response:
        event = changed_event(account, _find(request, account), await json_object(request))
        self._stored(account, event)
        return JSONResponse(event)

    async def _delete(self, request: Request, account: GoogleAccount) -> Response:
        event = _find(request, account)
        if event["status"] == "cancelled":
            raise GoogleError(410, "deleted", "Resource has been deleted")
        self._stored(account, changed_event(account, event, {"status": "cancelled"}))
        return Response(status_code=204)

    def _stored(self, account: GoogleAccount, event: dict[str, Any]) -> None:
        account.store(event)
        tell_channels(self._sandbox, account)

    async def _free_busy(self, request: Request, account: GoogleAccount) -> Response:
        data = await json_object(request)
        starts_at, ends_at = (
            read_edge({"dateTime": data.get(name)}, account.timezone) for name in ("timeMin", "timeMax")
        )
        items = data.get("items")
        if not isinstance(items, list) or starts_at >= ends_at:
            raise BadInputError("items is missing, or timeMin is not before timeMax")
        broken = self._world.faults.strike("google", ("free_busy_error",), "POST /calendar/v3/freeBusy")
        calendars: dict[str, Any] = {}
        for item in items:
            name = str(item.get("id")) if isinstance(item, Mapping) else ""
            if broken or name not in ("primary", account.email):
                reason = "internalError" if broken else "notFound"
                calendars[name] = {"errors": [{"domain": "global", "reason": reason}], "busy": []}
            else:
                calendars[name] = {"busy": busy_spans(account, starts_at, ends_at)}
        return JSONResponse({"kind": "calendar#freeBusy", "calendars": calendars})

    async def _watch(self, request: Request, account: GoogleAccount) -> Response:
        """Google wants https; the sandbox takes a loopback http address too."""
        data = await json_object(request)
        channel_id, address = data.get("id"), data.get("address")
        if data.get("type") != "web_hook" or not isinstance(channel_id, str) or not channel_id:
            raise BadInputError("type must be web_hook, and id a text")
        if not is_web_address(address):
            raise GoogleError(400, "push.webhookUrlNotHttps", f"WebHook callback must be HTTPS: {address}")
        if channel_id in account.channels:
            raise GoogleError(400, "channelIdNotUnique", f"Channel id {channel_id} not unique")
        channel = PushChannel(
            channel_id, uuid.uuid4().hex, str(address), data.get("token"), time.time() + self._google.channel_life
        )
        account.channels[channel_id] = channel
        tell_channels(self._sandbox, account, "sync", [channel])
        answer = {"kind": "api#channel", "id": channel_id, "resourceId": channel.resource_id, "token": channel.token}
        return JSONResponse({**answer, "expiration": str(round(channel.expires_at * 1000))})

    async def _stop(self, request: Request, account: GoogleAccount) -> Response:
        data = await json_object(request)
        channel = account.channels.get(str(data.get("id")))
        if channel is None or channel.resource_id != data.get("resourceId"):
            raise GoogleError(404, "notFound", "Channel not found")
        del account.channels[channel.id]
        return Response(status_code=204)


def _asked(query: Mapping[str, str], account: GoogleAccount) -> dict[str, Any]:
    """What a list is about: from a page token, a sync token or the whole calendar."""
    sync, page = query.get("syncToken"), query.get("pageToken")
    if sync and any(name in query for name in (*FORBIDDEN_WITH_TOKEN, *MORE_FORBIDDEN)):
        raise GoogleError(400, "invalid", "Sync token cannot be used with other query restrictions.")
    if page:
        return _opened("page", page)
    if not sync:
        since = query.get("timeMin")
        if since is not None:
            read_edge({"dateTime": since}, account.timezone)
        return {"after": 0, "until": account.version, "timeMin": since, "deleted": query.get("showDeleted") == "true"}
    if query.get("showDeleted") == "false":
        raise GoogleError(400, "invalid", "showDeleted must be true with a sync token.")
    version = _opened("sync", sync).get("version")
    if not isinstance(version, int) or version < account.oldest_version:
        raise GoogleError(410, "fullSyncRequired", "Sync token is no longer valid, a full sync is required.")
    return {"after": version, "until": account.version, "timeMin": None, "deleted": True}


def _changes(account: GoogleAccount, asked: Mapping[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    found = [
        (version, account.events[event_id])
        for event_id, version in account.versions.items()
        if asked["after"] < version <= asked["until"]
    ]
    kept = [
        (version, event)
        for version, event in found
        if (asked["deleted"] or event["status"] != "cancelled") and ends_after(event, asked["timeMin"], account)
    ]
    return sorted(kept, key=lambda pair: pair[0])


def _find(request: Request, account: GoogleAccount) -> dict[str, Any]:
    event = account.events.get(request.path_params["id"])
    if event is None:
        raise GoogleError(404, "notFound", "Not Found")
    return event


def _sealed(kind: str, content: Mapping[str, Any]) -> str:
    return f"{kind}.{json.dumps(content).encode().hex()}"


def _opened(kind: str, token: str) -> dict[str, Any]:
    stated, _, content = token.partition(".")
    try:
        opened = json.loads(bytes.fromhex(content)) if stated == kind else None
    except ValueError:
        opened = None
    if not isinstance(opened, dict):
        raise GoogleError(400, "invalid", f"Invalid {kind} token value.")
    return opened


def _whole(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isdecimal():
        raise GoogleError(400, "invalidParameter", f"Invalid integer value: {text!r}")
    return int(text)
