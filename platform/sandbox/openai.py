"""OpenAI's chat completions as the SDK meets them: one route, streamed or whole, with tools."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.context import Sandbox, json_object
from lead_orchestrator.sandbox.faults import DROP_EXTENSION, Fault, FaultReplies, guarded
from lead_orchestrator.sandbox.openai_world import MODEL, OBEDIENT_MODEL, ModelCall
from lead_orchestrator.sandbox.scripted_model import Conversation, Reply, reply
from lead_orchestrator.sandbox.scripted_obedience import obey

__all__ = ["OpenAIApi"]

PATH, MODELS_PATH = "/v1/chat/completions", "/v1/models"
LETTERS_A_TOKEN = 4
WORDS_A_PIECE = 3
MODELS: Mapping[str, Callable[[Conversation], Reply]] = {MODEL: reply, OBEDIENT_MODEL: obey}


class OpenAIError(Exception):
    """An answer in OpenAI's error envelope."""

    def __init__(self, status: int, code: str, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.body = status, {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def response(self, headers: Mapping[str, str] | None = None) -> JSONResponse:
        return JSONResponse(self.body, self.status, headers=headers)


def _bad_key() -> OpenAIError:
    return OpenAIError(401, "invalid_api_key", "invalid_request_error", "Incorrect API key provided.")


def _too_many(fault: Fault) -> Response:
    error = OpenAIError(429, "rate_limit_exceeded", "requests", "Rate limit reached.")
    return error.response({"retry-after": f"{fault.seconds:g}"})


class OpenAIApi:
    """The routes under OPENAI_BASE_URL."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._world = sandbox.world
        self._openai = sandbox.world.openai
        self._replies = FaultReplies(
            "openai",
            {
                "bad_credentials": lambda _: _bad_key().response(),
                "error_429": _too_many,
                "error_500": lambda _: OpenAIError(
                    500, "server_error", "server_error", "The server had an error."
                ).response(),
                "no_quota": lambda _: OpenAIError(
                    429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."
                ).response(),
            },
        )

    def routes(self) -> list[BaseRoute]:
        faults, replies = self._world.faults, self._replies
        return [
            Route(PATH, guarded(faults, replies, self._complete), methods=["POST"]),
            Route(MODELS_PATH, guarded(faults, replies, self._models), methods=["GET"]),
        ]

    async def _models(self, request: Request) -> Response:
        try:
            self._key(request)
        except OpenAIError as error:
            return error.response()
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in MODELS]})

    async def _complete(self, request: Request) -> Response:
        try:
            key = self._key(request)
            body = await json_object(request)
            conversation = _conversation(body)
            model = MODELS.get(str(body.get("model")))
            if model is None:
                raise OpenAIError(404, "model_not_found", "invalid_request_error", "The model does not exist.")
        except BadInputError as error:
            return OpenAIError(400, "invalid_request", "invalid_request_error", error.message).response()
        except OpenAIError as error:
            return error.response()
        said = model(conversation)
        answer = _Answer(str(body["model"]), said, _cost(body, said), _most(body))
        self._openai.calls.append(ModelCall(key, answer.model, body, answer.tokens))
        if body.get("stream") is True:
            return StreamingResponse(self._stream(request, answer, conversation), media_type="text/event-stream")
        return JSONResponse(answer.whole())

    def _key(self, request: Request) -> str:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.startswith(self._openai.key_prefix):
            raise _bad_key()
        return key

    async def _stream(self, request: Request, answer: _Answer, conversation: Conversation) -> AsyncIterator[str]:
        """Piece by piece; the faults of a stream strike after the first sentence, else before the end."""
        target, struck = f"{answer.model} {conversation.asked}", False
        for piece in answer.pieces():
            ends = not struck and piece.get("content", "").rstrip().endswith((".", "!", "?"))
            if ends:
                self._openai.sentences[conversation.asked] = time.perf_counter()
            yield _event(answer.chunk(piece))
            if self._openai.pace:
                await self._world.faults.pause(self._openai.pace)
            if ends:
                struck = True
                await self._strike(request, answer, target)
        if not struck:
            await self._strike(request, answer, target)
        yield _event(answer.chunk({}, answer.finish))
        yield _event(answer.usage())
        yield "data: [DONE]\n\n"

    async def _strike(self, request: Request, answer: _Answer, target: str) -> None:
        faults = self._world.faults
        if stall := faults.strike("openai", ("stall",), target):
            await faults.wait(stall)
        if faults.strike("openai", ("cut_stream",), target):
            request.scope["extensions"][DROP_EXTENSION]["close"]()
            await asyncio.Event().wait()  # until the server notices that nobody is there
        if faults.strike("openai", ("content_filter",), target):
            answer.finish = "content_filter"
            answer.silent = True


class _Answer:
    """One answer, as an object or in pieces."""

    def __init__(self, model: str, said: Reply, tokens: int, most: int) -> None:
        self.model, self.said, self.tokens = model, said, tokens
        self.id, self.created = f"chatcmpl-{secrets.token_hex(12)}", int(time.time())
        self.silent = False
        words = said.text.split(" ")
        cut = len(words) > most
        self._text = " ".join(words[:most]) if cut else said.text
        self.finish = "length" if cut else "tool_calls" if said.calls else "stop"

    def pieces(self) -> Sequence[dict[str, Any]]:
        words = self._text.split(" ") if self._text else []
        texts = [" ".join(words[at : at + WORDS_A_PIECE]) for at in range(0, len(words), WORDS_A_PIECE)]
        spaced = [text if number == len(texts) - 1 else f"{text} " for number, text in enumerate(texts)]
        return [
            {"role": "assistant", "content": ""},
            *({"content": part} for text in spaced for part in _at_sentences(text)),
            *({"tool_calls": [part]} for part in self._call_parts()),
        ]

    def _call_parts(self) -> list[dict[str, Any]]:
        """Each call's name first, then its arguments in two halves, as the real one streams them."""
        parts: list[dict[str, Any]] = []
        for index, (name, arguments) in enumerate(self.said.calls):
            text, head = arguments, {"id": f"call_{secrets.token_hex(8)}", "type": "function"}
            parts.append({"index": index, **head, "function": {"name": name, "arguments": ""}})
            half = len(text) // 2
            parts += [{"index": index, "function": {"arguments": piece}} for piece in (text[:half], text[half:])]
        return parts

    def chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        shown = {} if self.silent else delta
        choice = {"index": 0, "delta": shown, "finish_reason": finish, "logprobs": None}
        return {**self._head("chat.completion.chunk"), "choices": [choice], "usage": None}

    def usage(self) -> dict[str, Any]:
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage()}

    def whole(self) -> dict[str, Any]:
        calls = [
            {
                "id": f"call_{secrets.token_hex(8)}",
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }
            for name, arguments in self.said.calls
        ]
        message = {"role": "assistant", "content": self._text or None, "refusal": None}
        choice = {
            "index": 0,
            "message": {**message, "tool_calls": calls} if calls else message,
            "finish_reason": self.finish,
            "logprobs": None,
        }
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage()}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _usage(self) -> dict[str, int]:
        written = _tokens(self._text) + sum(_tokens(arguments) for _, arguments in self.said.calls)
        return {
            "prompt_tokens": self.tokens - written,
            "completion_tokens": written,
            "total_tokens": self.tokens,
        }


