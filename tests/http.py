"""The HTTP client of the tests: loopback speaks no TLS, and reading the certificate authorities takes 45 ms a client."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

__all__ = ["open_http"]

_IDLE = httpx.Limits(keepalive_expiry=1.0)
"""Servers close what was idle for five seconds: nothing is sent at that moment."""
_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def open_http(base_url: httpx.URL | str = "", **options: Any) -> httpx.AsyncClient:
    """A client for servers on this machine, whatever proxies the environment names."""
    options = {"limits": _IDLE, **options}
    return httpx.AsyncClient(base_url=base_url, verify=_NO_AUTHORITIES, trust_env=False, **options)
