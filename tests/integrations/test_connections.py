"""What the product's own HTTP client does with connections; what its errors mean stands in test_transport."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from lead_orchestrator.integrations.connections import Connections, open_client
from lead_orchestrator.integrations.providers import ProviderBusy, ProviderUnknown
from lead_orchestrator.integrations.transport import exchange
from tests.integrations.wire import Answer, Silence, Wire


async def test_a_kept_connection_that_is_lost_with_a_request_on_it_is_unknown_and_nothing_is_repeated() -> None:
    # given a provider that answers the first request of a connection and takes the second without a word
    heard: list[bytes] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    # when
    async with server, open_client(10) as http:
        await exchange(http, "POST", url, timeout=5, sending=True)
        with pytest.raises(ProviderUnknown):
            await exchange(http, "POST", url, timeout=5, sending=True)

    # then
    assert len(heard) == 2


async def test_waiting_for_a_free_connection_is_certainly_not_accepted(wire: Wire) -> None:
    wire.answers(Silence())
    async with open_client(1) as one_connection:
        first = asyncio.create_task(exchange(one_connection, "POST", wire.url, timeout=5, sending=True))
        await wire.reached.wait()
        with pytest.raises(ProviderBusy):
            await exchange(one_connection, "POST", wire.url, timeout=0.2, sending=True)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert len(wire.requests) == 1


async def test_a_cookie_that_was_set_for_one_franchise_is_not_sent_for_the_next(wire: Wire) -> None:
    wire.answers(Answer(200, {}, {"Set-Cookie": "account=AC1; Path=/"}), Answer(200, {}))
    async with open_client(10) as http:
        await http.get(wire.url)
        await http.get(wire.url)
    assert ["cookie" in {name.lower() for name in request.headers} for request in wire.requests] == [False, False]


async def test_addresses_and_headers_go_out_as_they_are_written(wire: Wire) -> None:
    wire.answers(Answer(200, {"name": "Ada"}))
    async with open_client(10) as http:
        answer = await http.get(f"{wire.url}/a%2Fb?To=%2B12135550100&Body=a%26b", headers={"X-Mine": "yes"})
    assert answer.json() == {"name": "Ada"}
    [request] = wire.requests
    assert request.target == "/a%2Fb?To=%2B12135550100&Body=a%26b"
    assert {name.lower(): value for name, value in request.headers.items()}["x-mine"] == "yes"


async def test_behind_a_proxy_its_rules_hold(monkeypatch: pytest.MonkeyPatch, wire: Wire) -> None:
    monkeypatch.setenv("HTTP_PROXY", wire.url)
    wire.answers(Answer(200, {"via": "proxy"}))
    async with open_client(10) as http:
        answer = await exchange(http, "POST", "http://provider.example.com/send", timeout=5, sending=True)
    assert answer.json() == {"via": "proxy"}
    assert wire.requests[0].target == "http://provider.example.com/send"


async def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await Connections(1).handle_async_request(httpx.Request("GET", "http://provider.example.com"))
