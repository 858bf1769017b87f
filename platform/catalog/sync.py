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
    new = [row for row in fetched.services if row.id not in held and _plain(row.name) and row.offered]
    await repository.add_services(session, [_new(row, now) | {"location_id": fetched.location_id} for row in new])
    for row in fetched.services:
        if (service := held.get(row.id)) is not None:
            _take(service, row, now)
    for absent in fetched.gone & held.keys():
        held[absent].bookable = False
    await session.flush()
    detail = {"services": len(fetched.services), "added": len(new), "gone": len(fetched.gone)}
    session.audit("catalog.synced", target=encode(Kind.LOCATION, fetched.location_id), detail=detail)
    offered = await repository.offered_at(session, [fetched.location_id], active_only=False)
    return offered[fetched.location_id]


def _new(row: CannedService, now: datetime) -> dict[str, object]:
    category = category_of(row.name or "")
    return {
        "shopmonkey_id": row.id,
        "description": None,
        "category": category,
        "duration_minutes": default_minutes(category),
        "display_order": min(max(row.bookable_ordinal or 0, 0), LAST_PLACE),
        **_theirs(row, now),
    }


def _take(service: Service, row: CannedService, now: datetime) -> None:
    for name, value in _theirs(row, now).items():
        setattr(service, name, value)
    if not service.duration_is_set:
        service.duration_minutes = default_minutes(service.category)


def _theirs(row: CannedService, now: datetime) -> dict[str, object]:
    """Price and whether it may be booked are ShopMonkey's, and name and note where it has one; the rest is ours."""
    price = row.price_cents
    words = {"name": _plain(row.name), "description": _plain(row.note)}
    return {
        **{column: said for column, said in words.items() if said},
        "price_cents": price if price is None or price <= HIGHEST_CENTS else None,
        "bookable": row.offered,
        "synced_at": now,
    }


def _plain(words: str | None) -> str:
    return (words or "").replace("\x00", "").strip()
