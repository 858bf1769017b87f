"""A shop is found by its slug or its id while its franchise is active, and says which sites may call for it."""

from __future__ import annotations

import secrets
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text

from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.public.origins import answer_headers, preflight_headers
from lead_orchestrator.tenancy.public.places import A_WHILE, OriginRefusedError, Places
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.factories import MadeTenant, make_tenant


@pytest.fixture
def places(tenancy: Tenancy, lookups: Lookups) -> Places:
    return Places(tenancy, lookups, "https://app.example.com/")


@pytest_asyncio.fixture
async def tenant(tenancy: Tenancy, secret_box: SecretBox) -> MadeTenant:
    return await make_tenant(tenancy, secret_box, locations=2)


async def list_origins(tenancy: Tenancy, tenant: MadeTenant, *origins: str) -> None:
    async with tenancy.write(tenant.scope) as session:
        statement = text("UPDATE locations SET allowed_origins = :origins WHERE id = :id")
        await session.execute(statement, {"origins": list(origins), "id": tenant.location})


async def suspend(tenancy: Tenancy, tenant: MadeTenant) -> None:
    async with tenancy.platform() as session:
        await session.execute(text("UPDATE tenants SET status = 'SUSPENDED' WHERE id = :id"), {"id": tenant.id})


def ways(tenant: MadeTenant) -> list[str]:
    """How the public may name the tenant's first shop."""
    key = tenant.location
    return [f"{tenant.slug}-1", f" {tenant.slug.upper()}-1", encode(Kind.LOCATION, key), str(key)]


async def test_a_shop_is_found_by_slug_and_by_id(places: Places, tenant: MadeTenant) -> None:
    for name in ways(tenant):
        place = await places.find(name)

        assert (place.tenant_id, place.location_id) == (tenant.id, tenant.location)
        assert place.scope.location_ids == frozenset({tenant.location})


async def test_a_suspended_franchise_has_no_shops(places: Places, tenancy: Tenancy, tenant: MadeTenant) -> None:
    await list_origins(tenancy, tenant, origin := f"https://{secrets.token_hex(6)}.example.com")
    assert await places.allows_anywhere(origin)

    await suspend(tenancy, tenant)

    for name in ways(tenant):
        with pytest.raises(NotFoundError, match="there is no shop"):
            await places.find(name)
    assert not await places.allows_anywhere(origin)


@pytest.mark.parametrize("name", ["nowhere", "loc_00000000-0000-7000-8000-000000000001", "lead_1", "'; --", "café"])
async def test_what_is_no_shop_is_not_found(places: Places, name: str) -> None:
    with pytest.raises(NotFoundError, match="there is no shop"):
        await places.find(name)


@pytest.mark.parametrize("name", ["", "  ", "x" * 64, "a\x00b", "a\nb"])
async def test_what_cannot_name_a_shop_is_refused(places: Places, name: str) -> None:
    with pytest.raises(BadInputError) as refused:
        await places.find(name, field="locationId")

    assert (refused.value.code, refused.value.field) == ("INVALID_ID", ("locationId",))


async def test_only_listed_sites_and_our_own_may_call(places: Places, tenancy: Tenancy, tenant: MadeTenant) -> None:
    ours, theirs = f"https://{secrets.token_hex(6)}.example.com", "https://evil.example.com"
    await list_origins(tenancy, tenant, ours)
    first, second = [await places.find(encode(Kind.LOCATION, key)) for key in tenant.locations]

    for origin in (ours, "https://app.example.com", None):
        first.check_origin(origin)
    for place, origin in ((first, theirs), (first, "null"), (first, f"{ours}:8443"), (first, "*"), (second, ours)):
        with pytest.raises(OriginRefusedError):
            place.check_origin(origin)


async def test_a_preflight_is_answered_for_a_site_that_any_shop_lists(
    places: Places, tenancy: Tenancy, tenant: MadeTenant
) -> None:
    origin = f"https://{secrets.token_hex(6)}.example.com"
    assert not await places.allows_anywhere(origin)

    await list_origins(tenancy, tenant, "https://other.example.com", origin)

    assert await places.allows_anywhere(origin)
    assert await places.allows_anywhere("https://app.example.com")
    for wrong in (None, "null", "", f"{origin}.evil.example.com", "%", "https://app.example.com/"):
        assert not await places.allows_anywhere(wrong)


async def test_a_shop_allows_its_own_sites_and_a_while_longer_those_it_took_off(
    tenancy: Tenancy, lookups: Lookups, tenant: MadeTenant
) -> None:
    now = 1000.0
    places = Places(tenancy, lookups, "https://app.example.com/", clock=lambda: now)
    here, there = tenant.locations
    origin = f"https://{secrets.token_hex(6)}.example.com"
    await list_origins(tenancy, tenant, origin)

    listed = [await places.shop_allows(shop, origin) for shop in (here, there, UUID(int=1))]
    ours = await places.shop_allows(there, "https://app.example.com")
    await list_origins(tenancy, tenant)
    soon = await places.shop_allows(here, origin)
    now += A_WHILE
    later = await places.shop_allows(here, origin)

    assert (listed, ours) == ([True, False, False], True)
    assert (soon, later) == (True, False)


def test_headers_name_the_one_origin_and_never_allow_cookies() -> None:
    origin = "https://www.example.com"
    for headers in (answer_headers(origin, allowed=True), preflight_headers(origin, allowed=True)):
        assert headers["Access-Control-Allow-Origin"] == origin
        assert "Access-Control-Allow-Credentials" not in headers
    for headers in (
        answer_headers(origin, allowed=False),
        preflight_headers(origin, allowed=False),
        answer_headers(None, allowed=True),
    ):
        assert [name for name in headers if name != "Vary"] == []
        assert headers["Vary"].startswith("Origin")
