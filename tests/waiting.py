"""Letting real time pass where the passing of time is what a test is about."""

from __future__ import annotations

import asyncio

__all__ = ["until_elapsed"]


async def until_elapsed(seconds: float) -> None:
    """Until this much real time has gone by: a lease, a tick or a window of chance, not a guess at how long work takes."""
    await asyncio.sleep(seconds)
