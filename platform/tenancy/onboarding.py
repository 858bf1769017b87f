"""A new franchise's own rows: all of them in one transaction, each key on the platform its own or nobody's."""

from __future__ import annotations

import base64
import secrets as random_secrets
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import SecretStr

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.franchise import Crm, Franchise, Messaging, NewLocation, parse_franchise
from lead_orchestrator.tenancy.secrets import SecretBox, new_token, token_hash
from lead_orchestrator.tenancy.sessions import PlatformSession, Tenancy

__all__ = ["MESSAGING_SECRETS", "Asked", "Franchise", "Onboarded", "Onboarding", "parse_franchise"]

OwnsLocation = Callable[[str, str], Awaitable[bool]]
"""Whether this ShopMonkey key (first) reads this location (second)."""
Claim = tuple[str, str, UUID | None]
"""A kind of route, its key, and the location it leads to."""

SECRET_OVERLAP = timedelta(days=1)
MESSAGING_SECRETS = ("twilio_auth_token", "sendgrid_api_key", "whatsapp_access_token")


@dataclass(frozen=True)
class Asked:
    """Who asks for a franchise, with which key and for what exactly: the same again is the same request."""

    subject: str
    key: str
    request_hash: bytes


@dataclass(frozen=True)
class Onboarded:
    """`webhook_secret`, and `sendgrid_key` of the addresses that SendGrid calls, are shown this once when they were made here,
    else None."""

    tenant_id: UUID
    created: bool
    location_ids: dict[str, UUID]
    webhook_secret: str | None
    sendgrid_key: str | None = None


