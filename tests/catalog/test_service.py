from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from lead_orchestrator.catalog import repository
from lead_orchestrator.catalog.models import Service
from lead_orchestrator.catalog.service import ServiceChange, close_location, reopen_location, upsert_service
from lead_orchestrator.errors import BadInputError, ForbiddenError, NotFoundError
from lead_orchestrator.tenancy.sessions import Scope
from tests.catalog.services import canned, offered, sync
from tests.leads.ingestion.shop import Shop


async def upsert(shop: Shop, change: ServiceChange, scope: Scope | None = None) -> Service:
    async with shop.services.tenancy.write(scope or shop.tenant.scope) as session:
        return await upsert_service(session, change)


def limited(shop: Shop) -> Scope:
    """A manager of the first location only."""
    return replace(shop.tenant.scope, location_ids=frozenset({shop.tenant.location}))


async def test_a_service_of_the_whole_tenant_is_offered_at_every_location(shop: Shop) -> None:
    made = await upsert(shop, ServiceChange(None, None, "Ceramic Coating", 300, given={"price_cents": 60_000}))

    for location in (0, 1):
        assert [(row.id, row.price_cents) for row in await offered(shop, location=location)] == [(made.id, 60_000)]


async def test_a_locations_service_stands_in_the_place_of_the_tenants(shop: Shop) -> None:
    common = await upsert(shop, ServiceChange(None, None, "Sunroof Tint", 90))
    canned(shop, "SUNROOF tint", 12_900)
    own = (await sync(shop))["SUNROOF tint"]

    assert [row.id for row in await offered(shop)] == [own.id]
    assert [row.id for row in await offered(shop, location=1)] == [common.id]


async def test_a_location_can_leave_out_what_the_tenant_offers(shop: Shop) -> None:
    await upsert(shop, ServiceChange(None, None, "Sunroof Tint", 90))

    await upsert(shop, ServiceChange(None, shop.tenant.location, "Sunroof Tint", 90, active=False))

    assert await offered(shop) == []
    assert len(await offered(shop, location=1)) == 1


async def test_what_is_left_out_stays_and_null_removes(shop: Shop) -> None:
    given: dict[str, str | int | None] = {"price_cents": 100, "description": "a", "category": "b"}
    made = await upsert(shop, ServiceChange(None, None, "X", 30, given=given))

    changed = await upsert(shop, ServiceChange(made.id, None, "Y", 45, given={"description": None}))

    assert (changed.name, changed.duration_minutes, changed.price_cents) == ("Y", 45, 100)
    assert (changed.description, changed.category) == (None, "b")


