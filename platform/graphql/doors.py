"""What the public's mutations ask before anything else (see `tenancy.public`)."""

from __future__ import annotations

from lead_orchestrator.errors import UnavailableError
from lead_orchestrator.graphql.context import Context
from lead_orchestrator.tenancy.public.limits import WRITE
from lead_orchestrator.tenancy.public.places import Place

__all__ = ["let_near", "place_of", "spend"]


async def spend(context: Context) -> None:
    """Raises RateLimitedError: too many came from the caller's address lately."""
    if context.services.limits is not None:
        await context.services.limits.spend_by_address(context.caller.address, WRITE)


async def place_of(context: Context, slug: str) -> Place:
    """Raises NotFoundError: there is no such shop, or its franchise is suspended."""
    if context.services.places is None:
        raise UnavailableError("shops cannot be entered here")
    return await context.services.places.find(slug, field="locationSlug")


async def let_near(context: Context, place: Place) -> None:
    """Raises ForbiddenError: the caller's site is not one of the shop's; RateLimitedError: the shop is called too often."""
    place.check_origin(context.caller.origin)
    if context.services.limits is not None:
        await context.services.limits.spend_by_place(place, WRITE)
