"""The real SDK against the sandbox's model, and against wires that break."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from pydantic import SecretStr

from lead_orchestrator.integrations.openai.client import OpenAIClient
from lead_orchestrator.integrations.openai.errors import (
    ModelBusy,
    ModelError,
    ModelFiltered,
    ModelLost,
    ModelRefused,
    ModelTimeout,
)
from lead_orchestrator.integrations.openai.models import Account, Ended, Said, Wanted
from lead_orchestrator.sandbox.faults import Fault
from lead_orchestrator.sandbox.openai_world import MODEL
from lead_orchestrator.sandbox.seed import demo_world
from lead_orchestrator.sandbox.server import SandboxServer
from tests.integrations.wire import Answer, Hangup, Silence, Wire

PRICE = "How much is ceramic tint?"
SEARCH = {
    "type": "function",
    "function": {
        "name": "search_services",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
    },
}


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[SandboxServer]:
    async with SandboxServer(demo_world(seed=3)) as server:
        yield server


@pytest.fixture
def server(running: SandboxServer) -> SandboxServer:
    running.world.reset()
    return running


@pytest.fixture
async def client() -> AsyncIterator[OpenAIClient]:
    client = OpenAIClient()
    yield client
    await client.close()


def account(server: SandboxServer, **changes: Any) -> Account:
    return Account(**{"api_key": SecretStr("sk-demo-1"), "model": MODEL, "base_url": server.openai_url, **changes})


def user(text: str) -> dict[str, object]:
    return {"role": "user", "content": text}


async def answer(
    client: OpenAIClient, whom: Account, messages: Sequence[dict[str, object]], **wanted: Any
) -> tuple[str, Ended]:
    parts = [part async for part in client.stream(whom, Wanted(messages, [SEARCH], **wanted))]
    assert isinstance(parts[-1], Ended)
    return "".join(part.text for part in parts if isinstance(part, Said)), parts[-1]


async def test_a_tool_is_called_and_its_result_is_spoken(client: OpenAIClient, server: SandboxServer) -> None:
    asked = [user(PRICE)]

    _, first = await answer(client, account(server), asked)
    call = first.tool_calls[0]
    result = {"services": [{"service": "svc_1", "name": "Ceramic", "price": "$600.00"}]}
    asked += [
        {
            "role": "assistant",
            "tool_calls": [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            ],
        },
        {"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)},
    ]
    said, second = await answer(client, account(server), asked)

    assert (call.name, json.loads(call.arguments)) == ("search_services", {"query": PRICE})
    assert "Ceramic is $600.00." in said
    assert second.tool_calls == []
    assert first.tokens == server.world.openai.calls[0].tokens
    assert second.tokens == server.world.openai.calls[1].tokens


async def test_the_answer_comes_in_pieces(client: OpenAIClient, server: SandboxServer) -> None:
    parts = [part async for part in client.stream(account(server), Wanted([user("Hola")]))]

    assert len([part for part in parts if isinstance(part, Said)]) > 3


async def test_an_answer_that_meets_its_limit_says_so(client: OpenAIClient, server: SandboxServer) -> None:
    said, ended = await answer(client, account(server), [user("Hi")], max_tokens=5)

    assert ended.cut
    assert len(said.split()) == 5


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        ("error_429", ModelBusy, "http_429"),
        ("error_500", ModelBusy, "http_500"),
        ("bad_credentials", ModelRefused, "invalid_api_key"),
        ("no_quota", ModelRefused, "insufficient_quota"),
        ("drop", ModelLost, "lost"),
        ("cut_stream", ModelLost, "lost"),
        ("content_filter", ModelFiltered, "content_filter"),
    ],
)
async def test_what_goes_wrong_is_told_apart_and_never_tried_again(
    client: OpenAIClient, server: SandboxServer, kind: str, error: type[ModelError], code: str
) -> None:
    fault = server.world.faults.add(Fault("openai", kind, seconds=7))

    with pytest.raises(error) as caught:
        await answer(client, account(server), [user("Hi")])

    assert caught.value.code == code
    assert fault.struck == 1
    assert getattr(caught.value, "retry_after", None) == (7 if kind == "error_429" else None)
    assert getattr(caught.value, "credentials", None) in (None, kind in ("bad_credentials", "no_quota"))


async def test_an_answer_that_stops_in_the_middle_runs_out_of_time(client: OpenAIClient, server: SandboxServer) -> None:
    server.world.faults.add(Fault("openai", "stall", seconds=600))

    with pytest.raises(ModelTimeout):
        await answer(client, account(server), [user("Hi")], timeout=0.5)


async def test_an_unknown_model_is_the_accounts_fault(client: OpenAIClient, server: SandboxServer) -> None:
    with pytest.raises(ModelRefused) as caught:
        await answer(client, account(server, model="none-such"), [user("Hi")])

    assert caught.value.credentials


async def test_a_key_that_cannot_be_written_is_refused_and_not_shown(
    client: OpenAIClient, server: SandboxServer
) -> None:
    with pytest.raises(ModelRefused) as caught:
        await answer(client, account(server, api_key=SecretStr("sk-dé\nmo")), [user("Hi")])

    assert "sk-d" not in str(caught.value)
    assert "sk-d" not in repr(account(server, api_key=SecretStr("sk-dé\nmo")))


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (Hangup(), ModelLost),
        (Silence(), ModelTimeout),
        (Answer(200, "<html>a gateway</html>"), ModelLost),
        (Answer(502, "<html>a gateway</html>"), ModelBusy),
        (Answer(200, "data: {\n\n", {"Content-Type": "text/event-stream"}), ModelLost),
        (
            Answer(
                200,
                'data: {"error": {"message": "x", "code": "content_filter"}}\n\n',
                {"Content-Type": "text/event-stream"},
            ),
            ModelFiltered,
        ),
        (Answer(400, {"error": {"message": "quotes the customer", "code": "content_filter"}}), ModelFiltered),
    ],
)
async def test_whatever_a_gateway_answers_is_an_error_of_ours(
    client: OpenAIClient, server: SandboxServer, wire: Wire, behaviour: Any, error: type[ModelError]
) -> None:
    wire.answers(behaviour)

    with pytest.raises(error) as caught:
        await answer(
            client, account(server, base_url=wire.url), [user("Hi")], timeout=1.0 if error is ModelTimeout else 60.0
        )

    assert "quotes" not in str(caught.value)
