from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from lead_orchestrator.integrations.providers import ProviderBusy, ProviderRefused, ProviderUnknown
from lead_orchestrator.integrations.transport import exchange, json_object, retry_after
from tests.integrations.wire import Answer, Hangup, Silence, Wire


async def test_an_answer_of_any_status_is_returned(http: httpx.AsyncClient, wire: Wire) -> None:
    wire.answers(Answer(418, {"tea": True}))
    response = await exchange(http, "POST", wire.url, timeout=5, sending=True)
    assert (response.status_code, json_object(response)) == (418, {"tea": True})


async def test_a_refused_connection_was_certainly_not_accepted(http: httpx.AsyncClient, closed_port: str) -> None:
    with pytest.raises(ProviderBusy) as caught:
        await exchange(http, "POST", closed_port, timeout=5, sending=True)
    assert caught.value.code == "ConnectError"


async def test_a_connection_lost_after_the_request_is_unknown(http: httpx.AsyncClient, wire: Wire) -> None:
    wire.answers(Hangup())
    with pytest.raises(ProviderUnknown):
        await exchange(http, "POST", wire.url, timeout=5, sending=True)
    assert len(wire.requests) == 1


async def test_no_answer_in_time_is_unknown_and_the_whole_call_is_bounded(http: httpx.AsyncClient, wire: Wire) -> None:
    wire.answers(Silence())
    begun = time.monotonic()
    with pytest.raises(ProviderUnknown):
        await exchange(http, "POST", wire.url, timeout=0.2, sending=True)
    assert time.monotonic() - begun < 2


async def test_an_answer_that_trickles_for_ever_is_cut_off(http: httpx.AsyncClient) -> None:
    async def trickle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.02)

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(ProviderUnknown):
            await exchange(http, "POST", url, timeout=0.3, sending=True)


async def test_waiting_for_a_free_connection_is_certainly_not_accepted(wire: Wire) -> None:
    wire.answers(Silence())
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as one_connection:
        first = asyncio.create_task(exchange(one_connection, "POST", wire.url, timeout=5, sending=True))
        await wire.reached.wait()
        with pytest.raises(ProviderBusy) as caught:
            await exchange(one_connection, "POST", wire.url, timeout=0.2, sending=True)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert caught.value.code == "PoolTimeout"
    assert len(wire.requests) == 1


async def test_a_time_out_of_any_transport_is_unknown() -> None:
    async def never(_request: httpx.Request) -> httpx.Response:
        return await asyncio.Future()

    async with httpx.AsyncClient(transport=httpx.MockTransport(never)) as silent:
        with pytest.raises(ProviderUnknown):
            await exchange(silent, "POST", "http://provider.example.com", timeout=0.05, sending=True)


async def test_a_read_that_fails_may_be_repeated(http: httpx.AsyncClient, wire: Wire) -> None:
    wire.answers(Hangup())
    with pytest.raises(ProviderBusy):
        await exchange(http, "GET", wire.url, timeout=5, sending=False)


async def test_a_handshake_that_never_ends_is_certainly_not_accepted(http: httpx.AsyncClient) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(ProviderBusy) as caught:
            await exchange(http, "POST", url, timeout=0.3, sending=True)
    assert caught.value.code == "ConnectTimeout"


@pytest.mark.parametrize("key", ["schlüssel", "two\nlines", "\u2028"])
async def test_a_key_that_cannot_be_sent_is_the_tenants_to_mend(http: httpx.AsyncClient, wire: Wire, key: str) -> None:
    with pytest.raises(ProviderRefused) as caught:
        await exchange(http, "POST", wire.url, timeout=5, sending=True, headers={"Authorization": f"Bearer {key}"})
    assert caught.value.credentials
    assert key not in str(caught.value)
    assert wire.requests == []


async def test_a_text_that_cannot_be_sent_is_final_and_not_the_keys_fault(http: httpx.AsyncClient, wire: Wire) -> None:
    for body in ({"json": {"text": "\ud800"}}, {"data": {"text": "\ud800"}}):
        with pytest.raises(ProviderRefused) as caught:
            await exchange(http, "POST", wire.url, timeout=5, sending=True, **body)
        assert not caught.value.credentials
    assert wire.requests == []


async def test_a_cancelled_call_stays_cancelled(http: httpx.AsyncClient, wire: Wire) -> None:
    wire.answers(Silence())
    call = asyncio.create_task(exchange(http, "POST", wire.url, timeout=5, sending=True))
    await wire.reached.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_redirects_are_not_followed(http: httpx.AsyncClient, wire: Wire) -> None:
    wire.answers(Answer(307, {}, {"Location": "/elsewhere"}))
    response = await exchange(http, "POST", wire.url, timeout=5, sending=True)
    assert (response.status_code, len(wire.requests)) == (307, 1)


@pytest.mark.parametrize("body", ["<html>", "[1]", "null", '"text"', "[" * 100_000, ""])
def test_what_is_no_json_object_is_none(body: str) -> None:
    assert json_object(httpx.Response(200, content=body.encode())) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "1e300"}, 3600.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Sun, 22 Nov 2026 10:00:30 GMT", "Date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 30.0),
        ({"Retry-After": "Sun, 22 Nov 2026 10:00:30 GMT"}, None),
        ({"X-RateLimit-Reset": "1795341612", "Date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 12.0),
    ],
)
def test_the_wait_a_provider_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(httpx.Headers(headers)) == seconds
