from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from lead_orchestrator.integrations.connections import open_client
from tests.integrations.wire import Wire, listening


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with listening() as wire:
        yield wire


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """The product's own client."""
    async with open_client(100) as client:
        yield client


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
