"""Accounts and locations of a franchise are tried before they are stored, and changed while everything runs."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from lead_orchestrator.chat.assistant.setup import Defaults, Setups
from lead_orchestrator.sandbox.seed import CLEAR_VIEW, SUN_SHADE, add_company
from tests.administration.asking import Asking
from tests.graphql.operations.rows import make_unrouted
from tests.messaging.inbound.line import Line
from tests.stack import Stack
from tests.webhooks.server import signed_headers

MESSAGING = """mutation($i: MessagingCredentialsInput!) { setMessagingCredentials(input: $i) {
  tenant { readiness { name ok detail } } errors { code field message } } }"""
CRM = """mutation($i: CrmCredentialsInput!) { setCrmCredentials(input: $i) {
  tenant { id } errors { code field message } } }"""
ADD = """mutation($i: AddLocationInput!) { addLocation(input: $i) {
  location { id slug bays hours { dayOfWeek } } errors { code field message } } }"""
DEMO = """mutation($id: ID!, $on: Boolean!) { setDemoMode(tenantId: $id, enabled: $on) {
  tenant { demoMode } errors { code message } } }"""
RIGHT = {
    "twilioAccountSid": SUN_SHADE.twilio_account_sid,
    "twilioAuthToken": SUN_SHADE.twilio_auth_token,
    "twilioPhoneNumber": SUN_SHADE.twilio_numbers[0],
    "sendgridApiKey": SUN_SHADE.sendgrid_api_key,
    "sendgridFromEmail": SUN_SHADE.from_email,
    "whatsappPhoneNumberId": SUN_SHADE.whatsapp_number_id,
    "whatsappAccessToken": SUN_SHADE.whatsapp_token,
}


@pytest.fixture
def ask(line: Line) -> Asking:
    return Asking(line)


@pytest.fixture
def tenant(stack: Stack) -> str:
    return f"tenant_{stack.tenant_id}"


async def stored(stack: Stack) -> dict[str, Any]:
    [row] = await stack.rows("SELECT * FROM tenant_messaging_configs")
    return row


async def lines(stack: Stack, action: str) -> list[Any]:
    rows = await stack.rows("SELECT actor, detail FROM audit_log WHERE action = :action", action=action)
    return [(row["actor"], row["detail"]) for row in rows]


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        ({"twilioAuthToken": "hush-hush"}, "CREDENTIALS_REFUSED", ["twilioAuthToken"]),
        ({"twilioPhoneNumber": CLEAR_VIEW.twilio_numbers[0]}, "SENDER_NOT_REGISTERED", ["twilioPhoneNumber"]),
        ({"twilioAccountSid": "AC1"}, "BAD_USER_INPUT", ["twilioAccountSid"]),
        ({"sendgridApiKey": "SG.hush-hush"}, "CREDENTIALS_REFUSED", ["sendgridApiKey"]),
        ({"sendgridFromEmail": "quotes@elsewhere.example.com"}, "SENDER_NOT_REGISTERED", ["sendgridFromEmail"]),
        ({"openaiApiKey": "hush-hush"}, "CREDENTIALS_REFUSED", ["openaiApiKey"]),
        ({"whatsappAccessToken": "hush-hush"}, "CREDENTIALS_REFUSED", ["whatsappAccessToken"]),
        ({"whatsappPhoneNumberId": CLEAR_VIEW.whatsapp_number_id}, "CREDENTIALS_REFUSED", ["whatsappAccessToken"]),
    ],
)
async def test_what_a_service_does_not_take_is_not_stored(
    ask: Asking, stack: Stack, tenant: str, wrong: dict[str, str], code: str, field: list[str]
) -> None:
    before = await stored(stack)

    answer = await ask.asked(MESSAGING, i={"tenantId": tenant, **RIGHT, **wrong})

    assert [(error["code"], error["field"]) for error in answer["errors"]] == [(code, field)]
    assert not any(value in json.dumps(answer) for name, value in wrong.items() if name.endswith(("Token", "Key")))
    assert await stored(stack) == before


async def test_an_account_that_is_suspended_and_a_key_that_may_not_send_are_refused(
    ask: Asking, stack: Stack, tenant: str
) -> None:
    account = stack.world.twilio_accounts[SUN_SHADE.twilio_account_sid]
    mails = stack.world.sendgrid_accounts[SUN_SHADE.sendgrid_api_key]
    account.status, scopes = "suspended", mails.scopes
    assert await ask.refused(MESSAGING, i={"tenantId": tenant, **RIGHT}) == ["CREDENTIALS_REFUSED"]
    account.status, mails.scopes = "active", ("stats.read",)
    assert await ask.refused(MESSAGING, i={"tenantId": tenant, **RIGHT}) == ["CREDENTIALS_REFUSED"]

    # given a key that may send and not see from which addresses
    mails.scopes = ("mail.send",)
    answer = await ask.done(MESSAGING, i={"tenantId": tenant, **RIGHT})
    mails.scopes = scopes

    checks = {check["name"]: check["ok"] for check in answer["tenant"]["readiness"]}
    assert checks["sms_registered"]


async def test_a_service_that_is_away_is_not_taken_for_a_refusal(ask: Asking, stack: Stack, tenant: str) -> None:
    await stack.fault("twilio", "error_500", count=1)

    assert await ask.refused(MESSAGING, i={"tenantId": tenant, **RIGHT}) == ["UNAVAILABLE"]


async def test_what_is_given_is_stored_and_the_rest_stays(ask: Asking, stack: Stack, tenant: str) -> None:
    await ask.done(MESSAGING, i={"tenantId": tenant, **RIGHT})
    before = await stored(stack)
    stack.world.sendgrid_accounts[SUN_SHADE.sendgrid_api_key].senders = ("owner@example.com",)

    answer = await ask.done(MESSAGING, i={"tenantId": tenant, "sendgridFromEmail": "owner@example.com"})

    after = await stored(stack)
    checks = {check["name"]: check["ok"] for check in answer["tenant"]["readiness"]}
    assert (checks["sms_registered"], checks["mail_registered"]) == (True, True)
    assert (after["sendgrid_from_email"], after["twilio_auth_token"]) == (
        "owner@example.com",
        before["twilio_auth_token"],
    )
    assert after["email_checked_at"] > before["email_checked_at"]
    assert after["sms_checked_at"] == before["sms_checked_at"]
    assert (await lines(stack, "messaging.changed"))[-1] == ("user_admin", {"fields": ["sendgrid_from_email"]})
    await ask.done(MESSAGING, i={"tenantId": tenant, **RIGHT})


async def test_the_assistant_s_key_is_the_franchise_s_own(ask: Asking, stack: Stack, tenant: str) -> None:
    await ask.done(MESSAGING, i={"tenantId": tenant, "openaiApiKey": "sk-demo-of-its-own"})

    async with stack.services.tenancy.read(stack.scope) as session:
        setup = await Setups(Defaults(None, "model", "https://ai.example.com"), stack.services.secrets).of(session)
    assert setup.account is not None
    assert setup.account.api_key.get_secret_value() == "sk-demo-of-its-own"


async def test_a_number_that_is_replaced_is_given_up(ask: Asking, stack: Stack, tenant: str) -> None:
    old, new = SUN_SHADE.twilio_numbers[:2]
    await ask.done(MESSAGING, i={"tenantId": tenant, "twilioPhoneNumber": new})

    assert await stack.services.lookups.route("phone_number", old) is None
    assert await stack.services.lookups.route("phone_number", new) is not None
    await ask.done(MESSAGING, i={"tenantId": tenant, "twilioPhoneNumber": old})


async def told(line: Line, secret: str) -> int:
    """The status of an order's webhook that is signed with `secret`."""
    order = {"id": uuid4().hex[:24], "locationId": SUN_SHADE.locations[0].id}
    body = json.dumps({"table": "order", "operation": "INSERT", "data": order}).encode()
    return (
        await line.http.post("/webhooks/shopmonkey/order", content=body, headers=signed_headers(body, secret))
    ).status_code


