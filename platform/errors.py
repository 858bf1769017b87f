"""The errors a caller may see. Everything else is one generic error with a logged id."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = [
    "AppError",
    "BadInputError",
    "ConfigurationError",
    "ForbiddenError",
    "NotFoundError",
    "RateLimitedError",
    "UnauthenticatedError",
    "UnavailableError",
]


class AppError(Exception):
    """An expected failure: `code` for programs, the message a sentence for people, `field` the path of the input at fault."""

    code = "INTERNAL"
    http_status = 500
    extensions: Mapping[str, object] = MappingProxyType({})
    """What programs may want to know beside the code, for GraphQL's `extensions`."""

    def __init__(self, message: str, *, code: str | None = None, field: tuple[str, ...] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        if code is not None:
            self.code = code


class BadInputError(AppError):
    """The input cannot be used as it is; the message names the offending value and what would do."""

    code = "BAD_USER_INPUT"
    http_status = 400


class UnauthenticatedError(AppError):
    """There is no valid token."""

    code = "UNAUTHENTICATED"
    http_status = 401


class ForbiddenError(AppError):
    """The caller is known and its role does not allow this."""

    code = "FORBIDDEN"
    http_status = 403


class NotFoundError(AppError):
    """It does not exist for this caller; what belongs to another tenant is not found either."""

    code = "NOT_FOUND"
    http_status = 404


class RateLimitedError(AppError):
    """Too many requests; `retry_after` is in seconds."""

    code = "RATE_LIMITED"
    http_status = 429

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnavailableError(AppError):
    """Something this needs is away for the moment; the caller may try again."""

    code = "UNAVAILABLE"
    http_status = 503


class ConfigurationError(AppError):
    """A setting is missing or wrong; raised at start only."""

    code = "CONFIGURATION"
