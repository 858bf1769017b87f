"""The events of a Google calendar: how they are made and changed, what time they take, who hears of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from datetime import time as wall_time
from typing import Any
from zoneinfo import ZoneInfo

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.context import Sandbox
from lead_orchestrator.sandbox.courier import Delivery
from lead_orchestrator.sandbox.google_world import GoogleAccount, PushChannel
from lead_orchestrator.sandbox.world import timestamp

__all__ = ["busy_spans", "changed_event", "ends_after", "new_event", "read_edge", "span_of", "tell_channels"]

DELIVERY_ATTEMPTS = 3
KEPT = ("summary", "description", "start", "end", "status", "transparency", "extendedProperties", "location")
STATUSES = ("confirmed", "tentative", "cancelled")


def new_event(account: GoogleAccount, data: Mapping[str, Any]) -> dict[str, Any]:
    """A whole event of `data`, which has an id; nobody has it yet.

    Raises:
        BadInputError: it has no times, or ends before it begins.
    """
    now = timestamp()
    event = {"kind": "calendar#event", "id": data["id"], "status": "confirmed", "created": now, "updated": now}
    event |= {"creator": {"email": account.email}, "iCalUID": f"{data['id']}@example.com", "transparency": "opaque"}
    return _checked(account, {**event, **{name: data[name] for name in KEPT if data.get(name) is not None}})


def changed_event(account: GoogleAccount, event: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with the changes; one that was cancelled lives again with status confirmed."""
    changes = {name: data[name] for name in KEPT if name in data}
    return _checked(account, {**event, **changes, "updated": timestamp()})


def _checked(account: GoogleAccount, event: dict[str, Any]) -> dict[str, Any]:
    if event["status"] not in STATUSES:
        raise BadInputError(f"Invalid value for status: {event['status']!r}")
    starts_at, ends_at = span_of(event, account)
    if starts_at > ends_at:
        raise BadInputError("The specified time range is empty.")
    return event


def span_of(event: Mapping[str, Any], account: GoogleAccount) -> tuple[datetime, datetime]:
    return read_edge(event.get("start"), account.timezone), read_edge(event.get("end"), account.timezone)


def read_edge(stated: object, timezone: str) -> datetime:
    """The moment of `{dateTime}` or, of a whole day, `{date}`.

    Raises:
        BadInputError: it is neither.
    """
    edge = stated if isinstance(stated, Mapping) else {}
    try:
        if edge.get("date"):
            return datetime.combine(date.fromisoformat(str(edge["date"])), wall_time(), ZoneInfo(timezone))
        moment = datetime.fromisoformat(str(edge.get("dateTime")))
        zone = ZoneInfo(str(edge.get("timeZone") or timezone))
    except (ValueError, OverflowError, OSError, LookupError):
        raise BadInputError(f"Invalid time value: {stated!r}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def ends_after(event: Mapping[str, Any], since: str | None, account: GoogleAccount) -> bool:
    return since is None or span_of(event, account)[1] > read_edge({"dateTime": since}, account.timezone)


def busy_spans(account: GoogleAccount, starts_at: datetime, ends_at: datetime) -> list[dict[str, str]]:
    """What opaque events take of the span; those that meet are one."""
    found: list[tuple[datetime, datetime]] = []
    for begins, ends in sorted(
        span_of(event, account)
        for event in account.events.values()
        if event["status"] != "cancelled" and event["transparency"] == "opaque"
    ):
        begins, ends = max(begins, starts_at), min(ends, ends_at)  # noqa: PLW2901  # cut to the span
        if begins >= ends:
            continue
        if found and begins <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], ends)
        else:
            found.append((begins, ends))
    return [{"start": _stamp(begins), "end": _stamp(ends)} for begins, ends in found]


def tell_channels(
    sandbox: Sandbox, account: GoogleAccount, state: str = "exists", channels: Iterable[PushChannel] | None = None
) -> None:
    """Post to those who listen: no body, no signature; what happened has to be asked."""
    for channel in list(account.channels.values() if channels is None else channels):
        if channel.expires_at <= time.time():
            account.channels.pop(channel.id, None)
            continue
        channel.messages += 1
        headers = _headers(channel, state)
        sandbox.courier.send(Delivery("google_push", state, channel.address, b"", _always(headers), DELIVERY_ATTEMPTS))


def _always(headers: dict[str, str]) -> Callable[[int], dict[str, str]]:
    return lambda _attempt: headers


def _headers(channel: PushChannel, state: str) -> dict[str, str]:
    expires = datetime.fromtimestamp(channel.expires_at, UTC)
    return {
        "X-Goog-Channel-ID": channel.id,
        "X-Goog-Message-Number": str(channel.messages),
        "X-Goog-Resource-ID": channel.resource_id,
        "X-Goog-Resource-State": state,
        "X-Goog-Resource-URI": "https://www.googleapis.com/calendar/v3/calendars/primary/events?alt=json",
        "X-Goog-Channel-Expiration": expires.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        **({"X-Goog-Channel-Token": channel.token} if channel.token else {}),
    }


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
