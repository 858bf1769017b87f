"""What shows that an installation is sound: `doctor`, the audits, and secrets under the newest key."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from lead_orchestrator.administration.rotation import rotate
from lead_orchestrator.cli.console import AsJson, err, out, print_json, print_table
from lead_orchestrator.cli.installation import with_fresh_services, with_services
from lead_orchestrator.errors import BadInputError
from lead_orchestrator.health import readiness
from lead_orchestrator.jobs.queue import open_queue
from lead_orchestrator.services import Services, required
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.audit import audit_isolation
from lead_orchestrator.tenancy.audit.trail import verify
from lead_orchestrator.tenancy.sessions import Scope

__all__ = ["audit", "doctor", "secrets"]

audit = typer.Typer(no_args_is_help=True, help="Proofs: that tenants are isolated, and that audit trails are whole.")
secrets = typer.Typer(no_args_is_help=True, help="The franchises' secrets at rest.")


def doctor(as_json: AsJson = False) -> None:
    """Check settings, database, isolation, Redis and worker; exit 1 if something is wrong, with what to do."""

    async def work(services: Services) -> list[dict[str, object]]:
        queue = await open_queue(required(services.settings, "redis_url"))
        try:
            checks = [asdict(check) for check in await readiness(services, queue)]
        finally:
            await queue.redis.aclose(close_connection_pool=True)
        findings = await audit_isolation(services.tenancy.engines.app, production=services.settings.production)
        errors = [finding for finding in findings if finding.severity == "error"]
        words = "; ".join(f"{finding.rule}: {finding.object}" for finding in findings) or "no findings"
        return [*checks, _whatsapp(services.settings), {"name": "isolation", "ok": not errors, "detail": words}]

    checks = with_services(work)
    if as_json:
        print_json({"ok": all(check["ok"] for check in checks), "checks": checks})
    else:
        print_table(["name", "ok", "detail"], checks)
    raise SystemExit(0 if all(check["ok"] for check in checks) else 1)


def _whatsapp(settings: Settings) -> dict[str, object]:
    """Both settings or none: the handshake without the secret would register an address that refuses everything."""
    given = {
        "WHATSAPP_APP_SECRET": settings.whatsapp_app_secret,
        "WHATSAPP_VERIFY_TOKEN": settings.whatsapp_verify_token,
    }
    missing = [name for name, value in given.items() if value is None or not value.get_secret_value()]
    words = f"{missing[0]} is missing" if len(missing) == 1 else "not set up" if missing else "webhooks are verified"
    return {"name": "whatsapp", "ok": len(missing) != 1, "detail": words}


@audit.command("isolation")
def audit_isolation_command(
    as_json: AsJson = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Audit what the migrations make, in a throw-away database.")
    ] = False,
) -> None:
    """Walk the database's catalog: exit 1 if anything could let one franchise see another's rows."""

    async def work(services: Services) -> list[dict[str, object]]:
        engine = services.tenancy.engines.app
        findings = await audit_isolation(engine, production=services.settings.production)
        return [asdict(finding) for finding in findings]

    findings = (with_fresh_services if fresh else with_services)(work)
    errors = [finding for finding in findings if finding["severity"] == "error"]
    if as_json:
        print_json({"ok": not errors, "findings": findings})
    elif findings:
        print_table(["severity", "rule", "object", "detail"], findings)
    else:
        out.print("no findings", highlight=False)
    raise SystemExit(1 if errors else 0)


@audit.command("verify")
def audit_verify_command(
    slug: Annotated[str | None, typer.Option("--tenant", help="Only this franchise's.")] = None, as_json: AsJson = False
) -> None:
    """Check that no line of an audit trail was changed or left out, and print where each ends; exit 1 if one does not hold."""

    async def work(services: Services) -> list[dict[str, object]]:
        async with services.tenancy.platform() as session:
            known = [row for row, _ in await repository.tenants(session) if slug in {None, row.slug}]
        if slug and not known:
            raise BadInputError(f"no franchise has the slug {slug!r}: see `lead-orchestrator tenant list`")
        found: list[dict[str, object]] = []
        for row in known:
            async with services.tenancy.read(Scope.service(row.id, "audit")) as session:
                trail = await verify(session)
            found.append(
                {
                    "tenant": row.slug,
                    **asdict(trail.head),
                    "lines": trail.lines,
                    "erased": trail.erased,
                    "brokenAt": trail.broken_at,
                }
            )
        return found

    trails = with_services(work)
    broken = [trail for trail in trails if trail["brokenAt"] is not None]
    if as_json:
        print_json({"ok": not broken, "trails": trails})
    else:
        print_table(["tenant", "lines", "erased", "brokenAt", "position", "hash"], trails)
    raise SystemExit(1 if broken else 0)


@secrets.command("rotate")
def secrets_rotate(as_json: AsJson = False) -> None:
    """Seal every stored secret again with the first key of SECRETS_KEY, while everything runs.

    First put a new key in front in every process, then run this, then take out the keys in between; leave the last one last.
    Run it again whenever it was stopped. Exit 1 names what no key opens.
    """
    result = asdict(with_services(lambda services: rotate(services.tenancy, services.lookups, services.secrets)))
    if as_json:
        print_json(result)
    else:
        words = f"{result['secrets']} secrets of {result['tenants']} franchises, {result['sealed']} sealed again"
        out.print(words, highlight=False)
        for name in result["unreadable"]:
            err.print(f"no key opens {name}", style="red", highlight=False, markup=False, soft_wrap=True)
    raise SystemExit(1 if result["unreadable"] else 0)
