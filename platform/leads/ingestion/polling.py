"""The poll that finds what webhooks lost.

ShopMonkey's lists are unstable: a page may miss rows, repeat others and ignore its order. So windows overlap by an hour, the
union of many polls converges, every order is fetched again by its id before it counts, and absence means nothing. Lists leave
deleted orders out, so a quote whose touches are running and of which nothing was heard for long is asked for by its id.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from lead_orchestrator.clock import real_now
from lead_orchestrator.integrations.providers import ProviderBusy, ProviderRefused
from lead_orchestrator.integrations.shopmonkey.client import ShopMonkeyClient
from lead_orchestrator.integrations.shopmonkey.models import Order
from lead_orchestrator.leads.ingestion import repository
from lead_orchestrator.leads.ingestion.criteria import LeadRules, unmet
from lead_orchestrator.leads.ingestion.models import EventSource
from lead_orchestrator.leads.ingestion.service import version_of
from lead_orchestrator.tenancy.models import CrmConfig, Location
from lead_orchestrator.tenancy.secrets import SecretOpener
from lead_orchestrator.tenancy.sessions import Scope, Tenancy

__all__ = ["Poll", "Polling"]

OVERLAP = timedelta(hours=1)
LEASE = timedelta(minutes=2)
LONGEST_PAUSE_SECONDS = 900.0
SILENCE = timedelta(hours=12)
MOST_RECHECKS = 20


@dataclass(frozen=True)
class Poll:
    """What one poll found: `seen` orders listed, `events` put into the inbox; `error` says why it stopped."""

    seen: int
    events: Sequence[UUID]
    error: str | None = None


class Polling:
    """Polls one tenant's ShopMonkey account and puts what is new into the inbox."""

    def __init__(
        self, tenancy: Tenancy, shopmonkey: ShopMonkeyClient, secrets: SecretOpener, *, interval_seconds: float
    ) -> None:
        self._tenancy = tenancy
        self._shopmonkey = shopmonkey
        self._secrets = secrets
        self._interval = interval_seconds

    async def poll(self, tenant_id: UUID) -> Poll | None:
        """Poll if it is due; None if it is not, somebody else is at it, or the tenant has no key."""
        scope = Scope.service(tenant_id, "polling")
        async with self._tenancy.write(scope) as session:
            config = await repository.claim_poll(session, LEASE)
            locations = await repository.shopmonkey_locations(session) if config else []
            started = await real_now(session)
        if config is None:
            return None
        if config.api_key is None:
            await self._finish(scope, config, None, None, LONGEST_PAUSE_SECONDS)
            return None
        return await self._poll(scope, config, locations, started)

    async def _poll(self, scope: Scope, config: CrmConfig, locations: Sequence[Location], started: datetime) -> Poll:
        key = self._secrets.open(scope.tenant_id, "shopmonkey_api_key", config.api_key or b"")
        since = (config.polled_until or started) - OVERLAP
        seen: list[Order] = []
        events: list[UUID] = []
        try:
            # Another order each time: if the rate limit ends a poll early, it is not always the same shops that miss out.
            for location in random.sample(locations, len(locations)):
                found = await self._changed(key, location.shopmonkey_location_id or "", since)
                seen += found
                events += await self._store(scope, config, location, found)
            events += await self._recheck(scope, started)
        except ProviderRefused as error:
            await self._finish(scope, config, error.message, None, LONGEST_PAUSE_SECONDS)
            return Poll(len(seen), events, error.message)
        except ProviderBusy as error:
            pause = min(max(error.retry_after or 0, self._interval * 2.0**config.poll_failures), LONGEST_PAUSE_SECONDS)
            await self._finish(scope, config, f"ShopMonkey is busy ({error.code})", None, pause)
            return Poll(len(seen), events, f"ShopMonkey is busy ({error.code})")
        await self._finish(scope, config, None, started, self._interval)
        return Poll(len(seen), events)

    async def _changed(self, key: str, location_id: str, since: datetime) -> list[Order]:
        found: dict[str, Order] = {}
        for column in ("updatedDate", "createdDate"):  # what was never changed may have no updatedDate
            async for order in self._shopmonkey.iter_changed_orders(key, location_id, since, column=column):
                found[order.id] = order
        return list(found.values())

    async def _store(self, scope: Scope, config: CrmConfig, location: Location, orders: Sequence[Order]) -> list[UUID]:
        rules = LeadRules(tuple(config.lead_workflow_status_ids), config.lead_name_prefix)
        stored: list[UUID] = []
        if not orders:
            return stored
        async with self._tenancy.write(scope) as session:
            known = await repository.known_orders(session, [order.id for order in orders])
            for order in orders:
                version = version_of(order)
                if version <= known[order.id] if order.id in known else unmet(order, rules):
                    continue
                change = f"poll:{order.id}:{version}"
                event = {
                    "location_id": location.id,
                    "source": EventSource.POLL,
                    "delivery_id": change,
                    "change_key": change,
                    "operation": "POLL",
                    "external_id": order.id,
                    "external_location_id": order.location_id,
                }
                event_id = await repository.store(session, event)
                stored += [event_id] if event_id else []
        return stored

    async def _recheck(self, scope: Scope, started: datetime) -> list[UUID]:
        stored: list[UUID] = []
        async with self._tenancy.write(scope) as session:
            for order in await repository.unheard_orders(session, SILENCE, MOST_RECHECKS):
                change = f"recheck:{order.order_id}:{started:%Y%m%d%H}"
                event = {
                    "location_id": order.location_id,
                    "source": EventSource.POLL,
                    "delivery_id": change,
                    "change_key": change,
                    "operation": "RECHECK",
                    "external_id": order.order_id,
                }
                event_id = await repository.store(session, event)
                stored += [event_id] if event_id else []
        return stored

    async def _finish(
        self, scope: Scope, config: CrmConfig, error: str | None, polled_until: datetime | None, pause: float
    ) -> None:
        delay = timedelta(seconds=pause * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, so that tenants spread out
        failures = config.poll_failures + 1 if error else 0
        async with self._tenancy.write(scope) as session:
            await repository.finish_poll(
                session, delay=delay, polled_until=polled_until, failures=min(failures, 10), error=error
            )
