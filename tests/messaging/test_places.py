from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from lead_orchestrator.messaging.places import Places

ONE, OTHER = UUID(int=1), UUID(int=2)


async def test_a_tenants_calls_are_limited_and_another_tenants_are_not_affected() -> None:
    places = Places(4)

    async with places.held(ONE, 4) as held, places.held(OTHER, 4) as others:
        waiting = asyncio.create_task(took(places, ONE, 2))
        await asyncio.wait([waiting], timeout=0.01)
        assert not waiting.done()
        assert held is not None
        assert others is not None
        held.give_back(2)
        assert await waiting is True


async def test_nobody_waits_behind_the_one_who_waits() -> None:
    places = Places(4)

    async with places.held(ONE, 4):
        waiting = asyncio.create_task(took(places, ONE, 4))
        await asyncio.wait([waiting], timeout=0.01)
        assert await took(places, ONE, 4) is False
        assert not waiting.done()

    assert await waiting is True


async def test_places_come_back_when_a_batch_fails_or_its_waiter_is_cancelled() -> None:
    places = Places(4)
    with pytest.raises(RuntimeError):
        await failed(places)

    async with places.held(ONE, 4):
        waiting = asyncio.create_task(took(places, ONE, 4))
        await asyncio.wait([waiting], timeout=0.01)
        waiting.cancel()
        await asyncio.wait([waiting])

    assert await took(places, ONE, 4) is True


async def failed(places: Places) -> None:
    async with places.held(ONE, 4) as held:
        assert held is not None
        held.keep(3)
        held.give_back()
        raise RuntimeError("the batch failed")


async def took(places: Places, tenant: UUID, count: int) -> bool:
    async with places.held(tenant, count) as held:
        return held is not None
