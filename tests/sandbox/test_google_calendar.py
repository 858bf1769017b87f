from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from lead_orchestrator.integrations.google_calendar.client import GoogleCalendarClient
from lead_orchestrator.integrations.google_calendar.errors import AccessExpired, GoogleBusy, GoogleGone, GoogleRefused
from lead_orchestrator.integrations.google_calendar.models import Busy, CalendarEvent, EventDraft
from lead_orchestrator.integrations.google_calendar.oauth import GoogleOAuth
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.sandbox.world import World
from tests.sandbox.google import ACCOUNT, APP, connected
from tests.sandbox.receiver import Receiver

NINE = datetime(2026, 12, 1, 17, tzinfo=UTC)  # 9:00 in Los Angeles
HOUR = timedelta(hours=1)


def draft(starts_at: datetime = NINE, event_id: str | None = None, **changes: Any) -> EventDraft:
    named = {"summary": "Window tint", "description": "Sedan", "timezone": "America/Los_Angeles", "ours": "appt_1"}
    return EventDraft(id=event_id or uuid4().hex, starts_at=starts_at, ends_at=starts_at + HOUR, **{**named, **changes})


@pytest.fixture
def google(client: httpx.AsyncClient, server: SandboxServer) -> GoogleCalendarClient:
    return GoogleCalendarClient(client, server.google_url)


@pytest.fixture
async def access(client: httpx.AsyncClient, server: SandboxServer) -> SecretStr:
    return (await connected(client, GoogleOAuth(client, APP, server.google_url))).access_token


async def appears(client: httpx.AsyncClient, **changes: Any) -> str:
    """A person puts an event from nine to ten into the calendar; its id."""
    edges = {"start": {"dateTime": "2026-12-01T09:00:00-08:00"}, "end": {"dateTime": "2026-12-01T10:00:00-08:00"}}
    answer = await client.post(f"/calendars/{ACCOUNT}/events", json={"summary": "Dentist", **edges, **changes})
    assert answer.status_code == 201
    return str(answer.json()["id"])


async def test_an_event_is_made_once_under_our_id(
    google: GoogleCalendarClient, access: SecretStr, world: World
) -> None:
    event = draft()

    made = [await google.insert_event(access, event), await google.insert_event(access, event)]

    assert made == [True, False]
    stored = world.google.accounts[ACCOUNT].events
    assert [row["summary"] for row in stored.values()] == ["Window tint"]
    assert stored[event.id]["start"] == {"dateTime": "2026-12-01T17:00:00Z", "timeZone": "America/Los_Angeles"}


async def test_an_event_of_a_lost_reply_is_there_and_a_repetition_says_so(
    client: httpx.AsyncClient, google: GoogleCalendarClient, access: SecretStr, world: World
) -> None:
    await client.post("/faults", json={"service": "google", "kind": "accept_then_drop", "count": 1})
    event = draft()

    with pytest.raises(GoogleBusy):
        await google.insert_event(access, event)

    assert await google.insert_event(access, event) is False
    assert list(world.google.accounts[ACCOUNT].events) == [event.id]


async def test_a_deleted_event_keeps_its_id_and_a_patch_brings_it_back(
    google: GoogleCalendarClient, access: SecretStr, world: World
) -> None:
    event = draft()
    await google.insert_event(access, event)

    deleted = [await google.delete_event(access, event.id) for _ in range(2)]

    assert deleted == [True, False]
    assert await google.insert_event(access, event) is False
    assert await google.patch_event(access, event) is True
    assert world.google.accounts[ACCOUNT].events[event.id]["status"] == "confirmed"


async def test_what_was_never_there_is_neither_changed_nor_deleted(
    google: GoogleCalendarClient, access: SecretStr
) -> None:
    assert await google.patch_event(access, draft()) is False
    assert await google.delete_event(access, uuid4().hex) is False


async def test_an_id_outside_googles_alphabet_is_refused(google: GoogleCalendarClient, access: SecretStr) -> None:
    with pytest.raises(GoogleRefused):
        await google.insert_event(access, draft(event_id="appt_xyz"))


async def test_a_calendar_is_read_page_by_page_and_then_by_its_changes(
    client: httpx.AsyncClient, google: GoogleCalendarClient, access: SecretStr
) -> None:
    for hour in range(5):
        await google.insert_event(access, draft(NINE + hour * HOUR))
    found: list[CalendarEvent] = []
    page = await google.list_events(access, limit=2)
    while page.next_page:
        found += page.events
        assert page.sync_token is None
        page = await google.list_events(access, page_token=page.next_page, limit=2)
    found += page.events
    assert len({event.id for event in found}) == len(found) == 5

    theirs = await appears(client)
    await google.delete_event(access, found[0].id)
    changes = await google.list_events(access, sync_token=page.sync_token)

    assert list(changes.events) == [
        CalendarEvent(theirs, cancelled=False, busy=Busy(NINE, NINE + HOUR)),
        CalendarEvent(found[0].id, cancelled=True, busy=None, ours="appt_1"),
    ]
    assert (await google.list_events(access, sync_token=changes.sync_token)).events == []


