"""GraphQL over HTTP: POST with one JSON object, nothing else."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from cross_web import HTTPException
from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData, process_result
from strawberry.types import ExecutionResult

from lead_orchestrator.graphql.context import Context, GraphQLServices
from lead_orchestrator.graphql.errors import is_unexpected, presented
from lead_orchestrator.graphql.limits import LARGEST_BODY
from lead_orchestrator.graphql.scalars import checked_value
from lead_orchestrator.graphql.schema import make_schema

__all__ = ["GraphQLServices", "create_graphql_app"]


def create_graphql_app(services: GraphQLServices) -> ASGIApp:
    """A bare ASGI app, to be mounted at /graphql.

    What was executed is answered with 200, whatever became of it; 400, 405 and 413 are for requests that are none.
    """
    return _App(services)


class _App(GraphQL[Context, None]):
    def __init__(self, services: GraphQLServices) -> None:
        super().__init__(
            make_schema(development=services.development),
            graphql_ide="graphiql" if services.development else None,
            allow_queries_via_get=False,
            subscription_protocols=(),
        )
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).close(reason="there are no subscriptions here")
            return
        try:
            response = await self._respond(Request(scope, receive))
        except HTTPException as error:
            response = _refusal(error.status_code, error.reason)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if request.method != "POST" and not (self._services.development and request.method == "GET"):
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "send a POST with a JSON object: {query, variables}")
        body = await _body(request)
        if body is None:
            message = f"the body is larger than {LARGEST_BODY} bytes: ask in several requests"
            return _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        return await self.run(Request(request.scope, _once(body)))

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:  # noqa: ARG002 - the library's signature
        return Context(self._services, request.headers.get("authorization"))

    def parse_json(self, data: str | bytes) -> Any:
        try:
            read = json.loads(data, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise HTTPException(400, "the body is not JSON: send one object {query, variables}") from None
        if isinstance(read, list):
            raise HTTPException(400, "batches are not taken: send one operation a request")
        if not isinstance(read, dict):
            raise HTTPException(400, "the body is not a JSON object: send {query, variables}")
        if not isinstance(read.get("operationName"), str | None):
            raise HTTPException(400, "operationName is not a string")
        return read

    async def execute_single(  # type: ignore[override]  # the library calls it by name only
        self, *, request_data: GraphQLRequestData, context: Context, **rest: Any
    ) -> ExecutionResult:
        context.operation_name = request_data.operation_name
        try:
            checked_value(request_data.variables)
            result = await super().execute_single(request_data=request_data, context=context, **rest)
            if any(map(is_unexpected, result.errors or ())):
                await context.finish(commit=False)
                return _undone(result) if context.wrote else result
            await context.finish(commit=True)
        except HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - a commit that failed, say; masked like any other
            return _failed(error)
        finally:
            await context.finish(commit=False)
        return result

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:  # noqa: ARG002 - the library's signature
        result.errors = presented(result.errors)
        return process_result(result)


def _failed(error: Exception) -> ExecutionResult:
    return ExecutionResult(data=None, errors=[GraphQLError(str(error), original_error=error)])


def _undone(result: ExecutionResult) -> ExecutionResult:
    """Of a transaction that was rolled back nothing may be shown as done."""
    return ExecutionResult(data=None, errors=result.errors)


def _no_number(name: str) -> float:
    raise ValueError(name)


def _refusal(status: int, message: str) -> Response:
    body = {"errors": [{"message": message, "extensions": {"code": "BAD_USER_INPUT"}}]}
    headers = {"allow": "POST"} if status == HTTPStatus.METHOD_NOT_ALLOWED else None
    return JSONResponse(body, status, headers)


async def _body(request: Request) -> bytes | None:
    """The body, None if it is too large; no more of it is read than is allowed."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced[:20]) > LARGEST_BODY:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            return None
    return bytes(body)


def _once(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
