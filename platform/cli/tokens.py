"""Access tokens for tools and for trying things out."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer

from lead_orchestrator.cli.console import AsJson, print_json, print_text
from lead_orchestrator.cli.installation import tenant_named, with_services
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.services import Services, token_issuer
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["token"]

MINIMUM_TTL, MAXIMUM_TTL = timedelta(minutes=1), timedelta(hours=24)


def token(
    role: Annotated[Role, typer.Option(help="What the token may do.", case_sensitive=False)],
    tenant: Annotated[str | None, typer.Option(help="The franchise's slug; none for PLATFORM_ADMIN.")] = None,
    location: Annotated[list[str] | None, typer.Option(help="Only this location (slug); repeat for more.")] = None,
    ttl: Annotated[str, typer.Option(help="How long it lives: 30m, 8h, 900s; 24h at most.")] = "15m",
    as_json: AsJson = False,
) -> None:
    """Sign an access token, for tools and for trying things out."""
    lifetime = _duration(ttl)

    async def issue(services: Services) -> str:
        tenant_id, location_ids = await _audience(services, role, tenant, location or [])
        issuer = token_issuer(services.settings)
        return issuer.issue(subject="cli", role=role, tenant_id=tenant_id, location_ids=location_ids, lifetime=lifetime)

    signed = with_services(issue)
    if as_json:
        print_json({"token": signed, "expiresIn": int(lifetime.total_seconds())})
    else:
        print_text(f"{signed}\n")


async def _audience(
    services: Services, role: Role, tenant: str | None, locations: list[str]
) -> tuple[UUID | None, list[UUID] | None]:
    if role is Role.PLATFORM_ADMIN:
        if tenant or locations:
            raise BadInputError("a PLATFORM_ADMIN belongs to no franchise: leave --tenant and --location out")
        return None, None
    if not tenant:
        raise BadInputError(f"{role.value} is a role within a franchise: give its slug with --tenant")
    tenant_id = await tenant_named(services, tenant)
    if not locations:
        return tenant_id, None
    async with services.tenancy.read(Scope.service(tenant_id, "cli")) as session:
        found = {slug: await repository.location_by_slug(session, slug) for slug in locations}
    unknown = [slug for slug, place in found.items() if place is None]
    if unknown:
        raise NotFoundError(f"franchise {tenant!r} has no location {unknown[0]!r}")
    return tenant_id, [place.id for place in found.values() if place]


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,6})([smh])", text)
    if match is None:
        raise BadInputError(f"--ttl is {text!r}: write a number and s, m or h, as in 30m")
    lifetime = timedelta(**{{"s": "seconds", "m": "minutes", "h": "hours"}[match[2]]: int(match[1])})
    if not MINIMUM_TTL <= lifetime <= MAXIMUM_TTL:
        raise BadInputError(f"--ttl is {text!r}: from 1m to 24h")
    return lifetime
