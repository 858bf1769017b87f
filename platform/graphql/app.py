"""GraphQL over HTTP: POST with one JSON object, nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from inspect import isawaitable
from typing import Any

import graphql as graphql_core
from cross_web import HTTPException
from graphql import DocumentNode, GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData, process_result
from strawberry.types import ExecutionResult

from lead_orchestrator.errors import AppError, RateLimitedError
from lead_orchestrator.graphql.context import Caller, Context, GraphQLServices
from lead_orchestrator.graphql.documents import trusted_documents
from lead_orchestrator.graphql.errors import is_unexpected, presented
from lead_orchestrator.graphql.events.sockets import Sockets
from lead_orchestrator.graphql.gate import Entry, Gate
from lead_orchestrator.graphql.known import Kept
from lead_orchestrator.graphql.limits import LARGEST_BODY
from lead_orchestrator.graphql.planner.run import Planner
from lead_orchestrator.graphql.scalars import checked_value
from lead_orchestrator.graphql.schema import make_schema
from lead_orchestrator.graphql.sites import Sites, marked
from lead_orchestrator.tenancy import sessions
from lead_orchestrator.tenancy.permissions import STAFF
from lead_orchestrator.tenancy.public.languages import preferred_language
from lead_orchestrator.tenancy.public.places import OriginRefusedError
from lead_orchestrator.tenancy.tokens import Claims
from lead_orchestrator.tenancy.writer import Writer

__all__ = ["GraphQLServices", "create_graphql_app"]

_ENTRY = "lead.entry"
MOST_SCOPES = 10_000


def create_graphql_app(services: GraphQLServices, sockets: Sockets | None = None) -> ASGIApp:
    """A bare ASGI app, to be mounted at /graphql; `sockets` serves its WebSockets, which are refused without.

    What was executed is answered with 200, whatever became of it; 400, 405, 413 and 415 are for
    requests that are none, 429 for those of a caller who has spent its budget.
    """
    return _App(services, sockets)


class _App(GraphQL[Context, None]):
    def __init__(self, services: GraphQLServices, sockets: Sockets | None) -> None:
        schema = make_schema(development=services.development)
        super().__init__(
            schema,
            graphql_ide="graphiql" if services.development else None,
            allow_queries_via_get=False,
            subscription_protocols=(),
        )
        self._services = services
        self._sockets = sockets
        self._core = schema._schema  # noqa: SLF001 - the library's own schema is what can be compiled
        self._gate = Gate(
            self._core,
            trusted_documents(),
            services.budgets,
            any_document=services.any_document,
        )
        self._planner = _planner(self._core, services)
        self._sites = Sites(services.access, services.places, services.limits)
        self._scopes: Kept[int, tuple[Claims, sessions.Scope]] = Kept(MOST_SCOPES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            refuse = WebSocket(scope, receive, send).close
            await (
                self._sockets(scope, receive, send)
                if self._sockets
                else refuse(reason="there are no subscriptions here")
            )
            return
        headers = dict(reversed(scope["headers"]))  # of several the first, as for whoever reads them later
        try:
            if scope["method"] == "OPTIONS":
                response: ASGIApp = await self._sites.preflight(_text_of(headers, b"origin"), _address(scope))
            else:
                caller = _text_of(headers, b"origin"), _text_of(headers, b"authorization"), _address(scope)
                send = marked(send, await self._sites.headers(*caller))
                response = await self._respond(scope, receive, headers)
        except HTTPException as error:
            response = _refusal(error.status_code, error.reason)
        except OriginRefusedError as error:
            response = _error(error, error.http_status)
            response.headers["vary"] = "Origin"
        except AppError as error:
            response = _error(error)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes]) -> ASGIApp:
        method = scope["method"]
        if method != "POST" and not (self._services.development and method == "GET"):
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "send a POST with a JSON object: {query, variables}")
        body = await _body(headers, receive)
        if body is None:
            message = f"the body is larger than {LARGEST_BODY} bytes: ask in several requests"
            return _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        if method == "GET":
            return await self.run(Request(scope, _once(body)))
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
            return _refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the JSON object as content-type: application/json")
        return await self._operation(scope, self.parse_json(body), _text_of(headers, b"authorization") or None)

    async def _operation(self, scope: Scope, read: dict[str, Any], authorization: str | None) -> ASGIApp:
        claims = self._services.access.remembered(authorization)
        if claims is None:
            await self._services.access.prepare(authorization)
            claims = self._claims(authorization)
        try:
            read = self._gate.document(read, claims)
            entry = await self._gate.enter(read, claims)
            answer = await self._planned(read, claims, authorization)
        except Exception as error:  # noqa: BLE001 - refusals, and the database away; masked like any other
            return _error(error)
        if answer is not None:
            return _Json(entry.onto(answer))
        return await self.run(Request({**scope, _ENTRY: entry}, _once(json.dumps(read).encode())))

    async def _planned(self, read: dict[str, Any], claims: Claims | None, authorization: str | None) -> bytes | None:
        """The planner's answer; None where the ordinary executor is to answer, or to say what is wrong."""
        if self._planner is None or claims is None or claims.role not in STAFF:
            return None
        variables, name = read.get("variables"), read.get("operationName")

        async def execute_rest(document: DocumentNode) -> graphql_core.ExecutionResult:
            return await self._executed(document, variables, name, authorization)

        return await self._planner.answer(read.get("query"), variables, name, self._scope(claims), execute_rest)

    def _scope(self, claims: Claims) -> sessions.Scope:
        """The scope of a token; one that comes again finds it made, with all that was worked out from it."""
        known = self._scopes.get(id(claims))
        if known is None or known[0] is not claims:
            known = self._scopes.put(id(claims), (claims, sessions.Scope.of(claims)))
        return known[1]

    async def _executed(
        self, document: DocumentNode, variables: dict[str, Any] | None, name: str | None, authorization: str | None
    ) -> graphql_core.ExecutionResult:
        """What the ordinary executor answers to a part of a valid query, its errors as they may leave."""
        context = Context(self._services, authorization)
        context.operation_name = name
        executing = graphql_core.execute(
            self._core, document, context_value=context, variable_values=variables, operation_name=name
        )
        try:
            result = await executing if isawaitable(executing) else executing
        finally:
            await context.finish(commit=False)
        return graphql_core.ExecutionResult(result.data, presented(result.errors))

    def _claims(self, authorization: str | None) -> Claims | None:
        try:
            return self._services.access.claims(authorization)
        except AppError:
            return None

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        context = Context(self._services, request.headers.get("authorization"), _caller(request))
        context.response = response
        return context

    def parse_json(self, data: str | bytes) -> Any:
        try:
            read = _DECODER.decode(_text(data))
        except _TwiceError as error:
            raise HTTPException(400, f"the body has the key {str(error)[:60]!r} twice in one object") from None
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
            await context.finish(commit=context.changed)
        except HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - a commit that failed, say; masked like any other
            return _failed(error)
        finally:
            await context.finish(commit=False)
        return result

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        result.errors = presented(result.errors)
        entry: Entry | None = request.scope.get(_ENTRY)
        if entry is not None:
            result.extensions = {**(result.extensions or {}), **entry.extensions()}
        return process_result(result)


