"""What a browser is told about calls from other sites (the Fetch standard's CORS); never a wildcard, never with cookies."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["answer_headers", "preflight_headers"]

MAX_AGE = 600
_METHODS = "GET, POST, OPTIONS"
_SENT = "authorization, content-type, idempotency-key"
_READ = "Retry-After, X-Request-Id"


def answer_headers(origin: str | None, *, allowed: bool) -> Mapping[str, str]:
    """For an answer to a call from `origin`; none but Vary where it is not allowed, or no browser asks."""
    if origin is None or not allowed:
        return {"Vary": "Origin"}
    return {"Vary": "Origin", "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": _READ}


def preflight_headers(origin: str | None, *, allowed: bool) -> Mapping[str, str]:
    """For the answer to OPTIONS, which a browser asks before a call from `origin`."""
    vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    if origin is None or not allowed:
        return {"Vary": vary}
    return {
        "Vary": vary,
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": _SENT,
        "Access-Control-Max-Age": str(MAX_AGE),
    }
