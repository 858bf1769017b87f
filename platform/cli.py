"""`lead-orchestrator`: every process and every tool of the product. Exit codes: 0 done, 1 a problem was found, 2 wrong use."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar
from uuid import UUID

import typer
import uvicorn
import uvloop
import yaml
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from lead_orchestrator.administration.rotation import rotate
from lead_orchestrator.app import open_app, server_config
from lead_orchestrator.bench import abuse as bench_abuse
from lead_orchestrator.bench import booking as bench_booking
from lead_orchestrator.bench import chat as bench_chat
from lead_orchestrator.bench import claim as bench_claim
from lead_orchestrator.bench import dispatch as bench_dispatch
from lead_orchestrator.bench import evaluation as bench_evaluation
from lead_orchestrator.bench import fanout as bench_fanout
from lead_orchestrator.bench import graphql as bench_graphql
from lead_orchestrator.bench import onboarding as bench_onboarding
from lead_orchestrator.bench import report as bench_report
from lead_orchestrator.bench import slots as bench_slots
from lead_orchestrator.bench import webhook as bench_webhook
from lead_orchestrator.chaos import booking as chaos_booking
from lead_orchestrator.chaos import chat as chaos_chat
from lead_orchestrator.chaos import dispatch as chaos_dispatch
from lead_orchestrator.demo import run as demo_run
from lead_orchestrator.demo.clock import WindingClock
from lead_orchestrator.errors import AppError, BadInputError, ConfigurationError, NotFoundError
from lead_orchestrator.graphql.documents import MANIFEST
from lead_orchestrator.graphql.schema import documents_manifest, schema_sdl
from lead_orchestrator.health import readiness
from lead_orchestrator.jobs.queue import open_queue
from lead_orchestrator.jobs.worker import create_worker
from lead_orchestrator.local import NOTHING_GIVEN, database_urls, local_services
from lead_orchestrator.log import configure_logging
from lead_orchestrator.rest.routes import openapi
from lead_orchestrator.sandbox.seed import demo_world
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.services import Services, open_services, required, token_issuer
from lead_orchestrator.settings import Settings, load_settings
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.audit import audit_isolation
from lead_orchestrator.tenancy.audit.trail import verify
from lead_orchestrator.tenancy.onboarding import parse_franchise
from lead_orchestrator.tenancy.permissions import STAFF
from lead_orchestrator.tenancy.roles import bootstrap, upgrade
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.tenancy.tokens import Role
from lead_orchestrator.webhooks.routes import messaging_addresses, order_webhook_url

__all__ = ["app", "main"]

app = typer.Typer(
    pretty_exceptions_enable=False,  # it would print local variables, secrets among them
    no_args_is_help=True,
    add_completion=False,
    help="Turns website quotes into booked appointments, for many franchises.",
)
tenant_app = typer.Typer(no_args_is_help=True, help="Franchises: onboard and list them.")
audit_app = typer.Typer(
    no_args_is_help=True, help="Proofs: that tenants are isolated, and that audit trails are whole."
)
secrets_app = typer.Typer(no_args_is_help=True, help="The franchises' secrets at rest.")
schema_app = typer.Typer(no_args_is_help=True, help="The GraphQL schema.")
users_app = typer.Typer(no_args_is_help=True, help="Accounts: the platform's administrators.")
issuer_app = typer.Typer(no_args_is_help=True, help="Identity providers whose tokens a franchise takes.")
app.add_typer(tenant_app, name="tenant")
app.add_typer(users_app, name="users")
app.add_typer(issuer_app, name="issuer")
app.add_typer(audit_app, name="audit")
app.add_typer(secrets_app, name="secrets")
app.add_typer(schema_app, name="schema")
openapi_app = typer.Typer(no_args_is_help=True, help="The OpenAPI document of the REST API.")
app.add_typer(openapi_app, name="openapi")

out, err = Console(), Console(stderr=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
T = TypeVar("T")

BENCHES: dict[str, Callable[..., Coroutine[Any, Any, dict[str, object]]]] = {
    "abuse": bench_abuse.run,
    "booking": bench_booking.run,
    "chat": bench_chat.run,
    "claim": bench_claim.run,
    "dispatch": bench_dispatch.run,
    "fanout": bench_fanout.run,
    "graphql": bench_graphql.run,
    "onboarding": bench_onboarding.run,
    "report": bench_report.run,
    "slots": bench_slots.run,
    "webhook": bench_webhook.run,
}


class BenchName(StrEnum):
    ALL = "all"
    ABUSE = "abuse"
    BOOKING = "booking"
    CHAT = "chat"
    CLAIM = "claim"
    DISPATCH = "dispatch"
    FANOUT = "fanout"
    GRAPHQL = "graphql"
    ONBOARDING = "onboarding"
    REPORT = "report"
    SLOTS = "slots"
    WEBHOOK = "webhook"


CHAOS: dict[str, Callable[..., Coroutine[Any, Any, dict[str, object]]]] = {
    "booking": chaos_booking.run,
    "chat": chaos_chat.run,
    "dispatch": chaos_dispatch.run,
}


class ChaosName(StrEnum):
    ALL = "all"
    BOOKING = "booking"
    CHAT = "chat"
    DISPATCH = "dispatch"


MINIMUM_TTL, MAXIMUM_TTL = timedelta(minutes=1), timedelta(hours=24)


def main() -> None:
    """The console script; expected failures are one sentence on standard error."""
    try:
        app()
    except AppError as error:
        _fail(error.message)
    except SQLAlchemyError as error:
        _fail(f"the database did not do its part ({type(error).__name__}): is it running, and migrated?")


def _fail(message: str) -> NoReturn:
    err.print(f"error: {message}", style="red", highlight=False, markup=False, soft_wrap=True)
    raise SystemExit(1)


def _settings() -> Settings:
    settings = load_settings()
    configure_logging(settings.log_level, pretty=sys.stderr.isatty())
    return settings


def _with_services(work: Callable[[Services], Awaitable[T]]) -> T:
    async def run() -> T:
        async with local_services(_settings()) as settings, open_services(settings) as services:
            return await work(services)

    return asyncio.run(run())


def _with_fresh_services(work: Callable[[Services], Awaitable[T]]) -> T:
    """As `_with_services`, on a database made by the migrations for this one call."""

    async def run() -> T:
        with tempfile.TemporaryDirectory(prefix="lead-fresh-") as folder:
            bare = _settings().model_copy(update=NOTHING_GIVEN)
            async with (
                local_services(bare, folder=Path(folder), ephemeral=True) as settings,
                open_services(settings) as services,
            ):
                return await work(services)

    return asyncio.run(run())


def _run(work: Coroutine[Any, Any, T]) -> T:
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
    raise SystemExit(130)


@app.command()
def serve() -> None:
    """Serve the api: GraphQL, webhooks, customer links, /health, /ready and /metrics."""
    settings = _settings()

    async def run() -> None:
        async with local_services(settings) as local, open_app(local) as served:
            listener = demo_run.listen(local.host, local.port)
            with listener:
                await uvicorn.Server(server_config(served, local)).serve(sockets=[listener])

    _run(run())


@app.command()
def worker() -> None:
    """Run a worker: touches, polling, the inbox. SIGTERM lets running jobs end."""
    settings = _settings()

    async def run() -> None:
        async with local_services(settings) as local:
            running = create_worker(local)
            try:
                await running.async_run()
            except asyncio.CancelledError:
                pass  # a signal: arq ends its jobs and cancels itself
            finally:
                await running.close()

    _run(run())


@app.command()
def migrate(
    make_roles: Annotated[
        bool, typer.Option("--bootstrap", help="First create the roles and the database with DATABASE_ADMIN_URL.")
    ] = False,
) -> None:
    """Bring the database to the newest revision, as lead_owner (DATABASE_OWNER_URL)."""
    settings = _settings()

    async def run() -> str:
        if not settings.production and settings.database_owner_url is None:
            async with local_services(settings) as local:
                return await upgrade(required(local, "database_owner_url"))
        if make_roles:
            await bootstrap(required(settings, "database_admin_url"), database_urls(settings))
        return await upgrade(required(settings, "database_owner_url"))

    out.print(f"database at revision {asyncio.run(run())}", highlight=False)


@app.command()
def demo(
    check: Annotated[bool, typer.Option("--check", help="Start, send one text, print one line of JSON, stop.")] = False,
    port: Annotated[int | None, typer.Option(help="The api's port; 0 takes a free one. Default: PORT.")] = None,
    sandbox_port: Annotated[int, typer.Option(help="The sandbox's port.")] = demo_run.SANDBOX_PORT,
) -> None:
    """Run everything with two franchises and the outside world in a box; fire one website quote."""
    if check:
        raise SystemExit(_check())
    _run(demo_run.run(_settings(), out, port=port, sandbox_port=sandbox_port))


def _check() -> int:
    try:
        result: dict[str, object] = asyncio.run(demo_run.check(_settings()))
    except (AppError, SQLAlchemyError, OSError) as error:
        result = {"ok": False, "error": str(error)}
    print(json.dumps(result), flush=True)  # noqa: T201 - the line others read
    return 0 if result["ok"] else 1


@app.command()
def sandbox(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = demo_run.SANDBOX_PORT,
    product_url: Annotated[str | None, typer.Option(help="The api its webhooks go to. Default: PUBLIC_URL.")] = None,
) -> None:
    """Serve the outside world in a box: four services, a quote form, the customers' phones, the clock."""
    settings = _settings()
    if settings.production:
        raise ConfigurationError("the sandbox does not run in production: unset ENVIRONMENT")

    async def run() -> None:
        server = SandboxServer(demo_world(product_url=product_url or settings.public_url), host=host, port=port)
        async with server:
            if settings.database_owner_url and settings.database_url:
                async with open_services(settings) as services:
                    server.sandbox.clock = WindingClock(services, settings.database_owner_url)
                    await _until_stopped(server.url)
            else:
                await _until_stopped(server.url)

    _run(run())


