"""The API's ids: what they name stands before what they are, as in `lead_0199…`; cheap in SQL and checked on input."""

from __future__ import annotations

import re
from enum import StrEnum
from uuid import UUID

from asyncpg.pgproto import pgproto

from lead_orchestrator.errors import BadInputError

__all__ = ["Kind", "canonical_uuid", "decode", "encode", "kind_of"]

_SHOWN = 60
_CANONICAL = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Kind(StrEnum):
    """`MESSAGE` is one that was to be sent, `MESSAGE_LOG` one that came in: both are the API's Message."""

    TENANT = "tenant"
    LOCATION = "loc"
    USER = "user"
    LEAD = "lead"
    MESSAGE = "msg"
    MESSAGE_LOG = "log"
    WEBHOOK_EVENT = "whk"
    UNROUTED_WEBHOOK = "uwh"
    JOB_EXECUTION = "job"
    AUDIT_ENTRY = "aud"
    LOGIN_SESSION = "ses"
    SERVICE = "svc"
    CLOSURE = "clos"
    APPOINTMENT = "appt"
    CHAT_SESSION = "chat"
    CHAT_MESSAGE = "cmsg"


_KINDS = {kind.value: kind for kind in Kind}


def encode(kind: Kind, value: UUID) -> str:
    return f"{kind.value}_{value}"


def kind_of(text: str) -> Kind | None:
    """What `text` names, or None when it is no id of ours."""
    prefix, _, rest = text.partition("_")
    kind = _KINDS.get(prefix)
    return kind if canonical_uuid(rest) is not None else None


def decode(kind: Kind, text: str, *, field: str | None = None) -> UUID:
    """The key within `text`; `field` is the input it came from.

    Raises:
        BadInputError: it is no id of this kind.
    """
    prefix, _, rest = text.partition("_")
    value = canonical_uuid(rest) if prefix == kind.value else None
    if value is None:
        message = f"{text[:_SHOWN]!r} is not an id of this kind: it begins with {kind.value}_ and ends with a UUID"
        raise BadInputError(message, field=(field,) if field else None)
    return value


def canonical_uuid(text: str) -> UUID | None:
    """The UUID as it is written in lower case with hyphens; None for anything else, also for what UUID() would read.

    As the database hands them out: equal to any other, and made and written in an eighth of the time.
    """
    return pgproto.UUID(text) if _CANONICAL.fullmatch(text) else None
