"""Who may ask for what: each field of the roots declares its lowest role, and here alone it is decided.

What a role may see of a field's rows is decided by Postgres. A visitor's database role is granted single columns only, so
visitors are refused whatever reads whole rows; `viewer` answers them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from strawberry.types import Info

from lead_orchestrator.errors import ForbiddenError
from lead_orchestrator.graphql.context import Context
from lead_orchestrator.tenancy.tokens import Claims, Role

__all__ = ["allows", "decide", "requires"]

P = ParamSpec("P")
T = TypeVar("T")

# A platform administrator passes for every franchise field and then finds nothing there: its token has no tenant.
_RANK = {Role.VISITOR: 0, Role.AGENT: 1, Role.MANAGER: 2, Role.OWNER: 3, Role.PLATFORM_ADMIN: 4}


def allows(info: Info[Context, None], lowest: Role) -> bool:
    """Whether the caller's role is `lowest` or above."""
    return _RANK[info.context.claims.role] >= _RANK[lowest]


def decide(claims: Claims, lowest: Role) -> None:
    """Raises ForbiddenError: the caller's role is below `lowest`."""
    if _RANK[claims.role] < _RANK[lowest]:
        raise ForbiddenError(f"a {claims.role.value} may not do this: it takes {lowest.value} or above")


def requires(lowest: Role) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """The resolver is for `lowest` and above; whoever has no valid token is told so first."""

    def declare(resolver: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        @wraps(resolver)
        async def checked(*args: P.args, **kwargs: P.kwargs) -> T:
            info = cast("Info[Context, None]", kwargs["info"])
            decide(info.context.claims, lowest)
            return await resolver(*args, **kwargs)

        checked.lowest_role = lowest  # type: ignore[attr-defined]  # for those who list the fields
        return checked

    return declare
