"""Subscribers who may see the same and asked for the same: an event is read and serialised once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from contextlib import suppress
from typing import Protocol

from lead_orchestrator.graphql.events.operation import Operation
from lead_orchestrator.graphql.events.repository import Place
from lead_orchestrator.graphql.events.source import Batch, Rendered, shared
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.tenancy.tokens import Claims, Role

__all__ = ["Group", "Membership", "Reads", "Subscriber", "group_key"]

_log = get_logger(__name__)

LARGEST_BATCH = 100
MOST_FRAMES_AT_ONCE = 5_000
PATIENCE_SECONDS = 1.0
RETRY_SECONDS = 0.5
_LOOK_SECONDS = 0.005


class Reads(Protocol):
    """Where a group's events come from."""

    async def render(self, operation: Operation, claims: Claims, after: int, until: int, limit: int) -> Batch:
        """The first `limit` events above `after` and up to `until`, in the rights of `claims`."""
        ...


class Subscriber(Protocol):
    """Where a subscription's events go."""

    @property
    def waiting(self) -> bool:
        """Whether something it was given has not left yet."""
        ...

    def deliver(self, events: Sequence[Rendered]) -> None: ...

    def whisper(self, text: str) -> None:
        """Something that may get lost, and has no cursor."""
        ...

    async def drained(self) -> None:
        """Until nothing waits."""
        ...


def group_key(operation: Operation, claims: Claims) -> Hashable:
    """Equal for subscribers who get equal texts: the same rights, document and variables."""
    scope = Scope.of(claims)
    own = scope.session_id if claims.role is Role.VISITOR else None
    return operation.key, claims.role, scope.location_ids, scope.lead_id, own


class Membership:
    """One subscription within its group. It replays what it lacks, then is live.

    Nothing is buffered meanwhile: what happens during the replay is in Postgres, and there is no await between finding that
    the group is no further and being live.
    """

    def __init__(self, key: Hashable, group: Group, subscriber: Subscriber, after: int | None) -> None:
        self.key = key
        self.group = group
        self.subscriber = subscriber
        self.cursor = group.position if after is None else after
        self.live = after is None
        self.behind = False

    async def catch_up(self) -> None:
        """Deliver what lies between the cursor and the group's position, in portions that the subscriber takes."""
        while self.cursor < self.group.position:
            batch = await self.group.between(self.cursor, self.group.position)
            for portion in batch.portions():
                self.give(portion)
                await self.subscriber.drained()
        self.live = True

    def give(self, batch: Batch) -> None:
        """Deliver what is new to it."""
        if news := [event for event in batch.events if event.position > self.cursor]:
            self.subscriber.deliver(news)
        self.cursor = max(self.cursor, batch.until)


class Group:
    """`position`: every event up to it was given to the live members. It is driven by the tenant's tail."""

    def __init__(self, operation: Operation, claims: Claims, source: Reads, position: int) -> None:
        self.members: set[Membership] = set()
        self.position = position
        self._target = position
        self.operation = operation
        self.claims = shared(claims)
        self._locations = claims.location_ids
        self._source = source
        self._due = asyncio.Event()
        self._reading: dict[tuple[int, int], asyncio.Future[Batch]] = {}
        self._task = asyncio.create_task(self._run(), name="event-group")

    async def close(self) -> None:
        for reading in self._reading.values():
            reading.cancel()
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def join(self, key: Hashable, subscriber: Subscriber, after: int | None) -> Membership:
        """A new member; live at once unless it goes on from a cursor."""
        member = Membership(key, self, subscriber, after)
        self.members.add(member)
        return member

    def offer(self, places: Sequence[Place], until: int) -> None:
        """There are new events up to `until`; if none is for this group and none waits, nothing is read."""
        idle = self.position == self._target
        self._target = until
        if any(map(self._wants, places)):
            self._due.set()
        elif idle:
            self.position = until

    def advance_to(self, until: int) -> None:
        """There are new events up to `until`, and all of them are for this group."""
        self._target = max(self._target, until)
        self._due.set()

    def whisper(self, text: str) -> None:
        """Tell the live members something that may get lost."""
        for member in self.members:
            if member.live:
                member.subscriber.whisper(text)

    def _wants(self, place: Place) -> bool:
        seen = self._locations is None or place.location_id in self._locations
        return seen and self.operation.wanted.wants(place)

    async def between(self, after: int, until: int, limit: int = LARGEST_BATCH) -> Batch:
        """A portion of the events above `after`; who asks for the same at the same time shares the answer."""
        key = (after, until)
        reading = self._reading.get(key)
        if reading is None:
            work = self._source.render(self.operation, self.claims, after, until, limit)
            reading = self._reading[key] = asyncio.ensure_future(work)
            reading.add_done_callback(lambda done: self._read(key, done))
        return await asyncio.shield(reading)  # whoever leaves does not take it from the others

    def _read(self, key: tuple[int, int], reading: asyncio.Future[Batch]) -> None:
        del self._reading[key]
        if not reading.cancelled():
            reading.exception()  # seen, also when everybody who waited has left

    async def _run(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                while self.position < self._target:
                    await self._advance()
            except Exception as error:  # noqa: BLE001 - the database is away, say: the events are there when it is back
                _log.warning("events_unreadable", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                self._due.set()

    async def _advance(self) -> None:
        live = max(1, sum(member.live for member in self.members))
        limit = max(1, min(LARGEST_BATCH, MOST_FRAMES_AT_ONCE // live))
        batch = await self.between(self.position, self._target, limit)
        for portion in batch.portions():
            self._fan_out(portion)
            if portion.events:
                await self._pace()

    def _fan_out(self, portion: Batch) -> None:
        self.position = portion.until
        for member in [member for member in self.members if member.live]:
            member.behind = member.behind and member.subscriber.waiting
            member.give(portion)

    async def _pace(self) -> None:
        """The next portion waits for those who read; who takes nothing for a while is waited for no more."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_SECONDS
        while slow := [member for member in self.members if not member.behind and member.subscriber.waiting]:
            if loop.time() > deadline:
                for member in slow:
                    member.behind = True
                return
            await asyncio.sleep(_LOOK_SECONDS)
