"""What Google's answers mean, in our words."""

from __future__ import annotations

from typing import Any

import httpx

from lead_orchestrator.integrations.providers import ProviderBusy, ProviderRefused
from lead_orchestrator.integrations.transport import json_object, retry_after

__all__ = ["AccessExpired", "GoogleBusy", "GoogleGone", "GoogleRefused", "GrantLost", "raise_for"]

HTTP_UNAUTHORIZED, HTTP_FORBIDDEN, HTTP_NOT_FOUND, HTTP_TIMEOUT = 401, 403, 404, 408
HTTP_GONE, HTTP_TOO_MANY, HTTP_SERVER_ERROR = 410, 429, 500
LIMITS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"})


class GoogleRefused(ProviderRefused):
    """Google's own no."""


class GoogleBusy(ProviderBusy):
    """Google cannot answer now, or its answer was lost: every call here may be made again."""


class GrantLost(GoogleRefused):
    """`invalid_grant`: the account's owner took the permission back, or it lapsed. Only a new consent helps."""

    def __init__(self) -> None:
        super().__init__("invalid_grant", "Google no longer accepts the permission: connect again", credentials=True)


class AccessExpired(GoogleRefused):
    """401: the access token has run out; a refreshed one may do."""

    def __init__(self) -> None:
        super().__init__("http_401", "Google does not accept the access token", credentials=True)


class GoogleGone(GoogleRefused):
    """404 or 410: what was named is not there (any more). Of a list with a sync token: start anew."""

    def __init__(self, status: int) -> None:
        super().__init__(f"http_{status}", "Google no longer has what was asked for")
        self.status = status


def raise_for(response: httpx.Response) -> None:
    """Raise what an answer that is no success means; says nothing of a success."""
    if response.is_success:
        return
    status, answer = response.status_code, json_object(response)
    if answer is not None and answer.get("error") == "invalid_grant":
        raise GrantLost
    reason = _reason(answer)
    wall = status == HTTP_FORBIDDEN and answer is None
    later = status >= HTTP_SERVER_ERROR or status in (HTTP_TIMEOUT, HTTP_TOO_MANY)
    if later or wall or (status == HTTP_FORBIDDEN and reason in LIMITS):
        raise GoogleBusy(retry_after(response.headers), f"http_{status}")
    if status == HTTP_UNAUTHORIZED and not isinstance(answer and answer.get("error"), str):
        raise AccessExpired
    if status in (HTTP_NOT_FOUND, HTTP_GONE):
        raise GoogleGone(status)
    credentials = status in (HTTP_UNAUTHORIZED, HTTP_FORBIDDEN)
    raise GoogleRefused(f"http_{status}", f"Google refused the request (HTTP {status})", credentials=credentials)


def _reason(answer: dict[str, Any] | None) -> str | None:
    error = answer.get("error") if answer else None
    errors = error.get("errors") if isinstance(error, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    reason = first.get("reason") if isinstance(first, dict) else None
    return reason if isinstance(reason, str) else None
