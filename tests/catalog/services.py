"""Canned services at the sandbox's ShopMonkey, and what our catalog makes of them."""

from __future__ import annotations

import secrets
from typing import Any

from lead_orchestrator.catalog import repository
from lead_orchestrator.catalog.models import Service
from tests.leads.ingestion.shop import Shop

__all__ = ["canned", "offered", "sync"]


def canned(shop: Shop, name: str, cents: int | None = 10_000, *, location: int = 0, **columns: Any) -> dict[str, Any]:
    """A fixed-price, bookable service at one of the company's locations."""
    row = {
        "id": secrets.token_hex(12),
        "companyId": shop.company.id,
        "locationId": shop.tenant.shopmonkey_locations[location],
        "createdDate": "2026-01-05T18:00:00.000Z",
        "name": name,
        "note": None,
        "bookable": True,
        "bookableOrdinal": len(shop.company.canned_services),
        "pricing": "FixedPrice",
        "fixedPriceCents": cents,
        "totalCents": cents,
        "deleted": False,
        **columns,
    }
    shop.company.canned_services[row["id"]] = row
    return row


async def sync(shop: Shop, *, location: int = 0) -> dict[str, Service]:
    """The location's services after a sync, by name."""
    rows = await shop.services.catalog.sync(shop.tenant.scope, shop.tenant.locations[location])
    return {row.name: row for row in rows}


async def offered(shop: Shop, *, location: int = 0, active_only: bool = True) -> list[Service]:
    key = shop.tenant.locations[location]
    async with shop.services.tenancy.read(shop.tenant.scope) as session:
        return (await repository.offered_at(session, [key], active_only=active_only))[key]