class Onboarding:
    """Writes what a franchise is made of. The CRM is asked before anything is written; everything is written at once."""

    def __init__(self, tenancy: Tenancy, secrets: SecretBox, owns_location: OwnsLocation) -> None:
        self._tenancy = tenancy
        self._secrets = secrets
        self._owns_location = owns_location

    async def onboard(
        self, franchise: Franchise, *, actor: str, asked: Asked | None = None, checked: Collection[str] = ()
    ) -> Onboarded:
        """Make the tenant with this slug, or bring it to this description; with `asked` only a new one, once for each key.

        `checked` names the moments of tenant_messaging_configs at which its senders were found to be the franchise's: now.

        Raises:
            BadInputError: a ShopMonkey location is not this key's, or something belongs to another tenant.
        """
        await self.check_locations(franchise.crm, franchise.locations)
        async with self._tenancy.platform() as session:
            if asked is not None:
                await repository.lock_onboarding(session, f"{asked.subject}:{asked.key}")
                known = await self.known(session, asked)
                if known is not None:
                    return Onboarded(known, False, await repository.location_ids(session, known), None)
            now: datetime = (await session.execute(repository.REAL_NOW)).scalar_one()
            await repository.lock_onboarding(session, franchise.slug)
            tenant_id, created = await repository.upsert_tenant(session, franchise.slug, _tenant_values(franchise))
            if asked is not None and not created:
                raise _taken("slug", franchise.slug, ("slug",))
            by = (asked.subject, asked.key, asked.request_hash) if asked else (actor, None, b"")
            await repository.begin_onboarding(session, tenant_id, *by)
            wanted = {place.slug: place.shopmonkey_location_id for place in franchise.locations}
            await repository.release_moved_locations(session, tenant_id, wanted)
            ids = {place.slug: await self._locate(session, tenant_id, place) for place in franchise.locations}
            secret = await self.connect_crm(session, tenant_id, franchise.crm, now) if franchise.crm else None
            sendgrid_key = await self.connect_messaging(session, tenant_id, franchise.messaging or Messaging(), checked)
            await self._claim(session, tenant_id, _claims(franchise, ids))
            action = "tenant.onboarded" if created else "tenant.changed"
            await session.audit(tenant_id, action, actor=actor, target=f"tenant_{tenant_id}")
        return Onboarded(tenant_id, created, ids, secret, sendgrid_key)

    async def known(self, session: PlatformSession, asked: Asked) -> UUID | None:
        """The tenant that this request began to make, if it was sent before.

        Raises:
            BadInputError: it was sent for something else.
        """
        found = await repository.onboarding_of(session, asked.subject, asked.key)
        if found is None:
            return None
        tenant_id, request_hash = found
        if request_hash != asked.request_hash:
            message = "this idempotencyKey was used for another franchise: take a new one for each"
            raise BadInputError(message, code="IDEMPOTENCY_KEY_REUSED", field=("idempotencyKey",))
        return tenant_id

    async def add_location(self, session: PlatformSession, tenant_id: UUID, place: NewLocation) -> UUID:
        """Write one more location; who asks has read its ShopMonkey location with the tenant's key.

        Raises:
            BadInputError: something of it belongs to another tenant, or to another location.
        """
        if place.slug in await repository.location_ids(session, tenant_id):
            raise _taken("slug", place.slug, ("location", "slug"))
        location_id = await self._locate(session, tenant_id, place)
        await self._claim(session, tenant_id, [*_claims_of(place, location_id)])
        return location_id

    async def check_locations(self, crm: Crm | None, places: Sequence[NewLocation]) -> None:
        """Raises BadInputError: a ShopMonkey location is not readable with the key, or there is no key."""
        for place in places:
            if place.shopmonkey_location_id is not None:
                await self.check_location(crm, place.slug, place.shopmonkey_location_id)

    async def check_location(self, crm: Crm | None, slug: str, claimed: str) -> None:
        """As `check_locations`, of one."""
        if crm is None:
            raise BadInputError(f"location {slug!r} names a ShopMonkey location: give crm.apiKey with it")
        if not await self._owns_location(crm.api_key.get_secret_value(), claimed):
            message = f"ShopMonkey location {claimed!r} of {slug!r} is not readable with this key: check both"
            raise BadInputError(message, code="LOCATION_NOT_OWNED")

    async def connect_crm(self, session: PlatformSession, tenant_id: UUID, crm: Crm, now: datetime) -> str | None:
        """Store the account; the webhook secret that was made for it, None where one was given or is there already."""
        values: dict[str, object] = {
            "api_key": self._secrets.seal(tenant_id, "shopmonkey_api_key", crm.api_key.get_secret_value())
        }
        if crm.lead_workflow_status_ids:
            values["lead_workflow_status_ids"] = list(crm.lead_workflow_status_ids)
        if crm.lead_name_prefix:
            values["lead_name_prefix"] = crm.lead_name_prefix
        before = await repository.crm_secret(session, tenant_id)
        wanted = crm.webhook_secret.get_secret_value() if crm.webhook_secret else None
        made = new_webhook_secret() if wanted is None and before is None else None
        secret, until = wanted or made, crm.previous_secret_valid_until
        if secret is not None and (before is None or self._opened(tenant_id, before) != secret):
            values["webhook_secret"] = self._secrets.seal(tenant_id, "shopmonkey_webhook_secret", secret)
            values["previous_webhook_secret"] = before
            values["previous_secret_valid_until"] = (until or now + SECRET_OVERLAP) if before else None
        elif until is not None:
            values["previous_secret_valid_until"] = until
        await repository.upsert_crm(session, tenant_id, values)
        return made

    async def connect_messaging(
        self, session: PlatformSession, tenant_id: UUID, given: Messaging, checked: Collection[str] = ()
    ) -> str | None:
        """Store what is given of the accounts but the assistant's key; the key of SendGrid's addresses if it was made now.

        Numbers that are replaced are given up. `checked`: see `onboard`.

        Raises:
            BadInputError: a number belongs to another tenant.
        """
        values = given.model_dump(
            exclude_unset=True, exclude={*MESSAGING_SECRETS, "sendgrid_route_key", "openai_api_key"}
        )
        for name in MESSAGING_SECRETS:
            secret: SecretStr | None = getattr(given, name)
            if secret is not None:
                values[name] = self._secrets.seal(tenant_id, name, secret.get_secret_value())
        await repository.upsert_messaging(session, tenant_id, values, checked)
        claims = list(_numbers(given))
        for kind, key, _ in claims:
            await repository.drop_other_routes(session, kind, tenant_id, key)
        await self._claim(session, tenant_id, claims)
        return await self._sendgrid_key(session, tenant_id, given)

    async def _locate(self, session: PlatformSession, tenant_id: UUID, place: NewLocation) -> UUID:
        values = place.model_dump(include={"name", "timezone", "shopmonkey_location_id", "phone", "address", "bays"})
        location_id = await repository.upsert_location(session, tenant_id, place.slug, values)
        hours = [row.model_dump() for row in place.hours]
        await repository.replace_hours(session, tenant_id, location_id, hours)
        return location_id

    async def _claim(self, session: PlatformSession, tenant_id: UUID, claims: Sequence[Claim]) -> None:
        """Everybody claims in the same order, so that two who want the same keys cannot hold each other up."""
        for kind, key, location_id in sorted(claims, key=lambda claim: claim[:2]):
            if not await repository.claim_route(session, kind, key, tenant_id, location_id):
                raise _taken(kind, key)

    def _opened(self, tenant_id: UUID, sealed: bytes) -> str:
        return self._secrets.open(tenant_id, "shopmonkey_webhook_secret", sealed)

    async def _sendgrid_key(self, session: PlatformSession, tenant_id: UUID, given: Messaging) -> str | None:
        """The secret in the addresses that SendGrid calls, if it is made now; its hash is what is stored."""
        held = await repository.route_keys(session, "sendgrid", tenant_id)
        wanted = given.sendgrid_route_key.get_secret_value() if given.sendgrid_route_key else None
        made = new_token() if wanted is None and given.sendgrid_api_key and not held else None
        key = wanted or made
        if key is not None:
            await repository.drop_routes(session, "sendgrid", tenant_id)
            await self._claim(session, tenant_id, [("sendgrid", token_hash(key).hex(), None)])
        return made


