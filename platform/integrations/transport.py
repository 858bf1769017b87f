"""One HTTP exchange with a provider, which tells whether the request can have left this machine."""

from __future__ import annotations

import asyncio
import json
import math
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from lead_orchestrator.integrations.providers import ProviderBusy, ProviderRefused, ProviderUnknown

__all__ = ["exchange", "json_object", "retry_after"]

LONGEST_WAIT = 3600.0
CONNECT_SHARE = 0.3  # waiting for a connection, TCP and TLS each: together they end before the whole call does
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


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
        ProviderRefused: a header (the key's, in practice) or the body cannot be written.
    """
    before_sending = timeout * CONNECT_SHARE
    limits = httpx.Timeout(timeout, connect=before_sending, pool=before_sending)
    try:
        async with asyncio.timeout(timeout):
            return await http.request(method, url, timeout=limits, follow_redirects=False, **request)
    except NEVER_SENT as error:
        raise ProviderBusy(None, type(error).__name__) from None
    except (UnicodeEncodeError, httpx.LocalProtocolError) as error:
        in_header = isinstance(error, httpx.LocalProtocolError) or error.encoding == "ascii"
        place = "key" if in_header else "message"
        message = f"the {place} holds a character that cannot be sent; enter it again"
        raise ProviderRefused("unsendable", message, credentials=in_header) from None
    except (httpx.HTTPError, TimeoutError) as error:
        name = type(error).__name__
        if sending:
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
