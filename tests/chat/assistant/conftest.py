from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from lead_orchestrator.sandbox.openai_world import MODEL
from tests.chat.assistant.conversations import Audience, configure, sell
from tests.database import Cluster, TestDatabase
from tests.stack import Stack, open_stack


@pytest_asyncio.fixture(scope="session")
async def database_of_shop(cluster: Cluster) -> AsyncIterator[TestDatabase]:
    async with cluster.clone() as database:
        yield database


@pytest_asyncio.fixture(scope="session")
async def open_shop(database_of_shop: TestDatabase, cluster: Cluster) -> AsyncIterator[Stack]:
    """One franchise for all these tests, with a catalog, opening hours and room for everybody."""
    async with open_stack(database_of_shop, cluster.redis_url, openai_model=MODEL) as stack:
        await sell(stack, bays=100)
        yield stack


@pytest.fixture
def stack(open_shop: Stack) -> Stack:
    """Nothing of it is broken, and the model was asked nothing yet."""
    open_shop.world.faults.clear()
    open_shop.world.openai.calls.clear()
    open_shop.world.openai.pace = 0.0
    return open_shop


@pytest.fixture
async def as_set(stack: Stack) -> Any:
    """What a test sets about the assistant is undone after it."""
    yield stack
    stack.services.assistant.listener = Audience()
    await configure(stack, enabled=True, model=None, lead_tokens_a_day=60_000, prompt_version=0, debounce_ms=1_000)
    async with stack.services.tenancy.write(stack.scope) as session:
        await session.execute(text("UPDATE assistant_months SET tokens = 0"))
