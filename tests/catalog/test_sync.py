from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from lead_orchestrator.catalog.durations import default_minutes
from lead_orchestrator.catalog.service import ServiceChange, upsert_service
from lead_orchestrator.catalog.sync import store
from lead_orchestrator.errors import AppError, BadInputError, NotFoundError, UnavailableError
from lead_orchestrator.sandbox.world import Quirks
from lead_orchestrator.tenancy.sessions import Scope
from tests.catalog.services import canned, offered, sync
from tests.factories import make_tenant
from tests.holding import holding
from tests.leads.ingestion.shop import Outside, Shop


async def test_canned_services_become_the_locations_catalog(shop: Shop) -> None:
    canned(shop, "Windshield Visor Strip", 11_900, note="Up to the AS1 line")
    canned(shop, "Sunroof Tint", 12_900)
    canned(shop, "Elsewhere", 1, location=1)

    rows = await sync(shop)

    assert {name: (row.price_cents, row.category, row.active) for name, row in rows.items()} == {
        "Windshield Visor Strip": (11_900, "Windshield", True),
        "Sunroof Tint": (12_900, "Roof", True),
    }
    assert rows["Windshield Visor Strip"].description == "Up to the AS1 line"
    assert rows["Sunroof Tint"].location_id == shop.tenant.location


async def test_durations_and_the_order_are_ours_and_survive_a_sync(shop: Shop) -> None:
    row = canned(shop, "Full Vehicle Tint", 30_000)
    canned(shop, "Sunroof Tint", 12_900)
    service = (await sync(shop))["Full Vehicle Tint"]
    change = ServiceChange(service.id, None, service.name, 240, given={"display_order": 7})
    async with shop.services.tenancy.write(shop.tenant.scope) as session:
        await upsert_service(session, change)
    row.update(name="Full Vehicle Ceramic Tint", fixedPriceCents=35_000)

    again = await sync(shop)

    kept = again["Full Vehicle Ceramic Tint"]
    assert (kept.id, kept.price_cents) == (service.id, 35_000)
    assert (kept.duration_minutes, kept.duration_is_set, kept.display_order) == (240, True, 7)
    assert [entry.name for entry in await offered(shop)] == ["Sunroof Tint", "Full Vehicle Ceramic Tint"]


async def test_an_unset_duration_is_its_categorys(shop: Shop) -> None:
    canned(shop, "Old Tint Removal, Full Vehicle")
    canned(shop, "Something Else")

    rows = await sync(shop)

    assert {name: (row.duration_minutes, row.duration_is_set) for name, row in rows.items()} == {
        "Old Tint Removal, Full Vehicle": (default_minutes("Removal"), False),
        "Something Else": (60, False),
    }


@pytest.mark.parametrize(
    ("columns", "cents"),
    [
        ({"pricing": "FixedPrice", "fixedPriceCents": 100, "totalCents": 109}, 100),
        ({"pricing": "LineItem", "fixedPriceCents": 0, "totalCents": 5_000_000_000}, 5_000_000_000),
        ({"pricing": "LineItem", "totalCents": 10**30}, None),
        ({"pricing": "FixedPrice", "fixedPriceCents": None, "totalCents": 109}, 109),
        ({"pricing": "Unheard", "fixedPriceCents": None, "totalCents": None}, None),
        ({"pricing": "FixedPrice", "fixedPriceCents": -5, "totalCents": 109}, None),
    ],
)
async def test_the_price_is_before_tax_where_shopmonkey_says_so(
    shop: Shop, columns: dict[str, Any], cents: int | None
) -> None:
    canned(shop, "Sunroof Tint", **columns)

    assert (await sync(shop))["Sunroof Tint"].price_cents == cents


@pytest.mark.parametrize("columns", [{"bookable": False}, {"deleted": True}, {"bookable": None}])
async def test_what_may_not_be_booked_is_not_offered(shop: Shop, columns: dict[str, Any]) -> None:
    row = canned(shop, "Sunroof Tint")
    canned(shop, "Never Offered", **columns)
    await sync(shop)
    row.update(columns)

    rows = await sync(shop)

    assert {name: entry.active for name, entry in rows.items()} == {"Sunroof Tint": False}
    assert await offered(shop) == []


