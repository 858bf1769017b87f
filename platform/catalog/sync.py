"""ShopMonkey's canned services become the catalog of a location. Durations and the display order are ours and stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lead_orchestrator.catalog import repository
from lead_orchestrator.catalog.durations import category_of, default_minutes
from lead_orchestrator.catalog.models import Service
from lead_orchestrator.catalog.service import HIGHEST_CENTS, LAST_PLACE
from lead_orchestrator.clock import app_now
from lead_orchestrator.errors import BadInputError, NotFoundError, UnavailableError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.integrations.providers import ProviderBusy, ProviderRefused
from lead_orchestrator.integrations.shopmonkey.client import ShopMonkeyClient
from lead_orchestrator.integrations.shopmonkey.models import CannedService
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.secrets import SecretOpener
from lead_orchestrator.tenancy.sessions import Scope, Tenancy, WriteSession

__all__ = ["CatalogSync", "Fetched", "store"]


@dataclass(frozen=True)
class Fetched:
    """What ShopMonkey sells at a location; `gone` are ids of ours that it does not know any more."""

    location_id: UUID
    services: Sequence[CannedService]
    gone: frozenset[str]


class CatalogSync:
    """Reads ShopMonkey first and writes afterwards: no transaction is open during a call."""

    def __init__(self, tenancy: Tenancy, shopmonkey: ShopMonkeyClient, secrets: SecretOpener) -> None:
        self._tenancy = tenancy
        self._shopmonkey = shopmonkey
        self._secrets = secrets

    async def sync(self, scope: Scope, location_id: UUID) -> Sequence[Service]:
        """Bring the location's catalog up to date; its services afterwards, those of the whole tenant included.

        Raises what `fetch` raises.
        """
        fetched = await self.fetch(scope, location_id)
        async with self._tenancy.write(scope) as session:
            return await store(session, fetched)

    async def fetch(self, scope: Scope, location_id: UUID) -> Fetched:
        """What ShopMonkey has; nothing is written.

        Raises:
            NotFoundError: the caller sees no such location.
            BadInputError: the location or the tenant is not connected with ShopMonkey, or it refuses the key.
            UnavailableError: ShopMonkey cannot answer now.
        """
        async with self._tenancy.read(scope) as session:
            location = await tenancy_repository.location(session, location_id)
            sealed = await repository.crm_key(session)
            known = await repository.synced_services(session, location_id)
        if location is None:
            raise NotFoundError(f"there is no location {encode(Kind.LOCATION, location_id)}", field=("locationId",))
        if location.shopmonkey_location_id is None or sealed is None:
            missing = "API key" if sealed is None else "ShopMonkey location"
            message = f"{location.name} has no {missing}: the platform's administrators set it"
            raise BadInputError(message, code="NOT_CONNECTED", field=("locationId",))
        key = self._secrets.open(scope.tenant_id, "shopmonkey_api_key", sealed)
        try:
            return await self._read(key, location.shopmonkey_location_id, location_id, frozenset(known))
        except ProviderRefused as error:
            raise BadInputError(error.message, code="CRM_REFUSED", field=("locationId",)) from None
        except ProviderBusy as error:
            raise UnavailableError(f"ShopMonkey is busy ({error.code}): try again in a minute") from None

    async def _read(self, key: str, shop: str, location_id: UUID, known: frozenset[str]) -> Fetched:
        listed = {row.id: row for row in await self._shopmonkey.list_canned_services(key, shop)}
        gone: set[str] = set()
        for absent in sorted(known - listed.keys()):
            row = await self._shopmonkey.get_canned_service(key, absent)
            if row is None or row.location_id not in (None, shop):
                gone.add(absent)
            else:
                listed[absent] = row
        return Fetched(location_id, [listed[name] for name in sorted(listed)], frozenset(gone))


async def store(session: WriteSession, fetched: Fetched) -> Sequence[Service]:
    """Write what was fetched; the location's services afterwards, those of the whole tenant included."""
    await repository.lock_catalog(session)
    now = await app_now(session)
    held = await repository.synced_services(session, fetched.location_id)
    added = 0
    for row in fetched.services:
        service = held.get(row.id)
        if service is None and row.name and row.offered:
            service = _new(session.scope.tenant_id, fetched.location_id, row)
            repository.add(session, service)
            added += 1
        if service is not None:
            _take(service, row, now)
    for absent in fetched.gone & held.keys():
        held[absent].bookable = False
    await session.flush()
    detail = {"services": len(fetched.services), "added": added, "gone": len(fetched.gone)}
    session.audit("catalog.synced", target=encode(Kind.LOCATION, fetched.location_id), detail=detail)
    offered = await repository.offered_at(session, [fetched.location_id], active_only=False)
    return offered[fetched.location_id]


def _new(tenant_id: UUID, location_id: UUID, row: CannedService) -> Service:
    category = category_of(row.name or "")
    return Service(
        tenant_id=tenant_id,
        location_id=location_id,
        shopmonkey_id=row.id,
        category=category,
        duration_minutes=default_minutes(category),
        duration_is_set=False,
        display_order=min(max(row.bookable_ordinal or 0, 0), LAST_PLACE),
    )


def _take(service: Service, row: CannedService, now: datetime) -> None:
    """Name, note, price and whether it may be booked are ShopMonkey's; the rest is ours."""
    service.name = _plain(row.name) or service.name
    service.description = _plain(row.note) or service.description
    price = row.price_cents
    service.price_cents = price if price is None or price <= HIGHEST_CENTS else None
    service.bookable = row.offered
    service.synced_at = now
    if not service.duration_is_set:
        service.duration_minutes = default_minutes(service.category)


def _plain(words: str | None) -> str:
    return (words or "").replace("\x00", "").strip()