def _text_of(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return value.decode("latin-1") if value is not None else None


def _address(scope: Scope) -> str | None:
    return scope["client"][0] if scope.get("client") else None


def _caller(request: Request | WebSocket) -> Caller:
    address = request.client.host if request.client else None
    return Caller(address, request.headers.get("origin"), preferred_language(request.headers.get("accept-language")))


def _planner(schema: graphql_core.GraphQLSchema, services: GraphQLServices) -> Planner | None:
    if services.reader is None:
        return None
    return Planner(schema, services.reader, Writer(services.tenancy, services.reader.connections))


def _failed(error: Exception) -> ExecutionResult:
    return ExecutionResult(data=None, errors=[GraphQLError(str(error), original_error=error)])


def _undone(result: ExecutionResult) -> ExecutionResult:
    """Of a transaction that was rolled back nothing may be shown as done."""
    return ExecutionResult(data=None, errors=result.errors)


def _no_number(name: str) -> float:
    raise ValueError(name)


def _text(data: str | bytes) -> str:
    if isinstance(data, str):
        return data
    encoding = "utf-8" if data.startswith(b'{"') else json.detect_encoding(data)
    return data.decode(encoding, "surrogatepass")


class _TwiceError(ValueError):
    """A key is twice in one object: readers of JSON differ in which of them they take."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _TwiceError(next(key for key in keys if keys.count(key) > 1))
    return read


_DECODER = json.JSONDecoder(parse_constant=_no_number, object_pairs_hook=_unique)


class _Json:
    """A text of JSON on its way out: what a `Response` adds costs a small answer more time than its planning."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(self._body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})


def _error(error: Exception, status: int = HTTPStatus.OK) -> Response:
    """The answer to an operation that was not executed."""
    raised = error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
    shown = presented([raised]) or []
    body = {"data": None, "errors": [one.formatted for one in shown]}
    if isinstance(error, RateLimitedError):
        return JSONResponse(body, error.http_status, {"retry-after": str(round(error.retry_after))})
    return JSONResponse(body, status)


def _refusal(status: int, message: str) -> Response:
    body = {"errors": [{"message": message, "extensions": {"code": "BAD_USER_INPUT"}}]}
    headers = {"allow": "POST"} if status == HTTPStatus.METHOD_NOT_ALLOWED else None
    return JSONResponse(body, status, headers)


async def _body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes | None:
    """The body, None if it is too large; no more of it is read than is allowed."""
    announced = headers.get(b"content-length", b"0")
    if not announced.isdigit() or int(announced[:20]) > LARGEST_BODY:
        return None
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            return None
        more = message.get("more_body", False)
    return bytes(body)


def _once(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
