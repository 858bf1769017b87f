"""Each check of a franchise's readiness is about one thing, and says what is missing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from lead_orchestrator.administration.readiness import Check, readiness
from lead_orchestrator.db import database_url
from lead_orchestrator.sandbox.seed import SUN_SHADE
from lead_orchestrator.tenancy.sessions import ReadSession
from tests.messaging.inbound.line import Line
from tests.messaging.leads import make_lead
from tests.stack import Stack
from tests.webhooks.server import signed_headers

ONE = "(SELECT min(id::text)::uuid FROM locations)"
READY = (
    """INSERT INTO location_hours (tenant_id, location_id, day_of_week, opens_at, closes_at)
       SELECT tenant_id, id, 1, '09:00', '17:00' FROM locations""",
    """INSERT INTO service_catalog (tenant_id, location_id, name, duration_minutes, duration_is_set)
       SELECT tenant_id, id, 'Film', 60, true FROM locations""",
    """INSERT INTO google_credentials (tenant_id, location_id, status, refresh_token)
       SELECT tenant_id, id, 'CONNECTED', 'sealed' FROM locations""",
    "UPDATE tenant_messaging_configs SET sms_checked_at = now(), email_checked_at = now()",
)
"""What nobody has seen to yet in the franchise of the tests."""
BREAKS: Mapping[str, str] = {
    "shopmonkey_key": "UPDATE tenant_crm_configs SET api_key = NULL",
    "locations_claimed": "UPDATE locations SET shopmonkey_location_id = NULL WHERE id = ONE",
    "webhook_secret": "UPDATE tenant_crm_configs SET webhook_secret = NULL",
    "webhook_received": "UPDATE webhook_events SET source = 'shopmonkey_poll'",
    "sms_sender": "UPDATE tenant_messaging_configs SET twilio_auth_token = NULL",
    "sms_registered": "UPDATE tenant_messaging_configs SET sms_checked_at = NULL",
    "sms_accepted": "UPDATE tenant_messaging_configs SET sms_refused = 'no such account'",
    "test_text_sent": "UPDATE message_logs SET provider_message_id = NULL",
    "mail_sender": "UPDATE tenant_messaging_configs SET sendgrid_from_email = NULL",
    "mail_registered": "UPDATE tenant_messaging_configs SET email_checked_at = NULL",
    "mail_accepted": "UPDATE tenant_messaging_configs SET email_refused = 'no such account'",
    "opening_hours": "DELETE FROM location_hours WHERE location_id = ONE",
    "catalog": "DELETE FROM service_catalog WHERE location_id = ONE",
    "service_durations": "UPDATE service_catalog SET duration_is_set = false WHERE location_id = ONE",
    "calendar": "UPDATE google_credentials SET status = 'DISCONNECTED' WHERE location_id = ONE",
}
"""By what alone each check fails."""
OPTIONAL = {"mail_sender", "mail_registered", "mail_accepted", "service_durations", "calendar", "live"}


@pytest_asyncio.fixture(scope="module")
async def used(line: Line) -> AsyncIterator[Stack]:
    """ShopMonkey has told of an order, and somebody was texted."""
    stack = line.stack
    quote = await stack.quote()
    order = {"id": quote["orderId"], "locationId": SUN_SHADE.locations[0].id}
    body = json.dumps({"table": "order", "operation": "INSERT", "data": order}).encode()
    headers = signed_headers(body, SUN_SHADE.shopmonkey_webhook_secret)
    assert (await line.http.post("/webhooks/shopmonkey/order", content=body, headers=headers)).status_code == 202
    lead = await make_lead(stack)
    await stack.services.dispatcher.dispatch(stack.tenant_id)
    assert stack.texts(lead.phone)
    yield stack


async def checks(stack: Stack, *statements: str, demo_mode: bool = False) -> Mapping[str, Check]:
    """What is ready after these statements, which are undone."""
    engine = create_async_engine(database_url(stack.database.admin_url))
    async with engine.connect() as connection:
        for statement in (*READY, *statements):
            await connection.execute(text(statement))
        async with ReadSession(connection, expire_on_commit=False) as session:
            session.scope = stack.scope
            found = await readiness(session, demo_mode=demo_mode)
        await connection.rollback()
    await engine.dispose()
    return {check.name: check for check in found}


async def test_what_is_all_there_is_ready(used: Stack) -> None:
    found = await checks(used)

    assert [check for check in found.values() if not check.ok or check.detail] == []
    assert set(found) == {*BREAKS, "live"}
    assert {name for name, check in found.items() if not check.required} == OPTIONAL


@pytest.mark.parametrize("name", BREAKS)
async def test_each_check_fails_by_what_it_is_about(used: Stack, name: str) -> None:
    found = await checks(used, BREAKS[name].replace("ONE", ONE))

    assert [check.name for check in found.values() if not check.ok] == [name]
    assert found[name].detail


async def test_demo_mode_is_not_live(used: Stack) -> None:
    found = await checks(used, demo_mode=True)

    assert [check.name for check in found.values() if not check.ok] == ["live"]