async def test_what_shopmonkey_does_not_know_any_more_is_not_offered(shop: Shop) -> None:
    row = canned(shop, "Sunroof Tint")
    await sync(shop)
    del shop.company.canned_services[row["id"]]

    assert (await sync(shop))["Sunroof Tint"].active is False


async def test_a_row_that_the_list_left_out_stays(shop: Shop) -> None:
    for number in range(30):
        canned(shop, f"Service {number}")
    await sync(shop)
    shop.outside.world.quirks = Quirks(unstable_lists=True, unstable_tables=("canned_service",), miss_rate=0.5)

    rows = await sync(shop)

    assert sum(row.active for row in rows.values()) == 30


async def test_more_than_one_page_is_read(shop: Shop) -> None:
    for number in range(130):
        canned(shop, f"Service {number}")

    assert len(await sync(shop)) == 130


async def test_what_was_switched_off_here_stays_off(shop: Shop) -> None:
    canned(shop, "Sunroof Tint")
    service = (await sync(shop))["Sunroof Tint"]
    async with shop.services.tenancy.write(shop.tenant.scope) as session:
        await upsert_service(session, ServiceChange(service.id, None, service.name, 90, active=False))

    assert (await sync(shop))["Sunroof Tint"].active is False


async def test_two_syncs_at_once_add_each_service_once(shop: Shop) -> None:
    for number in range(10):
        canned(shop, f"Service {number}")
    fetched = await shop.services.catalog.fetch(shop.tenant.scope, shop.tenant.location)

    async def write() -> None:
        async with shop.services.tenancy.write(shop.tenant.scope) as session:
            await store(session, fetched)

    await asyncio.gather(*(write() for _ in range(4)))

    assert len(await offered(shop)) == 10


async def test_a_sync_leaves_a_line_in_the_audit_trail(shop: Shop) -> None:
    canned(shop, "Sunroof Tint")

    await sync(shop)

    [line] = await shop.rows("SELECT actor, target, detail FROM audit_log WHERE action = 'catalog.synced'")
    assert line["target"] == f"loc_{shop.tenant.location}"
    assert line["detail"] == {"services": 1, "added": 1, "gone": 0}


async def test_no_transaction_is_open_while_shopmonkey_is_asked(shop: Shop) -> None:
    canned(shop, "Sunroof Tint")
    idle = (
        "SELECT count(*) AS open FROM pg_stat_activity"
        " WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
    )

    async with holding(shop.outside.world, "shopmonkey") as hold:
        syncing = asyncio.create_task(sync(shop))
        await hold.reached()
        assert await shop.rows(idle) == [{"open": 0}]

    assert "Sunroof Tint" in await syncing


@pytest.mark.parametrize(
    ("fault", "expected"),
    [("error_500", UnavailableError), ("waf_403", UnavailableError), ("bad_credentials", BadInputError)],
)
async def test_nothing_changes_when_shopmonkey_does_not_answer(
    shop: Shop, fault: str, expected: type[AppError]
) -> None:
    canned(shop, "Sunroof Tint")
    await sync(shop)
    await shop.outside.fault(fault)

    with pytest.raises(expected):
        await sync(shop)

    assert [row.name for row in await offered(shop)] == ["Sunroof Tint"]


async def test_a_location_that_is_not_connected_says_so(outside: Outside) -> None:
    services = outside.services
    tenant = await make_tenant(services.tenancy, services.secrets, crm=False)

    with pytest.raises(BadInputError) as refused:
        await services.catalog.sync(tenant.scope, tenant.location)

    assert (refused.value.code, refused.value.field) == ("NOT_CONNECTED", ("locationId",))


async def test_a_location_of_others_is_not_found(shop: Shop, outside: Outside) -> None:
    other = await make_tenant(outside.services.tenancy, outside.services.secrets)
    limited: Scope = replace(shop.tenant.scope, location_ids=frozenset({shop.tenant.locations[1]}))

    for scope, key in ((shop.tenant.scope, other.location), (limited, shop.tenant.location), (limited, uuid4())):
        with pytest.raises(NotFoundError):
            await outside.services.catalog.sync(scope, key)
