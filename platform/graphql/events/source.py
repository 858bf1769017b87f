"""Reads events from Postgres, in the rights of whoever will see them; so many readers at once, the others wait."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from lead_orchestrator.graphql.context import Context, GraphQLServices
from lead_orchestrator.graphql.events import repository
from lead_orchestrator.graphql.events.operation import Operation
from lead_orchestrator.graphql.events.repository import Place
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.tenancy.tokens import Claims, Role

__all__ = ["READERS", "Batch", "EventContext", "Rendered", "Source", "shared"]

# Of the pool's ten: requests need the others.
READERS = 4
LARGEST_PORTION = 1_000_000
_NOBODY = "subscription"


@dataclass(frozen=True)
class Rendered:
    """An event as the text that goes out."""

    position: int
    text: str


@dataclass(frozen=True)
class Batch:
    """The events up to `until`, inclusive."""

    events: Sequence[Rendered]
    until: int

    def portions(self) -> Iterator[Batch]:
        """The same in parts of about a megabyte, so that a queue takes one or several."""
        part: list[Rendered] = []
        size = 0
        for event in self.events:
            if part and size + len(event.text) > LARGEST_PORTION:
                yield Batch(part, part[-1].position)
                part, size = [], 0
            part.append(event)
            size += len(event.text)
        yield Batch(part, self.until)


def shared(claims: Claims) -> Claims:
    """The rights without the person: what is rendered by them is the same for everybody who has them."""
    session_id = claims.session_id if claims.role is Role.VISITOR else None  # a visitor's is what it may read
    return replace(claims, subject=_NOBODY, token_id=_NOBODY, session_id=session_id)


class EventContext(Context):
    """An operation in rights that were verified when the socket was opened."""

    def __init__(self, services: GraphQLServices, claims: Claims) -> None:
        super().__init__(services, None)
        self.__dict__["claims"] = claims  # fills the cached property


class Source:
    """The events of all tenants, each read in a scope of one."""

    def __init__(self, services: GraphQLServices) -> None:
        self._services = services
        self._turns = asyncio.Semaphore(READERS)

    async def head(self, tenant_id: UUID) -> int:
        """The newest position."""
        async with self._turns, self._services.tenancy.read(Scope.service(tenant_id, _NOBODY)) as session:
            return await repository.head(session)

    async def places(self, tenant_id: UUID, after: int, limit: int) -> Sequence[Place]:
        """Where the next events stand: ids only, to know whom they concern."""
        async with self._turns, self._services.tenancy.read(Scope.service(tenant_id, _NOBODY)) as session:
            return await repository.places_after(session, after, limit)

    async def render(self, operation: Operation, claims: Claims, after: int, until: int, limit: int) -> Batch:
        """The first `limit` events above `after` and up to `until`, in the rights of `claims`, in one transaction."""
        context = EventContext(self._services, claims)
        async with self._turns:
            try:
                rows = await context.run(repository.events_between, operation.wanted, after, until, limit)
                texts = await asyncio.gather(*(operation.render(event, lead, context) for event, lead in rows))
                last = rows[-1][0].position if len(rows) == limit else until
                events = [Rendered(event.position, text) for (event, _), text in zip(rows, texts, strict=True) if text]
            finally:
                await context.finish(commit=False)
        return Batch(events, last)
