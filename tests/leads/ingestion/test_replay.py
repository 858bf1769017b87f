from __future__ import annotations

import secrets
from uuid import UUID

from sqlalchemy import text

from lead_orchestrator.leads.ingestion.replay import replay_unrouted
from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.factories import MadeTenant, make_tenant, phone_number
from tests.leads.ingestion.shop import Outside, Shop, open_company


async def kept(tenancy: Tenancy, location: str) -> list[tuple[str, str, int, bool]]:
    """(order, operation, attempts, replayed) of what is kept for the location."""
    statement = text(
        "SELECT external_id, operation, attempts, replayed_at IS NOT NULL FROM unrouted_webhooks"
        " WHERE route_key = :key ORDER BY received_at"
    )
    async with tenancy.platform() as session:
        rows = await session.execute(statement, {"key": location})
        return [tuple(row) for row in rows]


async def record(lookups: Lookups, location: str, order_id: str, operation: str = "INSERT") -> bool:
    return await lookups.record_unrouted("shopmonkey", location, order_id, operation)


async def stored_events(tenancy: Tenancy, tenant: MadeTenant) -> list[UUID]:
    async with tenancy.read(tenant.scope) as session:
        return list(await session.scalars(text("SELECT id FROM webhook_events ORDER BY id")))


async def test_an_order_of_an_unknown_location_is_kept_once(tenancy: Tenancy, lookups: Lookups) -> None:
    location = secrets.token_hex(12)

    for operation in ("INSERT", "UPDATE", "UPDATE"):
        assert await record(lookups, location, "order-1", operation)
    assert await record(lookups, location, "order-2")

    assert await kept(tenancy, location) == [("order-1", "UPDATE", 3, False), ("order-2", "INSERT", 1, False)]


async def test_what_is_kept_for_one_location_is_capped(tenancy: Tenancy, lookups: Lookups) -> None:
    location, other = secrets.token_hex(12), secrets.token_hex(12)

    taken = [await record(lookups, location, f"order-{number}") for number in range(105)]

    assert taken == [True] * 100 + [False] * 5
    assert await record(lookups, location, "order-0")  # what is kept already is kept up to date
    assert await record(lookups, other, "order-1")
    assert len(await kept(tenancy, location)) == 100


async def test_a_location_that_is_onboarded_gets_what_came_before(outside: Outside) -> None:
    # given quotes at a shop whose franchise nobody knows yet, and one at somebody else's
    services = outside.services
    location, foreign = secrets.token_hex(12), secrets.token_hex(12)
    company = open_company(outside.world, [location])
    body = {"locationId": location, "firstName": "Ada", "phone": phone_number()}
    placed = (await outside.http.post(f"{outside.sandbox.url}/quotes", json=body)).json()["orderId"]
    assert await record(services.lookups, location, placed)
    assert await record(services.lookups, location, "an order that is gone", "DELETE")
    assert await record(services.lookups, foreign, "order-1")

    # when the franchise is onboarded and the events are replayed
    tenant = await make_tenant(
        services.tenancy, services.secrets, shopmonkey_locations=[location], api_key=company.api_key
    )
    assert await replay_unrouted(services.tenancy, tenant.id) == 2
    shop = Shop(outside, company, tenant)
    outcomes = [(await shop.process(event)).outcome for event in await stored_events(services.tenancy, tenant)]

    # then the quote is a lead, fetched with the tenant's own key
    assert sorted(outcomes) == ["ShopMonkey has no such order", "lead created"]
    assert (await shop.lead())["source"] == "SHOPMONKEY_WEBHOOK"
    assert [row[3] for row in await kept(services.tenancy, location)] == [True, True]
    assert [row[3] for row in await kept(services.tenancy, foreign)] == [False]


async def test_a_replay_is_harmless_when_repeated(outside: Outside) -> None:
    services = outside.services
    location = secrets.token_hex(12)
    await record(services.lookups, location, "order-1")
    tenant = await make_tenant(services.tenancy, services.secrets, shopmonkey_locations=[location])

    assert await replay_unrouted(services.tenancy, tenant.id) == 1
    assert await replay_unrouted(services.tenancy, tenant.id) == 0

    assert len(await stored_events(services.tenancy, tenant)) == 1


async def test_a_tenant_without_locations_at_shopmonkey_replays_nothing(outside: Outside) -> None:
    tenant = await make_tenant(outside.services.tenancy, outside.services.secrets, crm=False)

    assert await replay_unrouted(outside.services.tenancy, tenant.id) == 0