async def test_new_services_come_last(shop: Shop) -> None:
    for name in ("C", "B", "A"):
        await upsert(shop, ServiceChange(None, None, name, 30))

    assert [row.name for row in await offered(shop)] == ["C", "B", "A"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (ServiceChange(None, None, " ", 30), "name"),
        (ServiceChange(None, None, "x" * 201, 30), "name"),
        (ServiceChange(None, None, "x", 0), "durationMinutes"),
        (ServiceChange(None, None, "x", 10_081), "durationMinutes"),
        (ServiceChange(None, None, "x", 30, given={"price_cents": -1}), "priceCents"),
        (ServiceChange(None, None, "x", 30, given={"display_order": -1}), "displayOrder"),
        (ServiceChange(None, None, "x", 30, given={"description": "x" * 5001}), "description"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_field(shop: Shop, change: ServiceChange, field: str) -> None:
    with pytest.raises(BadInputError) as refused:
        await upsert(shop, change)

    assert refused.value.field == (field,)
    assert await offered(shop, active_only=False) == []


async def test_a_name_is_taken_once_at_a_place(shop: Shop) -> None:
    made = await upsert(shop, ServiceChange(None, None, "Sunroof", 30))
    other = await upsert(shop, ServiceChange(None, None, "Windshield", 30))

    for change in (ServiceChange(None, None, "SUNROOF", 30), ServiceChange(other.id, None, "sunroof", 30)):
        with pytest.raises(BadInputError) as refused:
            await upsert(shop, change)
        assert refused.value.code == "NAME_TAKEN"
    assert (await upsert(shop, ServiceChange(made.id, None, "SunRoof", 30))).name == "SunRoof"


async def test_who_serves_one_location_leaves_the_rest_alone(shop: Shop) -> None:
    common = await upsert(shop, ServiceChange(None, None, "Common", 30))
    elsewhere = await upsert(shop, ServiceChange(None, shop.tenant.locations[1], "Elsewhere", 30))
    scope = limited(shop)

    with pytest.raises(ForbiddenError):
        await upsert(shop, ServiceChange(common.id, None, "Mine", 30), scope)
    with pytest.raises(ForbiddenError):
        await upsert(shop, ServiceChange(None, None, "Mine", 30), scope)
    for change in (
        ServiceChange(elsewhere.id, None, "Mine", 30),
        ServiceChange(None, shop.tenant.locations[1], "Mine", 30),
        ServiceChange(uuid4(), None, "Mine", 30),
    ):
        with pytest.raises(NotFoundError):
            await upsert(shop, change, scope)
    assert (await upsert(shop, ServiceChange(None, shop.tenant.location, "Mine", 30), scope)).name == "Mine"


async def test_a_service_stays_at_its_location(shop: Shop) -> None:
    made = await upsert(shop, ServiceChange(None, shop.tenant.location, "X", 30))

    with pytest.raises(BadInputError) as refused:
        await upsert(shop, ServiceChange(made.id, shop.tenant.locations[1], "X", 30))

    assert refused.value.field == ("locationId",)


async def test_a_shop_is_closed_and_opened_again(shop: Shop) -> None:
    now = datetime.now(UTC)
    async with shop.services.tenancy.write(shop.tenant.scope) as session:
        await close_location(session, shop.tenant.location, now, now + timedelta(days=1), " Inventory ")
    [closure] = await shop.rows("SELECT id, reason FROM location_closures")
    assert closure["reason"] == "Inventory"

    async with shop.services.tenancy.write(limited(shop)) as session:
        await reopen_location(session, closure["id"])

    assert await shop.rows("SELECT id FROM location_closures") == []


@pytest.mark.parametrize(("begins", "ends"), [(1, 1), (2, 1), (-2, -1)])
async def test_a_closure_that_cannot_be_is_refused(shop: Shop, begins: int, ends: int) -> None:
    now = datetime.now(UTC)

    async with shop.services.tenancy.write(shop.tenant.scope) as session:
        with pytest.raises(BadInputError) as refused:
            await close_location(
                session, shop.tenant.location, now + timedelta(days=begins), now + timedelta(days=ends), None
            )

    assert refused.value.field == ("endsAt",)


async def test_a_closure_of_another_location_is_not_found(shop: Shop) -> None:
    now = datetime.now(UTC)
    async with shop.services.tenancy.write(shop.tenant.scope) as session:
        await close_location(session, shop.tenant.locations[1], now, now + timedelta(days=1), None)
    [closure] = await shop.rows("SELECT id FROM location_closures")

    async with shop.services.tenancy.write(limited(shop)) as session:
        with pytest.raises(NotFoundError):
            await reopen_location(session, closure["id"])
        with pytest.raises(NotFoundError):
            await close_location(session, shop.tenant.locations[1], now, now + timedelta(days=1), None)


async def test_services_whose_duration_was_not_set_are_counted(shop: Shop) -> None:
    canned(shop, "Sunroof Tint")
    canned(shop, "Windshield")
    service = (await sync(shop))["Windshield"]
    await upsert(shop, ServiceChange(service.id, None, service.name, 60))

    async with shop.services.tenancy.read(shop.tenant.scope) as session:
        assert await repository.unset_durations(session) == 1
