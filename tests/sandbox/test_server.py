from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from lead_orchestrator.sandbox.faults import Fault
from lead_orchestrator.sandbox.seed import demo_world
from lead_orchestrator.sandbox.server import SandboxServer
from tests.holding import Hold
from tests.http import open_http
from tests.sandbox.receiver import Receiver
from tests.sandbox.wire import ShopMonkey, Twilio, quote


async def test_it_ends_quickly_and_leaves_no_task_while_work_is_under_way(receiver: Receiver) -> None:
    before = asyncio.all_tasks()
    world = demo_world()
    async with SandboxServer(world) as server, open_http(server.url) as client:
        key = next(iter(world.companies.values())).api_key
        body = {"name": "Orders", "url": f"{receiver.url}/hook", "triggers": ["Order"]}
        await ShopMonkey(client, key).post("/webhook", body)
        await client.post("/faults", json={"service": "webhook", "kind": "late", "seconds": 60})
        hold = world.faults.add(Fault("twilio", "hold"))
        await client.post("/quotes", json=quote())
        hanging = asyncio.create_task(Twilio(client).send())
        await Hold(hold).reached()
        started = time.monotonic()
    took = time.monotonic() - started

    with pytest.raises(httpx.TransportError):
        await hanging
    assert took < 30  # not as long as what is under way would take
    assert asyncio.all_tasks() - before == set()


async def test_the_services_answer_at_the_root_and_under_their_prefix(client: httpx.AsyncClient) -> None:
    paths = ("/v3/order", "/shopmonkey/v3/order", "/2010-04-01/Accounts/AC1/Messages.json", "/v3/mail/send")

    answers = [await client.get(path) for path in paths]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 405]


async def test_an_unknown_path_is_a_json_404(client: httpx.AsyncClient) -> None:
    answer = await client.get("/shopmonkey/v3/nothing")

    assert (answer.status_code, answer.json()["success"]) == (404, False)


async def test_a_port_that_is_taken_is_an_error_and_not_an_exit(server: SandboxServer) -> None:
    with pytest.raises(OSError, match="in use"):
        async with SandboxServer(demo_world(), port=server.port):
            pass


async def test_a_reply_does_not_wait_for_delayed_acknowledgements(client: httpx.AsyncClient) -> None:
    started = time.monotonic()

    for _ in range(50):
        await client.get("/health")

    assert (time.monotonic() - started) / 50 < 0.03  # 40 ms each without TCP_NODELAY
