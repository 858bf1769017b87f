"""Carries what the services post to the product: in the background, with retries and with faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from lead_orchestrator.sandbox.world import World

__all__ = ["Courier", "Delivery"]

MOST_GATHERED = 1_000
MOST_CONNECTIONS = 200
IDLE_SECONDS = 3.0  # servers close idle connections, uvicorn after 5 s
HTTP_OK, HTTP_REDIRECTS = 200, 300


@dataclass(frozen=True)
class Delivery:
    """One post. `channel` is the service name that faults use; `headers` makes those of an attempt (from 1); `attempts`
    is the most that are made; `done` hears whether it arrived and why not."""

    channel: str
    subject: str
    url: str
    body: bytes
    headers: Callable[[int], dict[str, str]]
    attempts: int = 1
    done: Callable[[bool, str], None] | None = None


class Courier:
    """Owns the background tasks of the sandbox; `async with` starts it, leaving cancels what is under way."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tasks: set[asyncio.Task[None]] = set()
        self._gathered: dict[Hashable, list[Any]] = {}
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Courier:
        # aiohttp: with two hundred posts under way httpx takes a tenth as many a second
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MOST_CONNECTIONS, keepalive_timeout=IDLE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent",),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in the background until the sandbox ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def send(self, delivery: Delivery) -> None:
        """Deliver in the background."""
        self.spawn(self.carry(delivery))

    def gather(self, key: Hashable, item: Any, deliver: Callable[[list[Any]], Delivery]) -> None:
        """Deliver `item` soon, with the others of `key` that came in the meantime; batches arrive one after the other."""
        if key in self._gathered:
            self._gathered[key].append(item)
        else:
            self._gathered[key] = [item]
            self.spawn(self._carry_gathered(key, deliver))

    async def _carry_gathered(self, key: Hashable, deliver: Callable[[list[Any]], Delivery]) -> None:
        while True:
            await asyncio.sleep(self._world.timing.batch)
            items, self._gathered[key] = self._gathered[key][:MOST_GATHERED], self._gathered[key][MOST_GATHERED:]
            if not items:
                del self._gathered[key]
                return
            await self.carry(deliver(items))

    async def get(self, url: str, params: dict[str, str]) -> tuple[int | None, str]:
        """The status and the text of what is at `url`; without a status, why there is none."""
        try:
            async with self._http().get(url, params=params, timeout=self._limit(), allow_redirects=False) as response:
                return response.status, await response.text(errors="replace")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return None, type(error).__name__

    async def carry(self, delivery: Delivery) -> None:
        """Deliver, and come back when it has arrived, was given up or was set aside by a fault to arrive later.

        So deliveries that are carried one after the other arrive in order, unless a fault mixes them."""
        faults = self._world.faults
        if faults.strike(delivery.channel, ("lose",), delivery.url):
            self._tell(delivery, 0, delivered=False, outcome="lost on purpose")
            return
        late = faults.strike(delivery.channel, ("late",), delivery.url)
        shuffle = faults.strike(delivery.channel, ("shuffle",), delivery.url)
        pause = (late.seconds if late else 0) + (self._world.random.uniform(0, shuffle.seconds) if shuffle else 0)
        duplicate = faults.strike(delivery.channel, ("duplicate",), delivery.url)
        copies = duplicate.copies if duplicate else 1
        if pause:
            self.spawn(self._deliver(delivery, copies, pause))
        else:
            await self._deliver(delivery, copies)

    async def _deliver(self, delivery: Delivery, copies: int, pause: float = 0.0) -> None:
        await asyncio.sleep(pause)
        for _ in range(copies):
            await self._attempts(delivery)

    async def _attempts(self, delivery: Delivery) -> None:
        pauses = self._world.timing.retry_pauses
        for attempt in range(1, delivery.attempts + 1):
            delivered, outcome = await self._post(delivery, attempt)
            self._tell(delivery, attempt, delivered=delivered, outcome=outcome)
            if delivered or attempt == delivery.attempts:
                if delivery.done is not None:
                    delivery.done(delivered, outcome)
                return
            await asyncio.sleep(pauses[min(attempt, len(pauses)) - 1] if pauses else 0)

    async def _post(self, delivery: Delivery, attempt: int) -> tuple[bool, str]:
        headers = delivery.headers(attempt)
        try:
            async with self._http().post(
                URL(delivery.url, encoded=True),  # as it was given: it may be signed
                data=delivery.body,
                headers=headers,
                timeout=self._limit(),
                allow_redirects=False,
            ) as response:
                await response.read()
                return HTTP_OK <= response.status < HTTP_REDIRECTS, str(response.status)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:  # ValueError: a host that is no name
            return False, type(error).__name__

    def _limit(self) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(self._world.timing.request_limit)

    def _http(self) -> aiohttp.ClientSession:
        if self._client is None:
            raise RuntimeError("the sandbox is not running: its lifespan has not started")
        return self._client

    def _tell(self, delivery: Delivery, attempt: int, *, delivered: bool, outcome: str) -> None:
        self._world.tell(
            "delivery",
            channel=delivery.channel,
            subject=delivery.subject,
            url=delivery.url,
            attempt=attempt,
            delivered=delivered,
            outcome=outcome,
        )