def new_webhook_secret() -> str:
    """A secret as Standard Webhooks writes them: 256 random bits."""
    return "whsec_" + base64.b64encode(random_secrets.token_bytes(32)).decode()


def _taken(kind: str, key: str, field: tuple[str, ...] | None = None) -> BadInputError:
    message = f"{kind.replace('_', ' ')} {key!r} belongs to another franchise: choose another one"
    return BadInputError(message, code="ALREADY_CLAIMED", field=field)


def _claims(franchise: Franchise, ids: dict[str, UUID]) -> Sequence[Claim]:
    return [claim for place in franchise.locations for claim in _claims_of(place, ids[place.slug])]


def _claims_of(place: NewLocation, location_id: UUID) -> Iterator[Claim]:
    yield "slug", place.slug, location_id
    if place.shopmonkey_location_id is not None:
        yield "shopmonkey_location", place.shopmonkey_location_id, location_id


def _numbers(given: Messaging) -> Iterator[Claim]:
    numbers = {
        "phone_number": given.twilio_phone_number,
        "twilio_service": given.twilio_messaging_service_sid,
        "whatsapp_number": given.whatsapp_phone_number_id,
    }
    yield from ((kind, key, None) for kind, key in numbers.items() if key)


def _tenant_values(franchise: Franchise) -> dict[str, object]:
    values: dict[str, object] = {"name": franchise.name}
    if franchise.demo_mode is not None:
        values["demo_mode"] = franchise.demo_mode
    if franchise.demo_allowlist is not None:
        values["demo_allowlist"] = [entry.strip().lower() for entry in franchise.demo_allowlist]
    return values