async def test_changes_while_pages_are_read_come_with_the_next_sync(
    client: httpx.AsyncClient, google: GoogleCalendarClient, access: SecretStr
) -> None:
    for hour in range(3):
        await google.insert_event(access, draft(NINE + hour * HOUR))
    first = await google.list_events(access, limit=2)
    late = await appears(client)

    last = await google.list_events(access, page_token=first.next_page, limit=2)

    assert len(first.events) + len(last.events) == 3
    assert [event.id for event in (await google.list_events(access, sync_token=last.sync_token)).events] == [late]


async def test_a_sync_token_that_ran_out_is_gone(
    client: httpx.AsyncClient, google: GoogleCalendarClient, access: SecretStr
) -> None:
    token = (await google.list_events(access)).sync_token
    await client.post(f"/calendars/{ACCOUNT}/expire")

    with pytest.raises(GoogleGone):
        await google.list_events(access, sync_token=token)

    assert (await google.list_events(access)).sync_token is not None


async def test_a_sync_token_takes_no_filter(client: httpx.AsyncClient, access: SecretStr) -> None:
    headers = {"Authorization": f"Bearer {access.get_secret_value()}"}
    query = {"syncToken": "sync.7b7d", "timeMin": "2026-12-01T00:00:00Z"}

    answer = await client.get("/google/calendar/v3/calendars/primary/events", params=query, headers=headers)

    assert answer.status_code == 400


async def test_free_events_take_no_time_and_whole_days_all_of_it(
    client: httpx.AsyncClient, google: GoogleCalendarClient, access: SecretStr
) -> None:
    await appears(client, transparency="transparent")
    await appears(client, start={"date": "2026-12-03"}, end={"date": "2026-12-04"})

    busy = [event.busy for event in (await google.list_events(access)).events]

    day = datetime(2026, 12, 3, 8, tzinfo=UTC)
    assert busy == [None, Busy(day, day + timedelta(days=1))]
    assert (await google.free_busy(access, NINE, NINE + timedelta(days=7))).busy == (Busy(day, day + 24 * HOUR),)


async def test_only_what_ends_after_the_given_moment_is_listed(google: GoogleCalendarClient, access: SecretStr) -> None:
    await google.insert_event(access, draft(NINE - timedelta(days=30)))
    await google.insert_event(access, draft())

    assert [event.busy for event in (await google.list_events(access, since=NINE)).events] == [Busy(NINE, NINE + HOUR)]


async def test_free_busy_tells_what_one_calendar_refuses(
    client: httpx.AsyncClient, google: GoogleCalendarClient, access: SecretStr
) -> None:
    assert (await google.free_busy(access, NINE, NINE + HOUR, "other@example.com")).error == "notFound"
    await client.post("/faults", json={"service": "google", "kind": "free_busy_error", "count": 1})
    assert (await google.free_busy(access, NINE, NINE + HOUR)).error == "internalError"
    assert (await google.free_busy(access, NINE, NINE + HOUR)).error is None


@pytest.mark.parametrize(
    ("kind", "error"), [("rate_limit", GoogleBusy), ("error_429", GoogleBusy), ("bad_credentials", AccessExpired)]
)
async def test_faults_are_told_apart(
    client: httpx.AsyncClient, google: GoogleCalendarClient, access: SecretStr, kind: str, error: type[Exception]
) -> None:
    await client.post("/faults", json={"service": "google", "kind": kind, "count": 1})

    with pytest.raises(error):
        await google.list_events(access)


async def test_an_access_token_runs_out(google: GoogleCalendarClient, access: SecretStr, world: World) -> None:
    grant, _ = world.google.access[access.get_secret_value()]
    world.google.access[access.get_secret_value()] = grant, 0.0

    with pytest.raises(AccessExpired):
        await google.list_events(access)


async def test_a_channel_is_told_of_changes_until_it_is_stopped(
    client: httpx.AsyncClient,
    google: GoogleCalendarClient,
    access: SecretStr,
    receiver: Receiver,
    server: SandboxServer,
) -> None:
    address = f"{receiver.url}/webhooks/google/calendar"
    channel = await google.watch(access, channel_id="c-1", token="secret-1", address=address)
    await appears(client)
    await server.sandbox.courier.idle()
    await google.stop(access, channel.id, channel.resource_id)
    await google.stop(access, channel.id, channel.resource_id)
    await appears(client)
    await server.sandbox.courier.idle()

    told = [(post.headers["x-goog-resource-state"], post.headers["x-goog-channel-token"]) for post in receiver.received]
    assert sorted(told) == [("exists", "secret-1"), ("sync", "secret-1")]
    assert [post.body for post in receiver.received] == [b"", b""]
    assert channel.expires_at is not None
    assert timedelta(days=6) < channel.expires_at - datetime.now(UTC) < timedelta(days=8)


async def test_the_page_shows_events_and_puts_new_ones_in(client: httpx.AsyncClient, world: World) -> None:
    form = {"account": ACCOUNT, "summary": "<b>Dentist</b>", "start": "2026-12-01T09:00", "end": "2026-12-01T10:00"}

    answer = await client.post("/calendar/events", data=form, follow_redirects=True)

    assert "&lt;b&gt;Dentist&lt;/b&gt;" in answer.text
    assert "Tue 01 Dec 2026 09:00 to 10:00 PST" in answer.text
    assert len(world.google.accounts[ACCOUNT].events) == 1
