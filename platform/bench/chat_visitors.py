"""Visitors in many conversations: a process of its own, so that what is measured is the server.

It is told what to do by lines of JSON on standard input and answers each by one: {"enter": how many, "api": its address, "shop":
a slug} begins so many conversations and answers with how many are open by now; {"ask": [text, …]} has the newest visitors
write one text each, all at once, and answers with each one's `Heard`. Moments are those of the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
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
    """Of one answer: when it was asked for, when its first words came (if any came before the message), and when it was there."""

    asked: float
    first: float | None
    whole: float
    role: str


class Visitors(Partner):
    """The process; ends with its `async with`."""

    def __init__(self, api: str, shop: str) -> None:
        super().__init__(__name__)
        self._where = {"api": api, "shop": shop}

    async def enter(self, count: int) -> int:
        """So many more, each in a conversation of its own; how many are open."""
        opened: int = (await self.ask({"enter": count, **self._where}))["open"]
        return opened

    async def write(self, texts: Sequence[str]) -> list[Heard]:
        """The newest visitors ask all at once, and wait for their answers."""
        return [Heard(**each) for each in (await self.ask({"ask": list(texts)}))["heard"]]


async def _asks(visitor: Visitor, text: str) -> Heard:
    asked, first = perf_counter(), None
    await visitor.say(text)
    while True:
        event = await visitor.event()
        moment = perf_counter()
        if event["__typename"] == "ChatMessageDelta" and first is None:
            first = moment
        elif event["__typename"] == "ChatMessageAdded" and event["message"]["role"] != "USER":
            return Heard(asked, first, moment, event["message"]["role"])


async def _do(order: dict[str, Any], stack: AsyncExitStack, visitors: list[Visitor]) -> dict[str, Any]:
    async with asyncio.timeout(_PATIENCE):
        if "enter" in order:
            http = await stack.enter_async_context(
                httpx.AsyncClient(base_url=order["api"], timeout=_PATIENCE, limits=_HTTP)
            )
            given, documents = {"locationSlug": order["shop"]}, visitors_documents()
            for _ in range(order["enter"]):
                visitor = await stack.enter_async_context(visiting(http, documents, given))
                visitors.append(visitor)
            return {"open": len(visitors)}
        texts = order["ask"]
        heard = await asyncio.gather(*(_asks(*each) for each in zip(visitors[-len(texts) :], texts, strict=True)))
        return {"heard": [asdict(each) for each in heard]}


async def _serve() -> None:
    visitors: list[Visitor] = []
    lines = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with AsyncExitStack() as stack:
        while line := await lines.readline():
            answer = await _do(json.loads(line), stack, visitors)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        uvloop.run(_serve())
