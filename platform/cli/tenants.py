"""`lead-orchestrator tenant`: franchises."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lead_orchestrator.cli.console import AsJson, out, print_json, print_table
from lead_orchestrator.cli.installation import with_services
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.services import Services
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.franchise import read_franchise
from lead_orchestrator.webhooks.routes import messaging_addresses, order_webhook_url

__all__ = ["tenant"]

tenant = typer.Typer(no_args_is_help=True, help="Franchises: onboard and list them.")


@tenant.command("onboard")
def onboard(
    path: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="YAML or JSON.", exists=True, dir_okay=False)
    ] = None,
    option: Annotated[Path | None, typer.Option("--file", help="The same.", exists=True, dir_okay=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Make the franchise that FILE describes (docs/onboarding.md), or bring it to what it says now.

    Credentials are tried first. Whatever stops it, run it again: each step is done once. Exit 1 says what is wrong.
    """
    file = path or option
    if file is None:
        raise BadInputError("no file is named: write `lead-orchestrator tenant onboard FILE.yaml`")
    franchise = read_franchise(file)

    async def work(services: Services) -> dict[str, object]:
        template = await services.lookups.tenant(franchise.template) if franchise.template else None
        if franchise.template and template is None:
            raise NotFoundError(f"there is no franchise {franchise.template!r} to take touches and texts from")
        made = await services.saga.onboard(franchise, actor="cli", template_id=template)
        return {
            "tenantId": f"tenant_{made.tenant_id}",
            "created": made.created,
            "locations": {slug: f"loc_{id_}" for slug, id_ in made.location_ids.items()},
            "webhookUrl": order_webhook_url(services.settings.public_url),
            "webhookSecret": made.webhook_secret,
            **messaging_addresses(services.settings.public_url, made.sendgrid_key),
            "ownerInviteUrl": made.invitation,
            "replayedEvents": made.replayed,
        }

    made = with_services(work)
    if as_json:
        print_json(made)
        return
    out.print(f"{'Onboarded' if made['created'] else 'Updated'} {franchise.slug}", highlight=False)
    for name in made:
        if name not in {"created", "locations"} and made[name] is not None:
            out.print(f"  {name}: {made[name]}", highlight=False, soft_wrap=True)


@tenant.command("list")
def list_tenants(as_json: AsJson = False) -> None:
    """Every franchise."""

    async def work(services: Services) -> list[dict[str, object]]:
        async with services.tenancy.platform() as session:
            return [
                {
                    "id": f"tenant_{tenant.id}",
                    "slug": tenant.slug,
                    "name": tenant.name,
                    "status": tenant.status,
                    "demoMode": tenant.demo_mode,
                    "locations": locations,
                }
                for tenant, locations in await repository.tenants(session)
            ]

    rows = with_services(work)
    if as_json:
        print_json(rows)
        return
    print_table(["slug", "name", "status", "demoMode", "locations"], rows)
