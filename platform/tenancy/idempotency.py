"""A request that is sent twice counts once: whoever brings the same key again is answered with what was made the first time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.tenancy import repository
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["LONGEST_KEY", "KeyReusedError", "Once", "once"]

LONGEST_KEY = 200


class KeyReusedError(BadInputError):
    """The key came with another request before."""

    code = "IDEMPOTENCY_KEY_REUSED"


@dataclass(frozen=True)
class Once:
    """What a request made: the key of a row, to be read in the caller's own scope; `again` if an earlier one made it."""

    result_id: UUID
    again: bool


async def once(
    session: WriteSession,
    operation: str,
    key: str,
    request: Mapping[str, object],
    work: Callable[[], Awaitable[UUID]],
    *,
    subject: str | None = None,
) -> Once:
    """Do `work` unless this subject did it with this key before; both in the session's transaction.

    `request` is what the key stands for, as JSON holds it. `subject` is who asks where the session is not in their name.
    Two requests at once take turns: the second one waits for the first, and does the work itself if that was undone.

    Raises:
        BadInputError: the key is empty or too long.
        KeyReusedError: the key came with another request before.
    """
    if not key.strip() or len(key) > LONGEST_KEY:
        message = (
            f"the idempotency key has {len(key)} characters: send 1 to {LONGEST_KEY}, another one for each request"
        )
        raise BadInputError(message, field=("idempotencyKey",))
    who, digest = subject or session.scope.subject, _hash(key, request)
    row_id = await repository.claim_key(session, who, operation, key, digest)
    if row_id is not None:
        result_id = await work()
        await repository.settle_key(session, row_id, result_id)
        return Once(result_id, again=False)
    before, made = await repository.made_with_key(session, who, operation, key)
    if before != digest or made is None:
        message = "this idempotency key came with another request before: send a new key for a new request"
        raise KeyReusedError(message, field=("idempotencyKey",))
    return Once(made, again=True)


def _hash(key: str, request: Mapping[str, object]) -> bytes:
    """Of the request under its key, so that equal requests of different people do not look equal."""
    written = json.dumps([key, request], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(written.encode()).digest()
