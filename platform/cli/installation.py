"""The installation a command works on: the one that the environment names, or a new one that is thrown away."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import uvloop

from lead_orchestrator.errors import NotFoundError
from lead_orchestrator.local import NOTHING_GIVEN, local_services
from lead_orchestrator.log import configure_logging
from lead_orchestrator.services import Services, open_services
from lead_orchestrator.settings import Settings, load_settings

__all__ = ["environment", "run_until_stopped", "tenant_named", "with_fresh_services", "with_services"]

T = TypeVar("T")


def environment() -> Settings:
    settings = load_settings()
    configure_logging(settings.log_level, pretty=sys.stderr.isatty())
    return settings


def with_services(work: Callable[[Services], Awaitable[T]]) -> T:
    async def run() -> T:
        async with local_services(environment()) as settings, open_services(settings) as services:
            return await work(services)

    return asyncio.run(run())


def with_fresh_services(work: Callable[[Services], Awaitable[T]]) -> T:
    """As `with_services`, on a database made by the migrations for this one call."""

    async def run() -> T:
        with tempfile.TemporaryDirectory(prefix="lead-fresh-") as folder:
            bare = environment().model_copy(update=NOTHING_GIVEN)
            async with (
                local_services(bare, folder=Path(folder), ephemeral=True) as settings,
                open_services(settings) as services,
            ):
                return await work(services)

    return asyncio.run(run())


def run_until_stopped(work: Coroutine[Any, Any, T]) -> T:
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
    raise SystemExit(130)


async def tenant_named(services: Services, slug: str) -> UUID:
    tenant_id = await services.lookups.tenant(slug)
    if tenant_id is None:
        raise NotFoundError(f"there is no franchise {slug!r}: `lead-orchestrator tenant list` shows them")
    return tenant_id
