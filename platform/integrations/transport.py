"""One HTTP exchange with a provider, which knows whether the request can have left this machine."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from lead_orchestrator.integrations.providers import ProviderBusy, ProviderUnknown

__all__ = ["Departure", "exchange", "json_object", "retry_after"]

LONGEST_WAIT = 3600.0
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Departure:
    """Watches httpcore's trace events: has the first byte of the request been handed to the socket?

    A transport that reports no events (a test's, another library's) counts as departed: the careful answer.
    """

    def __init__(self) -> None:
        self._seen = False
        self._left = False

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        self._seen = True
        if event.endswith("send_request_headers.started"):
            self._left = True

    @property
    def possible(self) -> bool:
        return self._left or not self._seen


async def exchange(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    timeout: float,  # noqa: ASYNC109  # the whole call's, told apart before and after the request left
    sending: bool,
    **request: Any,
) -> httpx.Response:
    """The provider's answer of whatever status, read to its end within `timeout` seconds; redirects are not followed.

    Raises:
        ProviderBusy: the request never left, or `sending` is false: a read changes nothing and may be repeated.
        ProviderUnknown: it may have left and no whole answer came.
    """
    departure = Departure()
    limits = httpx.Timeout(timeout, connect=timeout / 2, pool=timeout / 2)
    try:
        async with asyncio.timeout(timeout):
            return await http.request(
                method, url, timeout=limits, follow_redirects=False, extensions={"trace": departure.trace}, **request
            )
    except NEVER_SENT as error:
        raise ProviderBusy(None, type(error).__name__) from None
    except (httpx.HTTPError, TimeoutError) as error:
        name = type(error).__name__
        if sending and departure.possible:
            raise ProviderUnknown(f"{name} after the request may have left") from None
        raise ProviderBusy(None, name) from None


def json_object(response: httpx.Response) -> dict[str, Any] | None:
    """The body as a JSON object; None when it is anything else, as a gateway's HTML page is."""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds the provider asks us to wait, between 0 and an hour; None if it does not say.

    Reads Retry-After as seconds or as a date, else X-RateLimit-Reset. Dates are measured against the answer's own
    Date header, so a wrong clock here does no harm.
    """
    value = headers.get("retry-after", "")
    seconds = _number(value)
    if seconds is None:
        seconds = _since_answer(headers, _date(value) or _number(headers.get("x-ratelimit-reset", "")))
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_WAIT)


def _since_answer(headers: httpx.Headers, moment: float | None) -> float | None:
    answered = _date(headers.get("date", ""))
    return None if moment is None or answered is None else moment - answered


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None
