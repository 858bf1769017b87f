"""One call to a model by OpenAI's SDK, streamed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from lead_orchestrator.integrations.openai.errors import (
    ModelBusy,
    ModelError,
    ModelFiltered,
    ModelLost,
    ModelRefused,
    ModelTimeout,
)
from lead_orchestrator.integrations.openai.models import Account, Ended, Said, ToolCall, Wanted

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI, AsyncStream
    from openai.types.chat import ChatCompletionChunk
    from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall

__all__ = ["OpenAIClient"]

HTTP_UNAUTHORIZED, HTTP_FORBIDDEN, HTTP_NOT_FOUND, HTTP_TOO_MANY, HTTP_SERVER_ERROR = 401, 403, 404, 429, 500
CONNECT_SECONDS = 5.0
# Terminal although it comes as a 429: the account has no money left.
_NO_QUOTA = "insufficient_quota"
_NO_KEY = "none"  # the SDK wants one when it is made; each call has its own


class OpenAIClient:
    """Streams answers for any tenant. It never tries again by itself: whoever asks counts the calls."""

    def __init__(self) -> None:
        self._made: AsyncOpenAI | None = None

    def prepare(self) -> None:
        """Load the SDK now, which takes half a second, not within the first answer."""
        self._sdk()

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()

    async def stream(self, account: Account, wanted: Wanted) -> AsyncGenerator[Said | Ended]:
        """The answer as it comes; the last part is an `Ended`. Close the iterator to hang up.

        Raises:
            ModelTimeout, ModelBusy, ModelLost, ModelFiltered, ModelRefused: see there.
        """
        calls: dict[int, _Call] = {}
        finish: str | None = None
        tokens: int | None = None
        deadline = asyncio.get_running_loop().time() + wanted.timeout
        async with _told_in_our_words(deadline):
            chunks = await self._begin(account, wanted)
        async with chunks:
            while (chunk := await _next(chunks, deadline)) is not None:
                tokens = chunk.usage.total_tokens if chunk.usage else tokens
                for choice in chunk.choices[:1]:
                    finish = choice.finish_reason or finish
                    for part in choice.delta.tool_calls or ():
                        calls.setdefault(part.index, _Call()).add(part)
                    if text := choice.delta.content or choice.delta.refusal:
                        yield Said(text)
        if finish is None:
            raise ModelLost
        if finish == "content_filter":
            raise ModelFiltered
        cut = finish == "length"
        yield Ended([] if cut else [call.whole() for _, call in sorted(calls.items())], tokens, cut)

    async def _begin(self, account: Account, wanted: Wanted) -> AsyncStream[ChatCompletionChunk]:
        client = self._sdk().with_options(
            api_key=account.api_key.get_secret_value(), base_url=account.base_url, timeout=wanted.timeout, max_retries=0
        )
        request: dict[str, Any] = {
            "model": account.model,
            "messages": wanted.messages,
            "max_completion_tokens": wanted.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if wanted.tools:
            request |= {"tools": wanted.tools, "parallel_tool_calls": False}
        chunks: AsyncStream[ChatCompletionChunk] = await client.chat.completions.create(**request)
        return chunks

    def _sdk(self) -> AsyncOpenAI:
        if self._made is None:
            from openai import AsyncOpenAI  # noqa: PLC0415  # half a second that only a worker should pay

            self._made = AsyncOpenAI(api_key=_NO_KEY, max_retries=0)
        return self._made


class _Call:
    """A tool call that comes in pieces."""

    def __init__(self) -> None:
        self.id = self.name = self.arguments = ""

    def add(self, part: ChoiceDeltaToolCall) -> None:
        self.id = part.id or self.id
        if part.function is not None:
            self.name += part.function.name or ""
            self.arguments += part.function.arguments or ""

    def whole(self) -> ToolCall:
        return ToolCall(self.id, self.name, self.arguments)


async def _next(chunks: AsyncStream[ChatCompletionChunk], deadline: float) -> ChatCompletionChunk | None:
    async with _told_in_our_words(deadline):
        return await anext(chunks, None)


@asynccontextmanager
async def _told_in_our_words(deadline: float) -> AsyncIterator[None]:
    import httpx2  # noqa: PLC0415  # it comes with the SDK
    import openai  # noqa: PLC0415  # see OpenAIClient._sdk

    try:
        async with asyncio.timeout_at(deadline):
            yield
    except (openai.APITimeoutError, httpx2.TimeoutException, TimeoutError):
        raise ModelTimeout from None
    except openai.APIStatusError as error:
        raise _refusal(error) from None
    except (openai.APIConnectionError, httpx2.HTTPError):
        raise ModelLost from None
    except openai.APIError as error:  # an error event within the stream
        raise _within_stream(error.code) from None
    except (openai.OpenAIError, UnicodeEncodeError, httpx2.InvalidURL):
        raise ModelRefused("unsendable", credentials=True) from None  # a key or an address that cannot be written
    except ValueError:
        raise ModelLost from None  # what came is no JSON


def _within_stream(code: str | None) -> ModelError:
    return ModelFiltered() if code == "content_filter" else ModelBusy(code or "stream_error", None)


def _refusal(error: APIStatusError) -> ModelError:
    status, code = error.status_code, error.code or f"http_{error.status_code}"
    if code == "content_filter":
        return ModelFiltered()
    if status == HTTP_TOO_MANY and _NO_QUOTA not in (error.code, error.type):
        return ModelBusy("http_429", _retry_after(error.response.headers))
    if status >= HTTP_SERVER_ERROR:
        return ModelBusy(f"http_{status}", _retry_after(error.response.headers))
    return ModelRefused(code, credentials=status in (HTTP_UNAUTHORIZED, HTTP_FORBIDDEN, HTTP_NOT_FOUND, HTTP_TOO_MANY))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    with suppress(ValueError):
        return max(0.0, float(headers.get("retry-after", "")))
    return None
