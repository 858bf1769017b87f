"""`lead-orchestrator users` and `issuer`: who may sign in, and whose word is taken for it."""

from __future__ import annotations

from typing import Annotated

import typer

from lead_orchestrator.cli.console import AsJson, out, print_json, print_text
from lead_orchestrator.cli.installation import tenant_named, with_services
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.services import Services
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.permissions import STAFF
from lead_orchestrator.tenancy.tokens import Role

__all__ = ["issuer", "users"]

users = typer.Typer(no_args_is_help=True, help="Accounts: the platform's administrators.")
issuer = typer.Typer(no_args_is_help=True, help="Identity providers whose tokens a franchise takes.")


@users.command("add-administrator")
def add_administrator(
    email: Annotated[str, typer.Option(help="The e-mail address.")],
    name: Annotated[str | None, typer.Option(help="The person's name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print a link by which an administrator of the platform sets a password, once, within 7 days.

    For one who has an account it is a new password, and the second factor is enrolled anew.
    """
    url = with_services(lambda services: services.people.links.administrator(email, name))
    if as_json:
        print_json({"url": url})
    else:
        print_text(f"{url}\n")


@issuer.command("allow")
def allow_issuer(
    tenant: Annotated[str, typer.Option(help="The franchise's slug.")],
    issuer: Annotated[str, typer.Option(help="The provider's issuer, exactly as its tokens have it.")],
    audience: Annotated[str, typer.Option(help="The audience its tokens have for us.")],
    highest_role: Annotated[Role, typer.Option(help="A token that claims more is refused.", case_sensitive=False)],
) -> None:
    """Take the tokens of an OpenID Connect provider for a franchise."""
    if highest_role not in STAFF:
        raise BadInputError(f"--highest-role is {highest_role.value}: take one of AGENT, MANAGER, OWNER")

    async def work(services: Services) -> None:
        async with services.tenancy.platform() as session:
            tenant_id = await tenant_named(services, tenant)
            await repository.upsert_issuer(session, tenant_id, issuer, audience, highest_role.value)
            await session.audit(tenant_id, "issuer.allowed", actor="cli", target=encode(Kind.TENANT, tenant_id))

    with_services(work)


@issuer.command("forget")
def forget_issuer(
    tenant: Annotated[str, typer.Option(help="The franchise's slug.")],
    issuer: Annotated[str, typer.Option(help="The provider's issuer.")],
    audience: Annotated[str, typer.Option(help="The audience.")],
) -> None:
    """Take its tokens no more."""

    async def work(services: Services) -> bool:
        async with services.tenancy.platform() as session:
            tenant_id = await tenant_named(services, tenant)
            await session.audit(tenant_id, "issuer.forgotten", actor="cli", target=encode(Kind.TENANT, tenant_id))
            return await repository.forget_issuer(session, tenant_id, issuer, audience)

    if not with_services(work):
        raise NotFoundError(f"franchise {tenant!r} takes no tokens of this issuer for this audience")


@issuer.command("list")
def list_issuers(as_json: AsJson = False) -> None:
    """Every provider that a franchise takes tokens of."""

    async def work(services: Services) -> list[dict[str, str]]:
        async with services.tenancy.platform() as session:
            names = ("tenant", "issuer", "audience", "highestRole")
            return [dict(zip(names, row, strict=True)) for row in await repository.issuers(session)]

    rows = with_services(work)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        out.print("  ".join(row.values()), highlight=False, soft_wrap=True)
