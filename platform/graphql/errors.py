"""Errors as callers see them: the expected with their code, everything else as one sentence with the id it was logged by."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from graphql import GraphQLError, GraphQLSyntaxError

from lead_orchestrator.db import is_away
from lead_orchestrator.errors import AppError, UnavailableError
from lead_orchestrator.log import get_logger, where

__all__ = ["CODES", "is_unexpected", "presented"]

_log = get_logger(__name__)

CODES = frozenset(
    {
        "UNAUTHENTICATED",
        "FORBIDDEN",
        "NOT_FOUND",
        "BAD_USER_INPUT",
        "RATE_LIMITED",
        "QUERY_TOO_COMPLEX",
        "INTERNAL",
    }
)
_LONGEST_MESSAGE = 500
TOO_COMPLEX = "the document is nested too deep to be read: ask in several requests"


def presented(errors: Sequence[GraphQLError] | None) -> list[GraphQLError] | None:
    """`errors` as they may leave: with `extensions.code`, and what was not expected masked and logged."""
    return [_presented(error) for error in errors] if errors else None


def is_unexpected(error: GraphQLError) -> bool:
    """Whether this is a defect or an outage rather than an answer."""
    cause = _cause(error)
    return cause is not None and not isinstance(cause, AppError) and not _is_too_deep(error, cause)


def _cause(error: BaseException) -> BaseException | None:
    """What was raised; None for what the library itself has to say about a document or its variables."""
    while isinstance(error, GraphQLError):
        if error.original_error is None:
            return None
        error = error.original_error
    return error


def _is_too_deep(error: GraphQLError, cause: BaseException) -> bool:
    return isinstance(cause, RecursionError) and error.path is None  # the parser's or the validator's


def _presented(error: GraphQLError) -> GraphQLError:
    cause = _cause(error)
    if cause is None:
        return _made(error, _cut(error.message), {"code": _code(error)})
    if isinstance(cause, AppError):
        return _made(error, _cut(cause.message), _extensions(cause))
    if _is_too_deep(error, cause):
        return _made(error, TOO_COMPLEX, {"code": "QUERY_TOO_COMPLEX"})
    return _masked(error, cause)


def _code(error: GraphQLError) -> str:
    if isinstance(error, GraphQLSyntaxError) and "Parsing aborted" in error.message:  # the parser's limit of tokens
        return "QUERY_TOO_COMPLEX"
    return str((error.extensions or {}).get("code", "BAD_USER_INPUT"))


def _extensions(cause: AppError) -> dict[str, object]:
    code = cause.code if cause.code in CODES else type(cause).code
    extensions: dict[str, object] = {**cause.extensions, "code": code if code in CODES else "INTERNAL"}
    if cause.code != extensions["code"]:
        extensions["reason"] = cause.code
    if cause.field:
        extensions["field"] = list(cause.field)
    return extensions


def _sqlstate(cause: BaseException) -> str | None:
    state = getattr(getattr(cause, "orig", None), "sqlstate", None) or getattr(cause, "sqlstate", None)
    return str(state) if state else None


def _masked(error: GraphQLError, cause: BaseException) -> GraphQLError:
    number = str(uuid4())
    _log.error(
        "graphql_error",
        id=number,
        error=type(cause).__name__,
        sqlstate=_sqlstate(cause),
        path=".".join(map(str, error.path or ())),
        where=where(cause),
    )
    if is_away(cause):
        message = f"the database took too long or is away: ask for less, or again in a moment; it is logged as {number}"
        return _made(error, message, {"code": "INTERNAL", "reason": UnavailableError.code, "id": number})
    message = f"something went wrong on our side; it is logged as {number}"
    return _made(error, message, {"code": "INTERNAL", "id": number})


def _made(error: GraphQLError, message: str, extensions: dict[str, object]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )


def _cut(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]} …"
