"""What every service of the sandbox is given."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.clock import SandboxClock
from lead_orchestrator.sandbox.courier import Courier
from lead_orchestrator.sandbox.world import Message, World

__all__ = ["Sandbox", "is_web_address", "json_object"]

CLOCK_LIMIT = 1.0  # seconds; an acceptance must not hang on the application's clock


@dataclass
class Sandbox:
    world: World
    courier: Courier
    clock: SandboxClock | None = None
    winding: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def accept(self, message: Message) -> None:
        """Record a message, with the application's time if there is a clock."""
        message.app_time = await self.app_time()
        self.world.add_message(message)

    async def moment(self) -> datetime:
        """The application's time, or the real one if there is no clock."""
        return await self.app_time() or datetime.now(UTC)

    async def app_time(self) -> datetime | None:
        if self.clock is None:
            return None
        try:
            async with asyncio.timeout(CLOCK_LIMIT):
                return await self.clock.now()
        except TimeoutError:
            return None


def is_web_address(text: object) -> bool:
    """Whether something can be posted there."""
    try:
        parts = urlsplit(text) if isinstance(text, str) else None
        return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


async def json_object(request: Request) -> dict[str, Any]:
    """The request's body, which must be a JSON object; an empty body is an empty object."""
    raw = await request.body()
    if not raw:
        return {}
    try:
        data = json.loads(raw)
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()  # what cannot be shown again is refused here
    except (ValueError, RecursionError):
        raise BadInputError("the body is not JSON: send a JSON object") from None
    if not isinstance(data, dict):
        raise BadInputError(f"the body is a JSON {type(data).__name__}: send an object")
    return data
