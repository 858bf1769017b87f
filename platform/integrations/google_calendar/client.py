"""Google Calendar v3: the calls that keep a shop's calendar in step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from lead_orchestrator.integrations.google_calendar.errors import GoogleBusy, GoogleGone, GoogleRefused, raise_for
from lead_orchestrator.integrations.google_calendar.models import (
    Busy,
    Channel,
    EventDraft,
    EventPage,
    FreeBusy,
    event_of,
    moment,
)
from lead_orchestrator.integrations.providers import ProviderBusy, ProviderRefused
from lead_orchestrator.integrations.transport import exchange, json_object

__all__ = ["PRIMARY", "GoogleCalendarClient"]

PRIMARY = "primary"
PAGE_LIMIT = 2500
TIMEOUT = 10.0
HTTP_CONFLICT = 409


class GoogleCalendarClient:
    """Works in any account with that account's access token.

    Every method raises AccessExpired (refresh and repeat), GoogleRefused and GoogleBusy. All calls may be made again: an
    event's id is ours, a second insert is told apart, and what is gone already counts as deleted.
    """

    def __init__(self, http: httpx.AsyncClient, base_url: str, *, timeout: float = TIMEOUT) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/") + "/calendar/v3"
        self._timeout = timeout

    async def list_events(
        self,
        access_token: SecretStr,
        calendar_id: str = PRIMARY,
        *,
        sync_token: str | None = None,
        page_token: str | None = None,
        since: datetime | None = None,
        limit: int = PAGE_LIMIT,
    ) -> EventPage:
        """One page: what changed since `sync_token`, else everything that ends after `since`, repeats as single events.

        Raises:
            GoogleGone: the sync token has run out; forget what is mirrored and list everything.
        """
        params = {"singleEvents": "true", "maxResults": str(limit)}
        if sync_token is not None:
            params["syncToken"] = sync_token  # Google refuses timeMin beside it
        elif since is not None:
            params["timeMin"] = _stamp(since)
        if page_token is not None:
            params["pageToken"] = page_token
        answer = await self._ask("GET", _events(calendar_id), access_token, params=params)
        rows, timezone = answer.get("items", []), answer.get("timeZone")
        if not isinstance(rows, list):
            raise GoogleBusy(None, "unreadable")
        zone = timezone if isinstance(timezone, str) else "UTC"
        events = [event for row in rows if (event := event_of(row, zone)) is not None]
        return EventPage(events, _text(answer, "nextPageToken"), _text(answer, "nextSyncToken"))

    async def insert_event(self, access_token: SecretStr, draft: EventDraft, calendar_id: str = PRIMARY) -> bool:
        """Create the event; False when the calendar has had one of this id (409), as after a lost answer."""
        body = {"id": draft.id, **draft.body()}
        response = await self._send("POST", _events(calendar_id), access_token, params=_QUIET, json=body)
        if response.status_code == HTTP_CONFLICT:
            return False
        raise_for(response)
        return True

    async def patch_event(self, access_token: SecretStr, draft: EventDraft, calendar_id: str = PRIMARY) -> bool:
        """Make the event as the draft says, also one that was cancelled; False when there is none."""
        try:
            path = _event(calendar_id, draft.id)
            await self._ask("PATCH", path, access_token, params=_QUIET, json=draft.body())
        except GoogleGone:
            return False
        return True

    async def delete_event(self, access_token: SecretStr, event_id: str, calendar_id: str = PRIMARY) -> bool:
        """Take the event away; False when it was gone."""
        try:
            await self._ask("DELETE", _event(calendar_id, event_id), access_token, params=_QUIET)
        except GoogleGone:
            return False
        return True

    async def free_busy(
        self, access_token: SecretStr, starts_at: datetime, ends_at: datetime, calendar_id: str = PRIMARY
    ) -> FreeBusy:
        """What is taken in a span; a calendar can fail by itself within an answer that succeeds (`error`)."""
        body = {"timeMin": _stamp(starts_at), "timeMax": _stamp(ends_at), "items": [{"id": calendar_id}]}
        answer = await self._ask("POST", "/freeBusy", access_token, json=body)
        calendars = answer.get("calendars")
        found = calendars.get(calendar_id) if isinstance(calendars, dict) else None
        if not isinstance(found, dict):
            return FreeBusy((), "notFound")
        errors = found.get("errors")
        first = errors[0] if isinstance(errors, list) and errors else None
        reason = str(first.get("reason", "unknown")) if isinstance(first, dict) else None
        return FreeBusy(tuple(_spans(found.get("busy"))), reason)

    async def watch(
        self, access_token: SecretStr, *, channel_id: str, token: str, address: str, calendar_id: str = PRIMARY
    ) -> Channel:
        """Have Google post to `address` (https) whenever the calendar changes; `token` comes back with each post."""
        body = {"id": channel_id, "type": "web_hook", "address": address, "token": token}
        answer = await self._ask("POST", _events(calendar_id) + "/watch", access_token, json=body)
        resource = _text(answer, "resourceId")
        if resource is None:
            raise GoogleBusy(None, "unreadable")
        return Channel(channel_id, resource, _unix_ms(answer.get("expiration")))

    async def stop(self, access_token: SecretStr, channel_id: str, resource_id: str) -> None:
        """End a push channel; one that has ended is no error."""
        try:
            await self._ask("POST", "/channels/stop", access_token, json={"id": channel_id, "resourceId": resource_id})
        except GoogleGone:
            return

    async def _ask(self, method: str, path: str, access_token: SecretStr, **request: Any) -> Mapping[str, Any]:
        response = await self._send(method, path, access_token, **request)
        raise_for(response)
        if not response.content:
            return {}
        answer = json_object(response)
        if answer is None:
            raise GoogleBusy(None, "unreadable")
        return answer

    async def _send(self, method: str, path: str, access_token: SecretStr, **request: Any) -> httpx.Response:
        try:
            return await exchange(
                self._http,
                method,
                self._base_url + path,
                timeout=self._timeout,
                sending=False,  # see the class: every call may be made again
                headers={"Authorization": f"Bearer {access_token.get_secret_value()}"},
                **request,
            )
        except ProviderBusy as busy:
            raise GoogleBusy(busy.retry_after, busy.code) from None
        except ProviderRefused as refused:
            raise GoogleRefused(refused.code, refused.message, credentials=refused.credentials) from None


_QUIET = {"sendUpdates": "none"}  # we confirm to the customer ourselves


def _events(calendar_id: str) -> str:
    return f"/calendars/{quote(calendar_id, safe='')}/events"


def _event(calendar_id: str, event_id: str) -> str:
    return f"{_events(calendar_id)}/{quote(event_id, safe='')}"


def _spans(rows: object) -> list[Busy]:
    found = []
    for row in rows if isinstance(rows, list) else []:
        starts_at = moment(row.get("start")) if isinstance(row, dict) else None
        ends_at = moment(row.get("end")) if isinstance(row, dict) else None
        if starts_at and ends_at and starts_at < ends_at:
            found.append(Busy(starts_at, ends_at))
    return found


def _text(answer: Mapping[str, Any], name: str) -> str | None:
    value = answer.get(name)
    return value if isinstance(value, str) and value else None


def _unix_ms(value: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(str(value)) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _stamp(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