async def test_a_webhook_secret_is_replaced_without_an_outage(
    ask: Asking, line: Line, stack: Stack, tenant: str
) -> None:
    old, new = SUN_SHADE.shopmonkey_webhook_secret, "another-secret"
    key = {"apiKey": SUN_SHADE.shopmonkey_api_key}

    await ask.done(CRM, i={"tenantId": tenant, "credentials": {**key, "webhookSecret": new}})
    assert [await told(line, secret) for secret in (old, new, "no secret")] == [202, 202, 401]

    over = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    await ask.done(CRM, i={"tenantId": tenant, "credentials": {**key, "previousSecretValidUntil": over}})
    assert [await told(line, secret) for secret in (old, new)] == [401, 202]

    assert (await lines(stack, "crm.changed"))[-1] == (
        "user_admin",
        {"fields": ["api_key", "previous_secret_valid_until"]},
    )
    await ask.done(CRM, i={"tenantId": tenant, "credentials": {**key, "webhookSecret": old}})


async def test_a_key_that_does_not_read_the_franchise_s_locations_is_not_taken(
    ask: Asking, stack: Stack, tenant: str
) -> None:
    before = await stack.rows("SELECT api_key FROM tenant_crm_configs")

    for wrong, code in ((CLEAR_VIEW.shopmonkey_api_key, "LOCATION_NOT_OWNED"), ("nobody's", "CREDENTIALS_REFUSED")):
        assert await ask.refused(CRM, i={"tenantId": tenant, "credentials": {"apiKey": wrong}}) == [code]

    assert await stack.rows("SELECT api_key FROM tenant_crm_configs") == before


