"""New franchises, their accounts and their locations."""

from __future__ import annotations

import strawberry

from lead_orchestrator.errors import AppError, BadInputError
from lead_orchestrator.graphql.administration.inputs import (
    AddLocationInput,
    CrmCredentialsInput,
    MessagingCredentialsInput,
    OnboardTenantInput,
    described,
)
from lead_orchestrator.graphql.administration.tenants import administration, answered
from lead_orchestrator.graphql.administration.types import OnboardTenantPayload, TenantPayload
from lead_orchestrator.graphql.catalog.types import LocationPayload
from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.operations import repository
from lead_orchestrator.graphql.tenant_types import Location, Tenant
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.tenancy.franchise import Crm, Messaging, NewLocation, parse_franchise, parsed

__all__ = ["OnboardingMutations"]

LONGEST_KEY = 200


@strawberry.type
class OnboardingMutations:
    @strawberry.mutation
    async def onboard_tenant(self, info: Request, input: OnboardTenantInput) -> OnboardTenantPayload:  # noqa: A002 - the contract's name
        """Make a franchise: its locations, its ShopMonkey account and catalog, touches and texts, its owner. Whatever happens
        meanwhile, send the same again: it goes on where it stopped. Secret and invitation are shown until it has ended once."""
        try:
            key = _key(input.idempotency_key)
            franchise = parse_franchise(described(input, without=("template_tenant_id", "idempotency_key")))
            template = input.template_tenant_id
            template_id = decode(Kind.TENANT, template, field="templateTenantId") if template is not None else None
            all_, actor = administration(info), info.context.claims.subject
            made = await all_.saga.onboard(franchise, actor=actor, key=key, template_id=template_id)
            async with info.context.services.tenancy.platform() as session:
                row = await repository.tenant_by_id(session, made.tenant_id)
        except AppError as error:
            return OnboardTenantPayload(errors=[UserError.of(error)])
        return OnboardTenantPayload(
            tenant=Tenant.of(row) if row else None,
            owner_invite_url=made.invitation,
            webhook_url=all_.webhook_url,
            webhook_secret=made.webhook_secret,
            errors=[],
        )

    @strawberry.mutation
    async def add_location(self, info: Request, input: AddLocationInput) -> LocationPayload:  # noqa: A002 - the contract's name
        """One more location; its ShopMonkey location is read with the franchise's key before it is claimed."""
        try:
            key = decode(Kind.TENANT, input.tenant_id, field="tenantId")
            place = parsed(NewLocation, described(input.location))
            all_, actor = administration(info), info.context.claims.subject
            info.context.show(key)
            made = await all_.connections.add_location(key, place, actor=actor)
        except AppError as error:
            return LocationPayload(location=None, errors=[UserError.of(error)])
        return LocationPayload(location=Location.of(made), errors=[])

    @strawberry.mutation
    async def set_crm_credentials(self, info: Request, input: CrmCredentialsInput) -> TenantPayload:  # noqa: A002 - the contract's name
        """Tried with every ShopMonkey location of the franchise before it is stored. A new webhook secret works beside the one
        before it for a day, or until `previousSecretValidUntil`."""
        return await answered(
            info,
            input.tenant_id,
            lambda all_, key, who: all_.connections.set_crm(key, parsed(Crm, described(input.credentials)), actor=who),
        )

    @strawberry.mutation
    async def set_messaging_credentials(self, info: Request, input: MessagingCredentialsInput) -> TenantPayload:  # noqa: A002 - the contract's name
        """Tried with the services before they are stored; numbers and senders have to be the accounts'."""
        return await answered(
            info,
            input.tenant_id,
            lambda all_, key, who: all_.connections.set_messaging(
                key, parsed(Messaging, described(input, without=("tenant_id",))), actor=who
            ),
        )


def _key(text: str) -> str:
    if not text.strip() or len(text) > LONGEST_KEY:
        message = (
            f"idempotencyKey has {len(text)} characters: send one of 1 to {LONGEST_KEY}, another one for each franchise"
        )
        raise BadInputError(message, field=("idempotencyKey",))
    return text
