"""What runs until it is stopped, and the migration that comes before it."""

from __future__ import annotations

import asyncio
import gc
from typing import Annotated

import typer
import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from lead_orchestrator.app import open_app, server_config
from lead_orchestrator.cli.console import out, print_json
from lead_orchestrator.cli.installation import environment, run_until_stopped
from lead_orchestrator.demo import run as demo_run
from lead_orchestrator.demo.clock import WindingClock
from lead_orchestrator.errors import AppError, ConfigurationError
from lead_orchestrator.jobs.worker import run_worker
from lead_orchestrator.local import database_urls, local_services
from lead_orchestrator.sandbox.seed import demo_world
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.services import open_services, required
from lead_orchestrator.tenancy.roles import bootstrap, upgrade

__all__ = ["demo", "migrate", "sandbox", "serve", "worker"]


def serve() -> None:
    """Serve the api: GraphQL, webhooks, customer links, /health, /ready and /metrics."""
    settings = environment()

    async def run() -> None:
        async with local_services(settings) as local, open_app(local) as served:
            listener = demo_run.listen(local.host, local.port)
            # What is loaded by now stays: looking through it for garbage takes 90 ms in which nobody is answered.
            gc.collect()
            gc.freeze()
            with listener:
                await uvicorn.Server(server_config(served, local)).serve(sockets=[listener])

    run_until_stopped(run())


def worker() -> None:
    """Run a worker: touches, polling, the inbox. SIGTERM lets running jobs end."""
    settings = environment()

    async def run() -> None:
        async with local_services(settings) as local:
            await run_worker(local)

    run_until_stopped(run())


def migrate(
    make_roles: Annotated[
        bool, typer.Option("--bootstrap", help="First create the roles and the database with DATABASE_ADMIN_URL.")
    ] = False,
) -> None:
    """Bring the database to the newest revision, as lead_owner (DATABASE_OWNER_URL)."""
    settings = environment()

    async def run() -> str:
        if not settings.production and settings.database_owner_url is None:
            async with local_services(settings) as local:
                return await upgrade(required(local, "database_owner_url"))
        if make_roles:
            await bootstrap(required(settings, "database_admin_url"), database_urls(settings))
        return await upgrade(required(settings, "database_owner_url"))

    out.print(f"database at revision {asyncio.run(run())}", highlight=False)


def demo(
    check: Annotated[bool, typer.Option("--check", help="Start, send one text, print one line of JSON, stop.")] = False,
    port: Annotated[int | None, typer.Option(help="The api's port; 0 takes a free one. Default: PORT.")] = None,
    sandbox_port: Annotated[int, typer.Option(help="The sandbox's port.")] = demo_run.SANDBOX_PORT,
) -> None:
    """Run everything with two franchises and the outside world in a box; fire one website quote."""
    if check:
        raise SystemExit(_check())
    run_until_stopped(demo_run.run(environment(), out, port=port, sandbox_port=sandbox_port))


def _check() -> int:
    try:
        result: dict[str, object] = asyncio.run(demo_run.check(environment()))
    except (AppError, SQLAlchemyError, OSError) as error:
        result = {"ok": False, "error": str(error)}
    print_json(result)
    return 0 if result["ok"] else 1


def sandbox(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = demo_run.SANDBOX_PORT,
    product_url: Annotated[str | None, typer.Option(help="The api its webhooks go to. Default: PUBLIC_URL.")] = None,
) -> None:
    """Serve the outside world in a box: four services, a quote form, the customers' phones, the clock."""
    settings = environment()
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

    run_until_stopped(run())


async def _until_stopped(url: str) -> None:
    out.print(f"sandbox at {url}", highlight=False)
    await asyncio.Event().wait()
