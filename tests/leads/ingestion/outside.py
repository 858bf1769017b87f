"""Opens the sandbox and the services that ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.sandbox.world import World
from lead_orchestrator.services import open_services
from tests.database import TestDatabase
from tests.http import open_http
from tests.leads.ingestion.shop import Outside
from tests.stack import stack_settings

__all__ = ["open_outside"]


@asynccontextmanager
async def open_outside(database: TestDatabase, redis_url: str) -> AsyncIterator[Outside]:
    """An empty outside world, and services on `database`."""
    async with (
        SandboxServer(World(seed=1)) as sandbox,
        open_http() as http,
        open_services(stack_settings(database, redis_url, sandbox)) as services,
    ):
        yield Outside(sandbox, services, http)
