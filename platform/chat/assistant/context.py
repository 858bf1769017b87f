"""What was said and shown in a conversation, kept in Redis between its answers, so that each reads what is new and not all of it.

Postgres is the truth: an entry says up to which version of the conversation it goes, and what came after that is read. One that is
missing, damaged, of another conversation or ahead of Postgres is not used, and all is read; without Redis all is read each time.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from lead_orchestrator import metrics
from lead_orchestrator.chat import repository
from lead_orchestrator.chat.conversations import MOST_REMEMBERED
from lead_orchestrator.chat.guard.evidence import Evidence
from lead_orchestrator.chat.models import ChatSession, Spoken
from lead_orchestrator.chat.tools import repository as tools_repository
from lead_orchestrator.chat.tools.models import Called, Memory
from lead_orchestrator.chat.tools.toolbox import REMEMBERED
from lead_orchestrator.clock import app_now
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.sessions import ReadSession

__all__ = ["FORMAT", "KEPT_SECONDS", "Context", "Contexts", "key_of"]

_log = get_logger(__name__)

KEPT_SECONDS = 15 * 60
PATIENCE, RESPITE = 0.25, 1.0
"""Seconds that Redis is waited for, and left alone for after that."""

FORMAT = "chat context 1"
"""Raise it when an entry is to hold something else: those of before are not ours any more then."""


class _Call(BaseModel):
    """A row of the tools that were called."""

    model_config = ConfigDict(from_attributes=True, extra="forbid")

    id: UUID
    created_at: AwareDatetime
    turn: int
    name: str
    arguments: dict[str, Any]
    result: dict[str, Any]
    evidence: dict[str, Any]
    handles: dict[str, Any]

    @property
    def called(self) -> Called:
        evidence = Evidence.from_json(self.evidence)
        return Called(self.turn, self.name, self.arguments, self.result, evidence, self.handles)


class _Entry(BaseModel):
    """All up to `version`, the newest messages and the newest calls, each in their order."""

    model_config = ConfigDict(extra="forbid")

    version: int
    messages: list[Spoken]
    calls: list[_Call]


_NOTHING = _Entry(version=0, messages=[], calls=[])


@dataclass(frozen=True)
class Context:
    """What an answer takes into account: the newest messages in their order, and what the tools have shown lately."""

    messages: Sequence[Spoken]
    memory: Memory


def key_of(tenant_id: UUID, chat_id: UUID) -> str:
    return f"lead:context:{tenant_id}:{chat_id}"


class Contexts:
    """`redis` None: there is none. Entries are sealed by `links`, for this tenant and conversation: what the guard lets an answer state
    comes from here, and must have come from Postgres."""

    def __init__(self, redis: Redis | None, links: LinkSigner, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._links = links
        self._clock = clock
        self._away_until = 0.0

    async def of(self, session: ReadSession, chat: ChatSession) -> Context:
        """The context of a conversation that is locked.

        The entry is written before the lock is given back: whoever closes or erases the conversation waits for that lock, so that
        nothing is written after `forget`.
        """
        known = await self._read(session.scope.tenant_id, chat)
        metrics.CONTEXTS.labels("kept" if known else "rebuilt").inc()
        entry = await _whole(session, chat, known or _NOTHING)
        await self._write(session.scope.tenant_id, chat, entry)
        return Context(entry.messages, Memory([call.called for call in entry.calls]))

    async def forget(self, tenant_id: UUID, chat_ids: Collection[UUID]) -> None:
        """These conversations are over, or erased; what cannot be deleted now is gone after `KEPT_SECONDS`."""
        keys = [key_of(tenant_id, chat_id) for chat_id in chat_ids]
        if self._redis is not None and keys:
            await self._ask(self._redis.delete(*keys))

    async def _read(self, tenant_id: UUID, chat: ChatSession) -> _Entry | None:
        if self._redis is None or self._clock() < self._away_until:
            return None
        kept = await self._ask(self._redis.get(key_of(tenant_id, chat.id)))
        if not isinstance(kept, bytes):
            return None
        whose = tenant_id.bytes + chat.id.bytes
        body = self._links.signed(FORMAT, kept.decode("latin-1")) or b""
        if not body.startswith(whose):
            return None
        try:
            entry = _Entry.model_validate_json(zlib.decompress(body[len(whose) :]), strict=True)
        except (zlib.error, ValidationError):
            return None
        return entry if entry.version <= chat.version else None

    async def _write(self, tenant_id: UUID, chat: ChatSession, entry: _Entry) -> None:
        if self._redis is None or self._clock() < self._away_until:
            return
        body = tenant_id.bytes + chat.id.bytes + zlib.compress(entry.model_dump_json().encode(), level=1)
        await self._ask(self._redis.set(key_of(tenant_id, chat.id), self._links.sign(FORMAT, body), ex=KEPT_SECONDS))

    async def _ask(self, asked: Awaitable[Any]) -> Any:
        """What Redis says; None while it is away."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await asked
        except (RedisError, OSError, TimeoutError) as error:
            self._away_until = self._clock() + RESPITE
            _log.warning("contexts_unreachable", reason=type(error).__name__)
            return None


async def _whole(session: ReadSession, chat: ChatSession, known: _Entry) -> _Entry:
    """`known` with all that it does not have, and without what counts no more."""
    messages, calls = list(known.messages), {call.id: call for call in known.calls}
    if known.version < chat.version:
        messages += await repository.newest_messages(session, chat.id, MOST_REMEMBERED, above=known.version)
    # Calls raise no version, and of a worker that was given up one may come late: so they are known by their ids.
    for row in await tools_repository.calls_since(session, chat.id, REMEMBERED, besides=list(calls)):
        calls[row.id] = _Call.model_validate(row)
    since = await app_now(session) - REMEMBERED
    lately = sorted(
        (call for call in calls.values() if call.created_at > since), key=lambda call: (call.created_at, call.id)
    )
    return _Entry(
        version=chat.version,
        messages=messages[-MOST_REMEMBERED:],
        calls=lately[-tools_repository.MOST_REMEMBERED :],
    )
