"""What stands in the calendars outside is busy here, and our own appointments are not."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from lead_orchestrator.booking.calendar import repository
from lead_orchestrator.booking.slots import Busy
from tests.booking.calendar.shop import HOUR, Shop
from tests.sandbox.google import ACCOUNT
from tests.serving import serving
from tests.stack import Stack


def whole(starts_at: datetime) -> Busy:
    return Busy(starts_at, starts_at + HOUR, None)


async def test_events_are_busy_until_they_move_or_go(shop: Shop, stack: Stack) -> None:
    noon = shop.noon
    moved, gone = await shop.event(noon), await shop.event(noon + 3 * HOUR)
    await shop.event(noon + 5 * HOUR, transparency="transparent")
    await shop.connect()
    await shop.sync()
    assert await shop.busy() == [whole(noon), whole(noon + 3 * HOUR)]

    edges = {"start": {"dateTime": (noon + HOUR).isoformat()}, "end": {"dateTime": (noon + 2 * HOUR).isoformat()}}
    shop.account.store({**shop.account.events[moved], **edges})
    await stack.http.delete(f"{stack.sandbox.url}/calendars/{ACCOUNT}/events/{gone}")
    await shop.sync()

    assert await shop.busy() == [whole(noon + HOUR)]


async def test_a_sync_token_that_ran_out_means_reading_everything(shop: Shop, stack: Stack) -> None:
    noon = shop.noon
    gone = await shop.event(noon)
    await shop.connect()
    await shop.sync()
    await stack.http.delete(f"{stack.sandbox.url}/calendars/{ACCOUNT}/events/{gone}")
    await shop.event(noon + 2 * HOUR)
    await stack.http.post(f"{stack.sandbox.url}/calendars/{ACCOUNT}/expire")

    await shop.sync()

    assert await shop.busy() == [whole(noon + 2 * HOUR)]


async def test_a_token_that_ran_out_is_renewed(shop: Shop, stack: Stack) -> None:
    await shop.connect()
    for token, (grant, _) in list(stack.world.google.access.items()):
        stack.world.google.access[token] = grant, 0.0
    await shop.event(shop.noon)

    await shop.sync()

    assert await shop.busy() == [whole(shop.noon)]


async def test_a_revoked_permission_is_shown_and_a_new_one_mends_it(shop: Shop, stack: Stack) -> None:
    await shop.connect()
    await shop.sync()
    await stack.http.post(f"{stack.sandbox.url}/calendars/{ACCOUNT}/revoke")

    await shop.sync()

    row = await shop.connection()
    assert row is not None
    assert (row["status"], row["error"]) == (
        "DISCONNECTED",
        "Google no longer accepts the permission: connect the calendar again",
    )
    assert (await stack.rows("SELECT bool_or(calendar_connected) AS any FROM locations"))[0]["any"] is False
    made = await shop.book(shop.noon)
    await stack.services.calendars.outbox.dispatch(stack.tenant_id)
    assert shop.account.events == {}

    await shop.connect()
    await shop.sync()
    await stack.services.calendars.outbox.dispatch(stack.tenant_id)
    row = await shop.connection()
    assert row is not None
    assert (row["status"], row["error"]) == ("CONNECTED", None)
    assert list(shop.account.events) == [made.hex]


async def test_trouble_that_lasts_is_shown_and_passes(shop: Shop, stack: Stack) -> None:
    await shop.connect()
    await stack.fault("google", "error_500", count=3)
    states = []
    for _ in range(4):
        await shop.sync()
        row = await shop.connection()
        assert row is not None
        states.append((row["status"], row["error"]))

    assert states == [
        ("CONNECTED", None),
        ("CONNECTED", None),
        ("ERROR", "Google cannot be asked (http_500)"),
        ("CONNECTED", None),
    ]


async def test_our_own_events_are_not_busy_but_a_copy_is(shop: Shop, stack: Stack) -> None:
    await shop.connect()
    made = await shop.book(shop.noon)
    await stack.services.calendars.outbox.dispatch(stack.tenant_id)
    await shop.sync()
    assert await shop.busy(made) == []

    await shop.event(shop.noon, extendedProperties={"private": {"appointmentId": f"appt_{made}"}})
    await shop.sync()

    assert await shop.busy(made) == [whole(shop.noon)]


async def test_what_is_read_while_the_calendar_is_disconnected_is_not_kept(shop: Shop, stack: Stack) -> None:
    await shop.event(shop.noon)
    await shop.connect()
    calendars = stack.services.calendars
    async with stack.services.tenancy.write(stack.scope) as session:
        claimed = await repository.claim_due(session, timedelta(minutes=1), 1)
    async with stack.services.tenancy.write(stack.scope) as session:
        await calendars.connections.disconnect(session, shop.location_id)

    await calendars.google.sync(stack.scope, claimed[0])

    assert await shop.busy() == []


async def test_google_tells_of_a_change_and_it_is_read(shop: Shop, stack: Stack) -> None:
    await shop.connect()
    await shop.sync()
    [channel] = shop.account.channels.values()
    await shop.event(shop.noon)
    told = {"X-Goog-Channel-ID": channel.id, "X-Goog-Channel-Token": str(channel.token)}

    async with serving(stack.settings) as api:
        path = "/webhooks/google/calendar"
        forged = await api.post(path, headers={**told, "X-Goog-Channel-Token": "x" * 64})
        await stack.services.calendars.google.sync_due(stack.tenant_id)
        assert (forged.status_code, await shop.busy()) == (401, [])
        heard = await api.post(path, headers={**told, "X-Goog-Resource-State": "exists"})

    await stack.services.calendars.google.sync_due(stack.tenant_id)
    assert heard.status_code == 204
    assert await shop.busy() == [whole(shop.noon)]


async def test_a_channel_is_renewed_before_it_ends(shop: Shop, stack: Stack) -> None:
    stack.world.google.channel_life = 3600.0
    await shop.connect()
    await shop.sync()
    [first] = shop.account.channels
    stack.world.google.channel_life = 7 * 86_400.0

    await shop.sync()
    [second] = shop.account.channels
    await shop.sync()

    assert first != second
    assert list(shop.account.channels) == [second]


async def test_an_old_mirror_is_not_trusted_with_a_confirmation(shop: Shop, stack: Stack) -> None:
    await shop.connect()
    await shop.sync()
    await shop.event(shop.noon)
    freshness = stack.services.calendars.freshness

    await freshness.ensure(stack.scope, shop.location_id, shop.noon, shop.noon + HOUR)
    assert await shop.busy() == []
    async with stack.services.tenancy.write(stack.scope) as session:
        await session.execute(text("UPDATE google_credentials SET synced_at = now() - interval '10 minutes'"))
    await freshness.ensure(stack.scope, shop.location_id, shop.noon, shop.noon + HOUR)

    assert await shop.busy() == [whole(shop.noon)]


@pytest.mark.parametrize("kind", ["error_500", "drop", "free_busy_error"])
async def test_a_confirmation_does_not_wait_for_a_google_that_fails(shop: Shop, stack: Stack, kind: str) -> None:
    await shop.connect()
    await stack.fault("google", kind)

    await stack.services.calendars.freshness.ensure(stack.scope, shop.location_id, shop.noon, shop.noon + HOUR)


async def test_what_the_shop_books_in_shopmonkey_takes_a_free_bay(shop: Shop, stack: Stack) -> None:
    noon, day = shop.noon, timedelta(days=1)
    async with stack.services.tenancy.write(stack.scope) as session:
        await session.execute(text("UPDATE locations SET bays = 3"))
    await shop.book(noon, bay=1)
    await shop.by_the_shop(noon, rruleset="FREQ=DAILY;COUNT=2")
    await shop.by_the_shop(noon)

    await shop.sync()

    expected = [(noon, 1), (noon, 2), (noon, 3), (noon + day, 1)]
    assert [(one.starts_at, one.bay) for one in await shop.busy()] == expected


async def test_an_appointment_made_in_shopmonkey_ends_the_touches_of_its_lead(shop: Shop, stack: Stack) -> None:
    stack.world.quirks.unstable_lists = False
    for number in range(3):
        await stack.quote(firstName=f"Ada{number}")
    await stack.services.polling.poll(stack.tenant_id)
    await stack.services.ingestion.sweep(stack.tenant_id)
    by_order, by_customer, _ = list(shop.company.orders.values())
    await shop.by_the_shop(shop.noon, orderId=by_order["id"])
    await shop.by_the_shop(shop.noon, customerId=by_customer["customerId"])

    await shop.sync()

    rows = await stack.rows(
        "SELECT l.status, count(*) FILTER (WHERE m.status = 'SCHEDULED') AS open FROM leads l"
        " LEFT JOIN scheduled_messages m ON m.tenant_id = l.tenant_id AND m.lead_id = l.id AND m.kind = 'TOUCH'"
        " GROUP BY l.id, l.status ORDER BY l.status"
    )
    assert [(row["status"], row["open"]) for row in rows] == [("BOOKED", 0), ("BOOKED", 0), ("NEW", 1)]


async def test_our_own_appointments_in_shopmonkey_are_not_busy(shop: Shop, stack: Stack) -> None:
    made = await shop.book(shop.noon)
    await stack.services.calendars.outbox.dispatch(stack.tenant_id)
    assert len(shop.company.appointments) == 1

    await shop.sync()

    assert await shop.busy(made) == []
