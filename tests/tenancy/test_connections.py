"""Connections are passed on in turn, and none gets lost on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from lead_orchestrator.tenancy.connections import Connections
from tests.database import TestDatabase

LIMIT = 20


@pytest_asyncio.fixture
async def connections(database: TestDatabase) -> AsyncIterator[Connections]:
    """A single one."""
    connections = Connections(database.urls.app, size=1)
    yield connections
    await connections.close()


async def begun(*waiting: asyncio.Task[object]) -> None:
    """Until all of them wait."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)


async def test_whoever_waits_longest_is_next(connections: Connections) -> None:
    order: list[int] = []

    async def use(number: int) -> None:
        connection = await connections.take()
        order.append(number)
        await connection.execute("SELECT 1")
        connections.give_back(connection)

    async with asyncio.timeout(LIMIT):
        await asyncio.gather(*(use(number) for number in range(10)))

    assert order == list(range(10))


async def test_who_is_cancelled_while_waiting_is_passed_over(connections: Connections) -> None:
    connection = await connections.take()
    first, second = (asyncio.create_task(connections.take()) for _ in range(2))
    await begun(first, second)

    first.cancel()
    connections.give_back(connection)

    async with asyncio.timeout(LIMIT):
        assert await second is connection
    connections.give_back(connection)


async def test_who_is_cancelled_as_the_turn_comes_passes_it_on(connections: Connections) -> None:
    connection = await connections.take()
    first, second = (asyncio.create_task(connections.take()) for _ in range(2))
    await begun(first, second)

    connections.give_back(connection)
    first.cancel()

    async with asyncio.timeout(LIMIT):
        assert await second is connection
    connections.give_back(connection)
    assert first.cancelled()


async def test_a_lost_connection_makes_room_for_another(connections: Connections) -> None:
    lost = await connections.take()
    waiting = asyncio.create_task(connections.take())
    await begun(waiting)

    connections.lose(lost)

    async with asyncio.timeout(LIMIT):
        found = await waiting
    assert await found.fetchval("SELECT 1") == 1
    assert found is not lost
    connections.give_back(found)


async def test_who_waits_too_long_is_told_and_the_connection_goes_on(database: TestDatabase) -> None:
    connections = Connections(database.urls.app, size=1, patience=0.01)
    connection = await connections.take()

    with pytest.raises(TimeoutError, match="busy"):
        await connections.take()

    connections.give_back(connection)
    assert await connections.take() is connection
    connections.give_back(connection)
    await connections.close()


async def test_a_place_is_free_again_when_no_connection_could_be_opened(database: TestDatabase) -> None:
    nowhere = Connections(f"{database.urls.app}_nowhere", size=1)

    for _ in range(2):
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await nowhere.take()
