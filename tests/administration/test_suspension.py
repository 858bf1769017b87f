"""A suspended franchise does nothing, loses nothing, and goes on where it stopped."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from datetime import time as clock

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range
from websockets.exceptions import ConnectionClosed

from lead_orchestrator.booking.calendar.models import GoogleCredential
from lead_orchestrator.booking.models import Appointment
from lead_orchestrator.booking.outbox.models import OutboxKind
from lead_orchestrator.booking.outbox.repository import owe
from lead_orchestrator.leads.ingestion import repository as inbox
from lead_orchestrator.leads.ingestion.models import EventSource
from lead_orchestrator.sandbox.seed import SUN_SHADE
from lead_orchestrator.services import token_issuer
from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.subscriptions.client import connected, opened
from tests.messaging.inbound.line import Line
from tests.messaging.leads import make_lead, touches, until
from tests.stack import Stack
from tests.webhooks.server import signed_headers

ACTOR = "user_admin"
WAITS = 30.0


async def suspend(stack: Stack) -> None:
    await stack.services.tenants.suspend(stack.tenant_id, "unpaid", actor=ACTOR)


async def reinstate(stack: Stack) -> None:
    await stack.services.tenants.reinstate(stack.tenant_id, actor=ACTOR)


async def make_due(stack: Stack) -> None:
    async with stack.services.tenancy.write(stack.scope) as session:
        await session.execute(text("UPDATE tenant_crm_configs SET next_poll_at = now() - interval '1 second'"))
        await session.execute(text("UPDATE webhook_events SET next_attempt_at = now() - interval '1 second'"))
        await session.execute(text("UPDATE locations SET crm_calendar_next = now() - interval '1 second'"))


async def test_an_order_is_kept_and_becomes_a_lead_after_reinstatement(stack: Stack) -> None:
    services = stack.services
    quote = await stack.quote()
    await suspend(stack)
    event = {
        "location_id": next(iter(stack.locations.values())),
        "source": EventSource.WEBHOOK,
        "delivery_id": quote["orderId"],
        "change_key": quote["orderId"],
        "operation": "INSERT",
        "external_id": quote["orderId"],
    }
    async with services.tenancy.write(stack.scope) as session:
        event_id = await inbox.store(session, event)
    assert event_id is not None

    assert await services.ingestion.process(stack.tenant_id, event_id) is None
    assert await services.ingestion.sweep(stack.tenant_id) == []
    assert stack.tenant_id not in await services.lookups.due_events()
    assert [row["status"] for row in await stack.rows("SELECT status FROM webhook_events")] == ["RECEIVED"]

    await reinstate(stack)
    assert stack.tenant_id in await services.lookups.due_events()
    [processed] = await services.ingestion.sweep(stack.tenant_id)
    assert processed.enrolled
    await services.dispatcher.dispatch(stack.tenant_id)
    assert len(stack.texts(quote["phone"])) == 1


async def test_shopmonkey_is_not_asked_for_a_suspended_franchise(stack: Stack) -> None:
    services = stack.services
    await suspend(stack)
    await make_due(stack)

    assert stack.tenant_id not in await services.lookups.due_polls()
    assert await services.polling.poll(stack.tenant_id) is None
    assert await services.calendars.crm.sync_due(stack.tenant_id) == 0

    await reinstate(stack)
    await make_due(stack)
    assert await services.polling.poll(stack.tenant_id) is not None
    assert await services.calendars.crm.sync_due(stack.tenant_id) > 0


async def test_what_is_due_waits_and_goes_out_after_reinstatement(stack: Stack) -> None:
    lead = await make_lead(stack)
    await suspend(stack)

    sent = await stack.services.dispatcher.dispatch(stack.tenant_id)

    assert dict(sent.outcomes) == {"DEFERRED": 1}
    assert stack.texts(lead.phone) == []
    [touch] = await touches(stack, lead.id)
    assert touch["decision"] == "Waiting: the franchise is suspended"
    await reinstate(stack)
    await stack.wind(timedelta(hours=1, seconds=1))
    await stack.services.dispatcher.dispatch(stack.tenant_id)
    assert len(stack.texts(lead.phone)) == 1


async def test_nothing_is_told_to_calendars_of_a_suspended_franchise(stack: Stack) -> None:
    calendars = stack.services.calendars
    place = next(iter(stack.locations.values()))
    lead = await make_lead(stack)
    sealed = stack.services.secrets.seal(stack.tenant_id, "google_refresh_token", "1//no-longer-good")
    await suspend(stack)
    async with stack.services.tenancy.write(stack.scope) as session:
        noon = datetime(2030, 3, 1, 20, tzinfo=UTC)
        during = Range(noon, noon + timedelta(hours=1))
        values = {"bay": 1, "during": during, "status": "CONFIRMED", "created_at": noon}
        appointment = Appointment(tenant_id=stack.tenant_id, location_id=place, lead_id=lead.id, **values)
        session.add(appointment)
        await session.flush()
        await owe(session, appointment, [OutboxKind.SHOPMONKEY_APPOINTMENT])
        session.add(
            GoogleCredential(tenant_id=stack.tenant_id, location_id=place, status="ENDING", refresh_token=sealed)
        )

    assert await calendars.outbox.dispatch(stack.tenant_id) == 0
    assert await calendars.google.sync_due(stack.tenant_id) == 0

    await reinstate(stack)
    assert await calendars.outbox.dispatch(stack.tenant_id) == 1
    assert await calendars.google.sync_due(stack.tenant_id) == 1


async def test_an_opt_out_waits_for_nobody(line: Line, stack: Stack) -> None:
    lead = await line.lead()
    await suspend(stack)

    await line.says(lead.phone or "", "STOP")

    [row] = await stack.rows("SELECT status, opted_out FROM leads WHERE id = :id", id=lead.id)
    assert (row["status"], "SMS" in row["opted_out"]) == ("OPTED_OUT", True)
    await reinstate(stack)


async def test_its_tokens_end_and_are_good_again(line: Line, stack: Stack) -> None:
    token = token_issuer(stack.settings).issue(
        subject="somebody", role=Role.OWNER, tenant_id=stack.tenant_id, location_ids=None
    )

    async def asked() -> list[str]:
        headers = {"authorization": f"Bearer {token}"}
        answer = (await line.http.post("/graphql", json={"query": "{ tenant { id } }"}, headers=headers)).json()
        return [error["extensions"]["code"] for error in answer.get("errors", ())]

    async def refused() -> bool:
        return await asked() == ["UNAUTHENTICATED"]

    async def answered() -> bool:
        return await asked() == []

    await until(answered)  # the tests before suspended it as well
    await suspend(stack)
    await until(refused)
    await reinstate(stack)
    await until(answered)


async def test_its_sockets_are_closed_and_open_again_after_reinstatement(line: Line, stack: Stack) -> None:
    token = token_issuer(stack.settings).issue(
        subject="somebody", role=Role.OWNER, tenant_id=stack.tenant_id, location_ids=None
    )

    async def opens() -> bool:
        async with opened(line.url) as peer:
            await peer.say(type="connection_init", payload={"Authorization": f"Bearer {token}"})
            try:
                return bool((await peer.hear(WAITS))["type"] == "connection_ack")
            except ConnectionClosed:
                return False

    await until(opens)  # the tests before suspended it as well
    async with connected(line.url, token) as listening:
        await listening.subscribe()
        await listening.in_step()
        await suspend(stack)
        code, reason = await listening.closed(WAITS)

    assert (code, "revoked" in reason) == (4403, True)
    assert not await opens()
    await reinstate(stack)
    await until(opens)


async def test_a_webhook_is_taken_while_it_is_suspended(line: Line, stack: Stack) -> None:
    await suspend(stack)
    quote = await stack.quote()
    order = {"id": quote["orderId"], "locationId": SUN_SHADE.locations[0].id}
    body = json.dumps({"table": "order", "operation": "INSERT", "data": order}).encode()
    headers = signed_headers(body, SUN_SHADE.shopmonkey_webhook_secret)

    taken = await line.http.post("/webhooks/shopmonkey/order", content=body, headers=headers)

    assert (taken.status_code, taken.json()["result"]) == (202, "received")
    await reinstate(stack)
    assert [one.enrolled for one in await stack.services.ingestion.sweep(stack.tenant_id)] == [True]


async def test_going_live_starts_nothing_for_leads_that_came_before(stack: Stack) -> None:
    tenants = stack.services.tenants
    await tenants.set_demo_mode(stack.tenant_id, enabled=True, allowlist=[], actor=ACTOR)
    lead = await make_lead(stack)
    await stack.services.dispatcher.dispatch(stack.tenant_id)
    await tenants.set_demo_mode(stack.tenant_id, enabled=False, force=True, reason="tests", actor=ACTOR)

    for _ in range(40):
        await stack.wind(timedelta(days=1))
        await stack.services.dispatcher.dispatch(stack.tenant_id)

    assert stack.texts(lead.phone) == []
    assert stack.mails(lead.email) == []
    assert [row["status"] for row in await touches(stack, lead.id)] == ["SUPPRESSED"]


async def test_the_day_s_limit_holds_whoever_sends_at_once(stack: Stack) -> None:
    await stack.local_time(clock(10), days=60)
    [sent] = await stack.rows(
        "SELECT count(*) AS n FROM message_logs WHERE direction = 'OUTBOUND' AND status <> 'NOT_SENT'"
    )
    leads = [await make_lead(stack) for _ in range(9)]
    await stack.services.tenants.set_limits(stack.tenant_id, {"messages_per_day": sent["n"] + 4}, actor=ACTOR)

    await asyncio.gather(*(stack.services.dispatcher.dispatch(stack.tenant_id, lead.id) for lead in leads))

    assert sum(len(stack.texts(lead.phone)) for lead in leads) == 4
    waiting = (
        "SELECT count(*) AS n FROM scheduled_messages WHERE status = 'SCHEDULED' AND decision LIKE '%its limit allows'"
    )
    assert (await stack.rows(waiting))[0]["n"] == 5
    await stack.services.tenants.set_limits(stack.tenant_id, {"messages_per_day": None}, actor=ACTOR)
    await stack.wind(timedelta(days=1))
    for _ in range(3):
        await stack.services.dispatcher.dispatch(stack.tenant_id)
    assert sum(len(stack.texts(lead.phone)) for lead in leads) >= 9
