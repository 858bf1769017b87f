"""Visitors in many conversations: a process of its own, so that what is measured is the server.

It is told what to do by lines of JSON on standard input and answers each by one: {"enter": how many, "api": its address, "shop":
a slug} begins so many conversations and answers with how many are open by now; {"ask": [text, …]} has the newest visitors
write one text each, all at once, and answers with each one's `Heard`. Moments are those of the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import httpx
import uvloop

from lead_orchestrator.bench.programs import Partner
from lead_orchestrator.demo.visitor import Visitor, visiting
from lead_orchestrator.graphql.documents import visitors_documents

__all__ = ["Heard", "Visitors"]

_PATIENCE = 120.0
_HTTP = httpx.Limits(max_connections=50, max_keepalive_connections=50)


@dataclass(frozen=True)
class Heard:
    """Of one answer: when it was asked for, when its first words came (if any came before the message), and when it was there.
    `handed_over`: it said that a person takes over."""

    asked: float
    first: float | None
    whole: float
    handed_over: bool


class Visitors(Partner):
    """The process; ends with its `async with`."""

    def __init__(self, api: str, shop: str) -> None:
        super().__init__(__name__)
        self._where = {"api": api, "shop": shop}

    async def enter(self, count: int) -> int:
        """So many more, each in a conversation of its own; how many are open."""
        opened: int = (await self.ask({"enter": count, **self._where}))["open"]
        return opened

    async def write(self, texts: Sequence[str]) -> list[Heard | None]:
        """The newest visitors ask all at once, and wait for their answers; None for those who were handed over before."""
        return [Heard(**each) if each else None for each in (await self.ask({"ask": list(texts)}))["heard"]]


class _Seat:
    """A visitor, until a person takes over."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._handed_over = False

    async def ask(self, text: str) -> Heard | None:
        if self._handed_over:
            return None
        asked, first = perf_counter(), None
        await self._visitor.say(text)
        while True:
            event = await self._visitor.event()
            moment = perf_counter()
            if event["__typename"] == "ChatMessageDelta" and first is None:
                first = moment
            elif event["__typename"] == "ChatMessageAdded" and event["message"]["role"] != "USER":
                self._handed_over = event["message"]["role"] != "ASSISTANT"
                return Heard(asked, first, moment, self._handed_over)


async def _do(order: dict[str, Any], stack: AsyncExitStack, seats: list[_Seat]) -> dict[str, Any]:
    async with asyncio.timeout(_PATIENCE):
        if "enter" in order:
            http = await stack.enter_async_context(
                httpx.AsyncClient(base_url=order["api"], timeout=_PATIENCE, limits=_HTTP)
            )
            given, documents = {"locationSlug": order["shop"]}, visitors_documents()
            for _ in range(order["enter"]):
                visitor = await stack.enter_async_context(visiting(http, documents, given))
                seats.append(_Seat(visitor))
            gc.collect()
            gc.freeze()  # to look through a thousand sockets for garbage takes as long as what is timed
            return {"open": len(seats)}
        texts = order["ask"]
        newest = zip(seats[-len(texts) :], texts, strict=True)
        heard = await asyncio.gather(*(seat.ask(text) for seat, text in newest))
        return {"heard": [asdict(each) if each else None for each in heard]}


async def _serve() -> None:
    seats: list[_Seat] = []
    lines = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with AsyncExitStack() as stack:
        while line := await lines.readline():
            answer = await _do(json.loads(line), stack, seats)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        uvloop.run(_serve())