def _conversation(body: dict[str, Any]) -> Conversation:
    messages, tools = body.get("messages"), body.get("tools", [])
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise BadInputError("messages must be a list of at least one message")
    if not isinstance(tools, list):
        raise BadInputError("tools must be a list")
    answered = {str(one.get("tool_call_id")) for one in messages if one.get("role") == "tool"}
    asked = {str(call.get("id")) for one in messages for call in one.get("tool_calls") or ()}
    if answered != asked:
        raise BadInputError("each tool call must be followed by a tool message with its tool_call_id, and no other")
    names = [str(tool.get("function", {}).get("name")) for tool in tools if isinstance(tool, dict)]
    return Conversation(messages, names)


def _at_sentences(text: str) -> list[str]:
    """A piece that holds the end of a sentence, and the blank behind it, is two."""
    for at, letter in enumerate(text[:-2]):
        if letter in ".!?" and text[at + 1] == " ":
            return [text[: at + 2], text[at + 2 :]]
    return [text]


def _cost(body: dict[str, Any], said: Reply) -> int:
    written = _tokens(said.text) + sum(_tokens(arguments) for _, arguments in said.calls)
    return _tokens(json.dumps([body["messages"], body.get("tools", [])])) + written


def _most(body: dict[str, Any]) -> int:
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    return most if isinstance(most, int) and most > 0 else 4096


def _tokens(text: str) -> int:
    return -(-len(text) // LETTERS_A_TOKEN)


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"
