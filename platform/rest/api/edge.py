"""What stands around every operation: limits, the calling site, the request's form, and how errors are said."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lead_orchestrator.booking.appointments.service import Appointments
from lead_orchestrator.booking.calendar.freshness import Freshness
from lead_orchestrator.booking.service import Booking
from lead_orchestrator.db import is_away
from lead_orchestrator.errors import AppError, BadInputError, RateLimitedError, UnavailableError
from lead_orchestrator.log import get_logger
from lead_orchestrator.messaging.service import Messages
from lead_orchestrator.messaging.submissions import Submissions
from lead_orchestrator.rest.api.models import OfShop, shop_of
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.public.limits import READ, PublicLimits
from lead_orchestrator.tenancy.public.origins import answer_headers, preflight_headers
from lead_orchestrator.tenancy.public.places import Place, Places
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.webhooks.body import read_body

__all__ = ["Call", "Operation", "PublicServices", "client_address", "error_answer", "routes_of"]

_log = get_logger(__name__)

LARGEST_BODY = 32 * 1024
RETRY_SECONDS = 5
_SHOWN = 60
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
# The fields whose value may stand in a message: nothing about a person does.
_IMPERSONAL = frozenset(
    {"realtorId", "locationId", "serviceIds", "startsAt", "from", "to", "first", "after", "status", "surveyVersion"}
)


@dataclass(frozen=True)
class PublicServices:
    """What the operations work with."""

    tenancy: Tenancy
    places: Places
    limits: PublicLimits
    access: Access
    links: LinkSigner
    submissions: Submissions
    messages: Messages
    booking: Booking
    appointments: Appointments
    freshness: Freshness


@dataclass(frozen=True)
class Call:
    """One request: `asked` is its query or body, of the operation's model, `place` the shop it is about."""

    services: PublicServices
    request: Request
    asked: Any = None
    place: Place | None = None

    @property
    def shop(self) -> Place:
        if self.place is None:
            raise RuntimeError("an operation about a shop was called without one")
        return self.place

    @property
    def origin(self) -> str | None:
        return self.request.headers.get("origin")


