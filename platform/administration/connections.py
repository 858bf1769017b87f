"""A franchise's accounts and locations after it was onboarded: tried first, then changed without an outage."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from lead_orchestrator.administration import repository
from lead_orchestrator.administration.credentials import completed
from lead_orchestrator.administration.means import Means
from lead_orchestrator.chat.assistant.setup import keep_key
from lead_orchestrator.errors import AppError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads.ingestion.replay import replay_unrouted
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.franchise import Crm, Messaging, NewLocation
from lead_orchestrator.tenancy.models import Location, Tenant
from lead_orchestrator.tenancy.sessions import PlatformSession, Scope

__all__ = ["Connections"]

_log = get_logger(__name__)


class Connections:
    """Changes what a franchise is connected with. No transaction is open while a service is asked."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def set_crm(self, tenant_id: UUID, crm: Crm, *, actor: str) -> Tenant:
        """Take another ShopMonkey key, or another webhook secret: the one before it works for another day, or until
        `previous_secret_valid_until`.

        Raises:
            NotFoundError: there is no such franchise.
            BadInputError: the key does not read one of the franchise's ShopMonkey locations.
        """
        await self._tenant(tenant_id)
        async with self._means.tenancy.read(Scope.service(tenant_id, actor)) as session:
            places = await repository.locations(session)
        for place in places:
            if place.shopmonkey_location_id is not None:
                await self._means.onboarding.check_location(crm, place.slug, place.shopmonkey_location_id)
        async with self._means.tenancy.platform() as session:
            now: datetime = (await session.execute(tenancy_repository.REAL_NOW)).scalar_one()
            await self._means.onboarding.connect_crm(session, tenant_id, crm, now)
            await self._audit(session, tenant_id, "crm.changed", crm.model_fields_set, actor)
        return await self._tenant(tenant_id)

    async def set_messaging(self, tenant_id: UUID, given: Messaging, *, actor: str) -> Tenant:
        """Take what is `given` of the messaging accounts; the rest stays.

        Raises:
            NotFoundError: there is no such franchise.
            BadInputError: a service refuses it, a part is missing, or a number belongs to another franchise.
            UnavailableError: a service cannot be asked now.
        """
        await self._tenant(tenant_id)
        async with self._means.tenancy.read(Scope.service(tenant_id, actor)) as session:
            config = await tenancy_repository.messaging_config(session)
        whole = completed(given, config, self._means.secrets, tenant_id)
        checked = await self._means.credentials.check(whole, given.model_fields_set)
        async with self._means.tenancy.platform() as session:
            await self._means.onboarding.connect_messaging(session, tenant_id, given, checked)
            await self._audit(session, tenant_id, "messaging.changed", given.model_fields_set, actor)
        if given.openai_api_key is not None:
            async with self._means.tenancy.write(Scope.service(tenant_id, actor)) as own:
                await keep_key(own, self._means.secrets, given.openai_api_key)
        return await self._tenant(tenant_id)

    async def add_location(self, tenant_id: UUID, place: NewLocation, *, actor: str) -> Location:
        """One more location, with its catalog, and what had waited for its ShopMonkey location.

        Raises:
            NotFoundError: there is no such franchise.
            BadInputError: the stored key does not read its ShopMonkey location, or something belongs to somebody else.
        """
        await self._tenant(tenant_id)
        scope = Scope.service(tenant_id, actor)
        await self._means.onboarding.check_locations(await self._crm(scope), [place])
        async with self._means.tenancy.platform() as session:
            location_id = await self._means.onboarding.add_location(session, tenant_id, place)
            target = encode(Kind.LOCATION, location_id)
            await session.audit(tenant_id, "location.added", actor=actor, target=target)
        if place.shopmonkey_location_id is not None:
            await self._first_catalog(scope, location_id)
            await replay_unrouted(self._means.tenancy, tenant_id)
        async with self._means.tenancy.read(scope) as session:
            made = await tenancy_repository.location(session, location_id)
        if made is None:
            raise NotFoundError(f"there is no location {encode(Kind.LOCATION, location_id)}")
        return made

    async def _first_catalog(self, scope: Scope, location_id: UUID) -> None:
        """A location without one is a location all the same; readiness shows it."""
        try:
            await self._means.catalog.sync(scope, location_id)
        except AppError as error:
            _log.warning("catalog_not_synced", location_id=str(location_id), code=error.code)

    async def _crm(self, scope: Scope) -> Crm | None:
        async with self._means.tenancy.platform() as session:
            sealed = await repository.crm_key(session, scope.tenant_id)
        if sealed is None:
            return None
        return Crm.model_validate({"apiKey": self._means.secrets.open(scope.tenant_id, "shopmonkey_api_key", sealed)})

    async def _tenant(self, tenant_id: UUID) -> Tenant:
        async with self._means.tenancy.platform() as session:
            tenant = await repository.tenant(session, tenant_id)
        if tenant is None:
            raise NotFoundError(f"there is no franchise {encode(Kind.TENANT, tenant_id)}", field=("tenantId",))
        return tenant

    async def _audit(
        self, session: PlatformSession, tenant_id: UUID, action: str, fields: set[str], actor: str
    ) -> None:
        detail = {"fields": sorted(fields)}
        await session.audit(tenant_id, action, actor=actor, target=encode(Kind.TENANT, tenant_id), detail=detail)