async def _until_stopped(url: str) -> None:
    out.print(f"sandbox at {url}", highlight=False)
    await asyncio.Event().wait()


@app.command()
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

    signed = _with_services(issue)
    print(json.dumps({"token": signed, "expiresIn": int(lifetime.total_seconds())}) if as_json else signed)  # noqa: T201 - asked for


async def _audience(
    services: Services, role: Role, tenant: str | None, locations: list[str]
) -> tuple[UUID | None, list[UUID] | None]:
    if role is Role.PLATFORM_ADMIN:
        if tenant or locations:
            raise BadInputError("a PLATFORM_ADMIN belongs to no franchise: leave --tenant and --location out")
        return None, None
    if not tenant:
        raise BadInputError(f"a {role.value} belongs to a franchise: give its slug with --tenant")
    tenant_id = await _tenant_named(services, tenant)
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


@tenant_app.command("onboard")
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
    try:
        franchise = parse_franchise(yaml.safe_load(file.read_text()))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInputError(f"{file} is neither YAML nor JSON: {str(error).splitlines()[0]}") from None

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

    made = _with_services(work)
    if as_json:
        print(json.dumps(made))  # noqa: T201 - what was asked for
        return
    out.print(f"{'Onboarded' if made['created'] else 'Updated'} {franchise.slug}", highlight=False)
    for name in made:
        if name not in {"created", "locations"} and made[name] is not None:
            out.print(f"  {name}: {made[name]}", highlight=False, soft_wrap=True)