@dataclass(frozen=True)
class Operation:
    """What is declared of an operation, which is all that validates and documents it. `refusals` are the statuses it may answer
    beside those that each may; `kind` is the budget it is counted in; `bearers` are those whose token it takes."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    summary: str
    kind: str
    handle: Callable[[Call], Awaitable[BaseModel]]
    answer: type[BaseModel]
    status: int = 200
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    headers: Sequence[str] = ()
    bearers: Sequence[Literal["staff", "lead"]] = ()
    refusals: Sequence[int] = field(default_factory=tuple)
    largest_body: int = LARGEST_BODY

    @property
    def about_a_shop(self) -> bool:
        model = self.query or self.body
        return model is not None and issubclass(model, OfShop)


def routes_of(operations: Sequence[Operation], services: PublicServices) -> list[Route]:
    """A route for each path; a method that it has not is answered with 405."""
    paths: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = operation
    return [Route(path, _endpoint(own, services), methods=[*own, "OPTIONS"], name=path) for path, own in paths.items()]


def _endpoint(own: Mapping[str, Operation], services: PublicServices) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if request.method == "OPTIONS":
            return await _preflight(services, request, own)
        return await _answered(own["GET" if request.method == "HEAD" else request.method], services, request)

    return endpoint


async def _preflight(services: PublicServices, request: Request, own: Mapping[str, Operation]) -> Response:
    origin = request.headers.get("origin")
    try:
        await services.limits.spend_by_address(client_address(request), READ)
        allowed = await services.places.known(origin)
    except AppError as error:
        return error_answer(error)
    headers = {**preflight_headers(origin, allowed=allowed), "Allow": ", ".join([*own, "OPTIONS"])}
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)


async def _answered(operation: Operation, services: PublicServices, request: Request) -> Response:
    call = Call(services, request)
    try:
        await services.limits.spend_by_address(client_address(request), operation.kind)
        asked = await _asked(operation, request)
        call = Call(services, request, asked)
        if isinstance(asked, OfShop):
            name, where = shop_of(asked)
            call = Call(services, request, asked, await services.places.find(name, field=where))
            call.shop.check_origin(call.origin)
            services.places.remember(call.origin)
            await services.limits.spend_by_place(call.shop, operation.kind)
        made = await operation.handle(call)
        response: Response = Response(
            made.model_dump_json(by_alias=True), operation.status, media_type="application/json"
        )
        allowed = await _allowed(call)
    except RateLimitedError as error:
        response, allowed = error_answer(error), services.places.allowed_lately(call.origin)
    except AppError as error:
        response, allowed = error_answer(error), await _allowed(call)
    except Exception as error:
        if not is_away(error):
            raise
        _log.warning("database_away", operation=operation.name, error=type(error).__name__)
        response = error_answer(UnavailableError("we cannot answer at this moment: try again in a few seconds"))
        allowed = services.places.allowed_lately(call.origin)
    for name, value in answer_headers(call.origin, allowed=allowed).items():
        response.headers[name] = value
    response.headers["Cache-Control"] = "no-store"
    return response


async def _allowed(call: Call) -> bool:
    if call.place is not None:
        return call.place.allows(call.origin)
    return await call.services.places.known(call.origin)


def client_address(request: Request) -> str | None:
    return request.client.host if request.client else None


def error_answer(error: AppError) -> Response:
    """As the API says it; 429 and 503 tell when to come back."""
    body = {
        "error": {"code": error.code, "message": error.message, "field": list(error.field) if error.field else None}
    }
    headers = {}
    if isinstance(error, RateLimitedError):
        headers["Retry-After"] = str(round(error.retry_after))
    elif error.http_status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_SECONDS)
    elif error.http_status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, status_code=error.http_status, headers=headers)


class _UnsupportedError(AppError):
    code = "UNSUPPORTED_MEDIA_TYPE"
    http_status = 415


async def _asked(operation: Operation, request: Request) -> BaseModel | None:
    """Raises AppError: 400, 413 or 415."""
    try:
        if operation.body is not None:
            return operation.body.model_validate_json(await _body(operation, request), strict=True)
        if operation.query is not None:
            return operation.query.model_validate(_query(operation.query, request))
    except ValidationError as error:
        raise _misshapen(error) from None
    return None


async def _body(operation: Operation, request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise _UnsupportedError("send the JSON object as content-type: application/json")
    body = await read_body(request, operation.largest_body)
    if _NUL.search(body):
        raise BadInputError("the body holds a NUL character, which is no text: leave it out")
    return body


def _query(model: type[BaseModel], request: Request) -> dict[str, object]:
    """The parameters that the model knows; those that others add to addresses are left alone."""
    read: dict[str, object] = {}
    for name, known in model.model_fields.items():
        alias = known.alias or name
        values = [value for value in request.query_params.getlist(alias) if value]
        if any("\x00" in value for value in values):
            raise BadInputError(f"{alias} holds a NUL character, which is no text: leave it out", field=(alias,))
        if values:
            many = "list[" in str(known.annotation)
            read[alias] = [part for value in values for part in value.split(",")] if many else values[0]
    return read


def _misshapen(error: ValidationError) -> BadInputError:
    """The first thing that is wrong; what was sent is quoted only where it says nothing about a person."""
    item = error.errors(include_url=False)[0]
    path = tuple(str(part) for part in item["loc"])
    if item["type"] == "json_invalid":
        return BadInputError("the body is no JSON: send one object", code="INVALID_BODY")
    if not path:
        return BadInputError("the body is no JSON object: send one", code="INVALID_BODY")
    name = ".".join(path)[:_SHOWN]
    path = tuple(part[:_SHOWN] for part in path)
    if item["type"] == "extra_forbidden":
        return BadInputError(f"there is no field {name!r}: leave it out", field=path)
    if item["type"] == "missing":
        return BadInputError(f"{name} is missing: send it", field=path)
    given = item.get("input")
    shown = f" is {str(given)[:_SHOWN]!r}" if path[0] in _IMPERSONAL and isinstance(given, str | int | float) else ""
    said = str(item["msg"]).removeprefix("Value error, ")
    return BadInputError(f"{name}{shown}: {said[:1].lower()}{said[1:]}", field=path)
