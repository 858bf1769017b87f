"""Writes docs/roles.md from the product's table of who may do what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lead_orchestrator.tenancy.permissions import FOUND, OPERATIONS, ROUTES
from lead_orchestrator.tenancy.tokens import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lead_orchestrator.tenancy.permissions import Who

__all__ = ["PAGE", "roles_page"]

PAGE = "docs/roles.md"
COLUMNS = (None, Role.VISITOR, Role.AGENT, Role.MANAGER, Role.OWNER, Role.PLATFORM_ADMIN)
INTRODUCTION = """\
# Who may do what

Made by `make docs` from `platform/tenancy/permissions.py`, the one table that the product decides by. [access.md](access.md)
says what the roles are and how one signs in.

A mark says that the role may ask. What it then sees is narrowed further by Postgres: an agent or a manager who is limited to
locations asks for the same fields and finds the rows of these locations, a visitor those of its own conversation and lead.
Whoever may not is answered `FORBIDDEN` (403 by REST), whoever has no valid token `UNAUTHENTICATED` (401), and nothing is done.
An administrator of the platform has no franchise: what is a franchise's is `NOT_FOUND` for it.
"""


def roles_page() -> str:
    """The whole page."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield INTRODUCTION
    for root, title in (("Query", "Queries"), ("Mutation", "Mutations"), ("Subscription", "Subscriptions")):
        rows = {name.partition(".")[2]: who for name, who in OPERATIONS.items() if name.startswith(f"{root}.")}
        yield f"## {title}\n"
        yield from _table("Field", rows)
    yield "## What `node` finds\n"
    yield "By an id that begins so; others get null, as for an id that is nobody's.\n"
    yield from _table("Id", {f"{kind.value}_…": who for kind, who in FOUND.items()})
    yield "## REST\n"
    yield "| Route | Who may | What lets a request in |\n|---|---|---|"
    for name, rule in sorted(ROUTES.items()):
        yield f"| `{name}` | {_named(rule.who)} | {rule.by} |"


def _table(first: str, rows: dict[str, Who]) -> Iterator[str]:
    names = ["no token", *(role.value for role in COLUMNS if role is not None)]
    yield f"| {first} | {' | '.join(names)} |\n|---|{':-:|' * len(names)}"
    for name, who in sorted(rows.items()):
        yield f"| `{name}` | {' | '.join('●' if role in who else '' for role in COLUMNS)} |"
    yield ""


def _named(who: Who) -> str:
    if None in who:
        return "see right"
    return ", ".join(role.value for role in COLUMNS if role is not None and role in who)
