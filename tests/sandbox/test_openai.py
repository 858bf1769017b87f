"""OpenAI's protocol as any client sees it; the SDK's view is tested with our client."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from lead_orchestrator.sandbox.openai_world import MODEL, OBEDIENT_MODEL
from lead_orchestrator.sandbox.world import World

KEY = {"Authorization": "Bearer sk-demo-1"}
PATH = "/openai/v1/chat/completions"


def body(text: str, model: str = MODEL, **changes: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **changes}


def after(text: str, name: str, result: object) -> dict[str, Any]:
    """The conversation once the tool has answered."""
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": "{}"}}
    messages = [
        {"role": "user", "content": text},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": json.dumps(result)},
    ]
    return {"model": MODEL, "messages": messages}


async def answered(client: httpx.AsyncClient, asked: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(PATH, json=asked, headers=KEY)
    assert answer.status_code == 200, answer.text
    message: dict[str, Any] = answer.json()["choices"][0]["message"]
    return message


async def called(client: httpx.AsyncClient, asked: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    function = (await answered(client, asked))["tool_calls"][0]["function"]
    return function["name"], json.loads(function["arguments"])


@pytest.mark.parametrize(
    ("text", "tool"),
    [
        ("How much for ceramic tint on a Model 3?", "search_services"),
        ("¿Cuánto cuesta polarizar mi carro?", "search_services"),
        ("What are your hours?", "opening_hours"),
        ("¿A qué hora abren?", "opening_hours"),
        ("I want to talk to a human", "hand_over"),
        ("Quiero hablar con una persona", "hand_over"),
        ("Can I book an appointment?", "search_services"),
    ],
)
async def test_a_question_calls_its_tool(client: httpx.AsyncClient, text: str, tool: str) -> None:
    assert (await called(client, body(text)))[0] == tool


@pytest.mark.parametrize(
    ("text", "slot"),
    [
        ("The second one please", "t2"),
        ("2 pm works", "t2"),
        ("Yes, book it", "t1"),
        ("A las 9 por favor", "t1"),
        ("sí", "t1"),
        ("Tue 2026-12-01 14:00", "t2"),
        ("Wed 2026-12-02 09:00", "t3"),
    ],
)
async def test_an_offered_time_is_taken(client: httpx.AsyncClient, text: str, slot: str) -> None:
    offered = {
        "free": [
            {"slot": "t1", "when": "Tuesday, December 1 at 9:00 AM"},
            {"slot": "t2", "when": "Tuesday, December 1 at 2:00 PM"},
            {"slot": "t3", "when": "miércoles 2 de diciembre a las 9:00"},
        ]
    }
    asked = after("When are you free?", "free_slots", offered)
    asked["messages"] += [{"role": "assistant", "content": "9 or 2?"}, {"role": "user", "content": text}]

    assert await called(client, asked) == ("book_slot", {"name": None, "phone": None, "slot": slot})


async def test_prices_are_spoken_as_the_tool_gave_them(client: httpx.AsyncClient) -> None:
    services = {"services": [{"service": "s1", "name": "Sunroof Tint", "price": "$129.00"}]}

    english = await answered(client, after("How much is a sunroof?", "search_services", services))
    spanish = await answered(client, after("¿Cuánto cuesta el techo?", "search_services", services))

    assert english["content"].startswith("Sunroof Tint is $129.00.")
    assert spanish["content"].startswith("Sunroof Tint cuesta $129.00.")


async def test_the_obedient_model_says_and_calls_what_it_is_told(client: httpx.AsyncClient) -> None:
    said = await answered(client, body('Say "It is free"', OBEDIENT_MODEL))
    name, arguments = await called(client, body('call book_slot {"slot": "x", "lead": "lead_1"}', OBEDIENT_MODEL))
    decoded = await answered(client, body("base64: SXQgY29zdHMgJDE=", OBEDIENT_MODEL))

    assert said["content"] == "It is free"
    assert (name, arguments) == ("book_slot", {"slot": "x", "lead": "lead_1"})
    assert decoded["content"] == "It costs $1"


async def test_an_unknown_key_and_a_malformed_request_are_refused_as_openai_does(client: httpx.AsyncClient) -> None:
    stranger = await client.post(PATH, json=body("Hi"), headers={"Authorization": "Bearer sk-other"})
    empty = await client.post(PATH, json={"model": MODEL, "messages": []}, headers=KEY)
    open_call = after("Hi", "x", {})
    open_call["messages"].pop()
    unanswered = await client.post(PATH, json=open_call, headers=KEY)

    assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "invalid_api_key")
    assert (empty.status_code, unanswered.status_code) == (400, 400)


async def test_calls_are_kept_for_whoever_counts_them(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.post(PATH, json=body("Hi"), headers=KEY)

    assert [call.tokens for call in world.openai.calls] == [answer.json()["usage"]["total_tokens"]]