async def test_one_more_location_comes_with_its_catalog_and_what_waited_for_it(
    ask: Asking, stack: Stack, tenant: str
) -> None:
    _, foreign = add_company(stack.world, time.time_ns())
    company = next(one for one in stack.world.companies.values() if one.api_key == SUN_SHADE.shopmonkey_api_key)
    shop = uuid4().hex[:24]
    company.locations[shop] = {**next(iter(company.locations.values())), "id": shop}
    sold = {**next(iter(company.canned_services.values())), "id": uuid4().hex[:24], "locationId": shop}
    company.canned_services[sold["id"]] = sold
    await make_unrouted(stack.services.tenancy, shop)
    place = {"name": "Uptown", "slug": f"uptown-{shop}", "timezone": "America/Denver", "bays": 2}
    place["hours"] = [{"dayOfWeek": 1, "opensAt": "09:00", "closesAt": "12:00"}]

    refused = await ask.refused(ADD, i={"tenantId": tenant, "location": {**place, "shopmonkeyLocationId": foreign}})
    made = await ask.done(ADD, i={"tenantId": tenant, "location": {**place, "shopmonkeyLocationId": shop}})
    again = await ask.refused(ADD, i={"tenantId": tenant, "location": {**place, "shopmonkeyLocationId": shop}})

    assert (refused, again) == (["LOCATION_NOT_OWNED"], ["ALREADY_CLAIMED"])
    assert (made["location"]["bays"], made["location"]["hours"]) == (2, [{"dayOfWeek": 1}])
    key = made["location"]["id"].removeprefix("loc_")
    waiting = "SELECT count(*) AS n FROM webhook_events WHERE location_id = :id AND source = 'shopmonkey_replay'"
    assert [row["n"] for row in await stack.rows(waiting, id=key)] == [1]
    assert await lines(stack, "location.added") == [("user_admin", None)]
    async with stack.services.tenancy.platform() as session:
        waits = text("SELECT count(*) FROM unrouted_webhooks WHERE route_key = :key AND replayed_at IS NULL")
        assert await session.scalar(waits, {"key": shop}) == 0


async def test_a_franchise_is_ready_when_its_webhook_and_its_text_were_seen(
    ask: Asking, line: Line, stack: Stack, tenant: str
) -> None:
    async with stack.services.tenancy.platform() as session:
        await session.execute(text("DELETE FROM location_hours"))
        for place in await session.scalars(text("SELECT id FROM locations")):
            opened = text(
                "INSERT INTO location_hours (tenant_id, location_id, day_of_week, opens_at, closes_at)"
                " VALUES (:tenant, :place, 1, '09:00', '17:00')"
            )
            await session.execute(opened, {"tenant": stack.tenant_id, "place": place})
    await ask.done(MESSAGING, i={"tenantId": tenant, **RIGHT})
    await stack.services.tenants.set_demo_mode(stack.tenant_id, enabled=True, allowlist=["+1???55501??"], actor="tests")
    places = await stack.rows("SELECT id FROM locations WHERE shopmonkey_location_id IS NOT NULL")
    for place in places:
        await stack.services.catalog.sync(stack.scope, place["id"])
    lacking = await ask.refused(DEMO, id=tenant, on=False)

    assert await told(line, SUN_SHADE.shopmonkey_webhook_secret) == 202
    await stack.quote()
    await stack.services.polling.poll(stack.tenant_id)
    await stack.services.ingestion.sweep(stack.tenant_id)
    await stack.services.dispatcher.dispatch(stack.tenant_id)

    assert lacking == ["NOT_READY"]
    assert (await ask.done(DEMO, id=tenant, on=False))["tenant"] == {"demoMode": False}
