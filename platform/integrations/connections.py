"""The HTTP client of all our calls: httpx's interface over aiohttp's connections, which cost a third of httpx's own.

httpx's pool looks at every connection for every request (measured with 40 calls under way: 6 ms of processor a call, here
0.9). What matters most is what an error means: only what certainly never left may be sent again (`transport.exchange`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self
from urllib.request import getproxies

import aiohttp
import httpx
from yarl import URL

__all__ = ["Connections", "open_client"]

IDLE_SECONDS = (
    3.0  # servers close idle connections, uvicorn after 5 s: a request on its way then may or may not be taken
)


def open_client(most: int) -> httpx.AsyncClient:
    """A client with at most `most` connections; with a proxy in the environment over httpx's own, which know its rules."""
    if getproxies().keys() & {"http", "https", "all"}:
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=IDLE_SECONDS)
        return httpx.AsyncClient(limits=limits)
    return _Client(Connections(most))


class _Client(httpx.AsyncClient):
    """A client that does what our calls need, at half the cost: no redirects, no hooks, and no cookies, since tenants share it."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(transport=connections)
        self._connections = connections

    async def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: Any = None,
        follow_redirects: Any = False,
    ) -> httpx.Response:
        if stream or follow_redirects is True:
            raise NotImplementedError("answers are read whole, redirects are not followed")
        if isinstance(auth, tuple):
            next(httpx.BasicAuth(*auth).auth_flow(request))
        response = await self._connections.handle_async_request(request)
        await response.aread()
        return response


class Connections(httpx.AsyncBaseTransport):
    """A pool of connections, HTTP/1.1, as a transport of httpx; bodies are read whole.

    aiohttp asks again by itself where a kept connection is lost, once, and only by methods that may be repeated (not POST).
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=self._most, ssl=_tls(), keepalive_timeout=IDLE_SECONDS)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Content-Type", "User-Agent"),
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._session is None:
            raise RuntimeError("the client is not open: use it in `async with`")
        limits = request.extensions.get("timeout", {})
        connect, read = limits.get("connect"), limits.get("read")
        with _told_in_words_of_httpx(request):
            async with self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=await request.aread() or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(connect=connect, sock_connect=connect, sock_read=read),
            ) as answer:
                body = await answer.read()
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=httpx.ByteStream(body), request=request)


@cache
def _tls() -> SSLContext:
    """One for the process: reading the certificate authorities takes 45 ms."""
    return httpx.create_ssl_context()


@contextmanager
def _told_in_words_of_httpx(request: httpx.Request) -> Iterator[None]:
    """Only what aiohttp raises before it has a connection becomes one of `transport.NEVER_SENT`."""
    try:
        yield
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise httpx.UnsupportedProtocol(_name(error), request=request) from None
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx.ConnectTimeout(_name(error), request=request) from None
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(_name(error), request=request) from None
    except aiohttp.ServerTimeoutError as error:
        raise httpx.ReadTimeout(_name(error), request=request) from None
    except (aiohttp.ClientError, OSError) as error:
        raise httpx.ReadError(_name(error), request=request) from None
    except ValueError as error:  # a line break in a header
        raise httpx.LocalProtocolError(_name(error), request=request) from None


def _name(error: Exception) -> str:
    """aiohttp's own sentences quote addresses."""
    return type(error).__name__