@users_app.command("add-administrator")
def add_administrator(
    email: Annotated[str, typer.Option(help="The e-mail address.")],
    name: Annotated[str | None, typer.Option(help="The person's name.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print a link by which an administrator of the platform sets a password, once, within 7 days.

    For one who has an account it is a new password, and the second factor is enrolled anew.
    """
    url = _with_services(lambda services: services.people.links.administrator(email, name))
    print(json.dumps({"url": url}) if as_json else url)  # noqa: T201 - asked for


@issuer_app.command("allow")
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
            tenant_id = await _tenant_named(services, tenant)
            await repository.upsert_issuer(session, tenant_id, issuer, audience, highest_role.value)
            await session.audit(tenant_id, "issuer.allowed", actor="cli")

    _with_services(work)


@issuer_app.command("forget")
def forget_issuer(
    tenant: Annotated[str, typer.Option(help="The franchise's slug.")],
    issuer: Annotated[str, typer.Option(help="The provider's issuer.")],
    audience: Annotated[str, typer.Option(help="The audience.")],
) -> None:
    """Take its tokens no more."""

    async def work(services: Services) -> bool:
        async with services.tenancy.platform() as session:
            tenant_id = await _tenant_named(services, tenant)
            await session.audit(tenant_id, "issuer.forgotten", actor="cli")
            return await repository.forget_issuer(session, tenant_id, issuer, audience)

    if not _with_services(work):
        raise NotFoundError(f"franchise {tenant!r} takes no tokens of this issuer for this audience")


@issuer_app.command("list")
def list_issuers(as_json: AsJson = False) -> None:
    """Every provider that a franchise takes tokens of."""

    async def work(services: Services) -> list[dict[str, str]]:
        async with services.tenancy.platform() as session:
            names = ("tenant", "issuer", "audience", "highestRole")
            return [dict(zip(names, row, strict=True)) for row in await repository.issuers(session)]

    rows = _with_services(work)
    if as_json:
        print(json.dumps(rows))  # noqa: T201 - asked for
        return
    for row in rows:
        out.print("  ".join(row.values()), highlight=False, soft_wrap=True)


async def _tenant_named(services: Services, slug: str) -> UUID:
    tenant_id = await services.lookups.tenant(slug)
    if tenant_id is None:
        raise NotFoundError(f"there is no franchise {slug!r}: `lead-orchestrator tenant list` shows them")
    return tenant_id


@tenant_app.command("list")
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

    rows = _with_services(work)
    if as_json:
        print(json.dumps(rows))  # noqa: T201 - what was asked for
        return
    _table(["slug", "name", "status", "demoMode", "locations"], rows)


def _table(columns: list[str], rows: list[dict[str, object]]) -> None:
    table = Table(*columns)
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    out.print(table)


@audit_app.command("isolation")
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

    findings = (_with_fresh_services if fresh else _with_services)(work)
    errors = [finding for finding in findings if finding["severity"] == "error"]
    if as_json:
        print(json.dumps({"ok": not errors, "findings": findings}))  # noqa: T201 - what was asked for
    elif findings:
        _table(["severity", "rule", "object", "detail"], findings)
    else:
        out.print("no findings", highlight=False)
    raise SystemExit(1 if errors else 0)


@secrets_app.command("rotate")
def secrets_rotate(as_json: AsJson = False) -> None:
    """Seal every stored secret again with the first key of SECRETS_KEY, while everything runs.

    First put a new key in front in every process, then run this, then take out the keys in between; leave the last one last.
    Run it again whenever it was stopped. Exit 1 names what no key opens.
    """
    result = asdict(_with_services(lambda services: rotate(services.tenancy, services.lookups, services.secrets)))
    if as_json:
        print(json.dumps(result))  # noqa: T201 - what was asked for
    else:
        words = f"{result['secrets']} secrets of {result['tenants']} franchises, {result['sealed']} sealed again"
        out.print(words, highlight=False)
        for name in result["unreadable"]:
            err.print(f"no key opens {name}", style="red", highlight=False, markup=False, soft_wrap=True)
    raise SystemExit(1 if result["unreadable"] else 0)


@audit_app.command("verify")
def audit_verify_command(
    slug: Annotated[str | None, typer.Option("--tenant", help="Only this franchise's.")] = None, as_json: AsJson = False
) -> None:
    """Check that no line of an audit trail was changed or left out, and print where each ends; exit 1 if one does not hold."""

    async def work(services: Services) -> list[dict[str, object]]:
        async with services.tenancy.platform() as session:
            known = [row for row, _ in await repository.tenants(session) if slug in {None, row.slug}]
        if not known:
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

    trails = _with_services(work)
    broken = [trail for trail in trails if trail["brokenAt"] is not None]
    if as_json:
        print(json.dumps({"ok": not broken, "trails": trails}))  # noqa: T201 - what was asked for
    else:
        _table(["tenant", "lines", "erased", "brokenAt", "position", "hash"], trails)
    raise SystemExit(1 if broken else 0)


@schema_app.command("export")
def schema_export(
    file: Annotated[Path | None, typer.Option("--output", help="Write it there instead of printing it.")] = None,
) -> None:
    """Print the GraphQL schema in SDL."""
    if file is None:
        print(schema_sdl(), end="")  # noqa: T201 - what was asked for
    else:
        file.write_text(schema_sdl())


@openapi_app.command("export")
def openapi_export(
    file: Annotated[Path | None, typer.Option("--output", help="Write it there instead of printing it.")] = None,
    server: Annotated[str | None, typer.Option("--server", help="The address that it names, as in PUBLIC_URL.")] = None,
) -> None:
    """Print the OpenAPI 3.1 document as JSON."""
    written = json.dumps(openapi(server), indent=2, ensure_ascii=False) + "\n"
    if file is None:
        print(written, end="")  # noqa: T201 - what was asked for
    else:
        file.write_text(written)


@schema_app.command("documents")
def schema_documents(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if the manifest is not up to date.")
    ] = False,
) -> None:
    """Make the manifest of the trusted documents from their files."""
    made = documents_manifest()
    if not check:
        MANIFEST.write_text(made)
    elif not MANIFEST.exists() or MANIFEST.read_text() != made:
        raise BadInputError(f"{MANIFEST.name} is not what the documents say: run `lead-orchestrator schema documents`")


@app.command()
def bench(
    name: Annotated[BenchName, typer.Argument(help="Which one.")],
    quick: Annotated[bool, typer.Option("--quick", help="A short run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure in a throw-away database; the last line with --json is one JSON object a benchmark."""
    _run_each(BENCHES, name.value, quick=quick, as_json=as_json)


@app.command()
def chaos(
    name: Annotated[ChaosName, typer.Argument(help="What to break.")],
    quick: Annotated[bool, typer.Option("--quick", help="A short run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Break things in a throw-away installation and count what was lost; exit 1 if anything was, or was said twice."""
    results = _run_each(CHAOS, name.value, quick=quick, as_json=as_json)
    raise SystemExit(any(result["lost"] or result["duplicates"] or result["unresolved"] for result in results))


@app.command("eval")
def evaluate(
    quick: Annotated[bool, typer.Option("--quick", help="Every fourth conversation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Hold 50 conversations with the assistant: by the model of OPENAI_API_KEY, else the sandbox's; exit 1 if one went astray."""
    (result,) = _run_each({"assistant": bench_evaluation.evaluate}, "assistant", quick=quick, as_json=as_json)
    raise SystemExit(bool(result["failed"]))


def _run_each(
    runs: dict[str, Callable[..., Coroutine[Any, Any, dict[str, object]]]], name: str, *, quick: bool, as_json: bool
) -> list[dict[str, object]]:
    settings, results = load_settings(), []
    configure_logging("ERROR")
    for each in runs if name == "all" else [name]:
        result = asyncio.run(runs[each](settings, quick=quick))
        results.append(result)
        if as_json:
            print(json.dumps(result), flush=True)  # noqa: T201 - what was asked for
        else:
            _figures(each, result)
    return results


def _figures(name: str, result: dict[str, object]) -> None:
    table = Table("figure", "value", title=name)
    for key, value in result.items():
        if isinstance(value, dict):
            for inner, figure in value.items():
                table.add_row(f"{key}.{inner}", str(figure))
        elif key not in {"bench", "chaos", "eval"}:
            table.add_row(key, str(value))
    out.print(table)


def _whatsapp(settings: Settings) -> dict[str, object]:
    """Both settings or none: the handshake without the secret would register an address that refuses everything."""
    given = {
        "WHATSAPP_APP_SECRET": settings.whatsapp_app_secret,
        "WHATSAPP_VERIFY_TOKEN": settings.whatsapp_verify_token,
    }
    missing = [name for name, value in given.items() if value is None or not value.get_secret_value()]
    words = f"{missing[0]} is missing" if len(missing) == 1 else "not set up" if missing else "webhooks are verified"
    return {"name": "whatsapp", "ok": len(missing) != 1, "detail": words}


@app.command()
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

    checks = _with_services(work)
    if as_json:
        print(json.dumps({"ok": all(check["ok"] for check in checks), "checks": checks}))  # noqa: T201 - asked for
    else:
        _table(["name", "ok", "detail"], checks)
    raise SystemExit(0 if all(check["ok"] for check in checks) else 1)
