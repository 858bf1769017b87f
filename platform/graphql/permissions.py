"""Who may ask for what: each field of the roots declares its lowest role, and here alone it is decided.

What a role may see of a field's rows is decided by Postgres. A visitor's database role is granted single columns only, so
visitors are refused whatever reads whole rows; `viewer` answers them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from strawberry.extensions import FieldExtension
from strawberry.types import Info

from lead_orchestrator.errors import ForbiddenError
from lead_orchestrator.tenancy.tokens import Claims, Role

__all__ = ["Requires", "decide"]

# A platform administrator passes for every franchise field and then finds nothing there: its token has no tenant.
_RANK = {Role.VISITOR: 0, Role.AGENT: 1, Role.MANAGER: 2, Role.OWNER: 3, Role.PLATFORM_ADMIN: 4}


def decide(claims: Claims, lowest: Role) -> None:
    """Raises ForbiddenError: the caller's role is below `lowest`."""
    if _RANK[claims.role] < _RANK[lowest]:
        raise ForbiddenError(f"a {claims.role.value} may not do this: it takes {lowest.value} or above")


class Requires(FieldExtension):
    """The field is for `lowest` and above; whoever has no valid token is told so first."""

    def __init__(self, lowest: Role) -> None:
        self.lowest = lowest

    async def resolve_async(
        self, next_: Callable[..., Awaitable[Any]], source: Any, info: Info[Any, Any], **kwargs: Any
    ) -> Any:
        decide(info.context.claims, self.lowest)
        return await next_(source, info, **kwargs)
