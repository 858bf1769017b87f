"""The api process: GraphQL, webhooks, customer links, health and figures, in one Starlette app."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from functools import cache
from http import HTTPStatus
from random import getrandbits
from time import perf_counter

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lead_orchestrator import metrics
from lead_orchestrator.administration.service import Administration
from lead_orchestrator.administration.support import Support
from lead_orchestrator.booking.appointments.visitors import BookingVisitors
from lead_orchestrator.booking.calendar.connections import CALLBACK
from lead_orchestrator.booking.calendar.sync import PUSH_PATH
from lead_orchestrator.chat.live import Live
from lead_orchestrator.chat.visitors import Visitors
from lead_orchestrator.errors import AppError, ConfigurationError, RateLimitedError
from lead_orchestrator.graphql.app import GraphQLServices, create_graphql_app
from lead_orchestrator.graphql.budgets import Budgets, budget_sizes
from lead_orchestrator.graphql.context import ChatServices
from lead_orchestrator.graphql.documents import visitors_documents
from lead_orchestrator.graphql.events.messages import LARGEST_MESSAGE
from lead_orchestrator.graphql.events.sockets import open_sockets
from lead_orchestrator.graphql.events.wake import Bell
from lead_orchestrator.health import readiness
from lead_orchestrator.jobs.alarms import Alarms
from lead_orchestrator.jobs.bells import AnswerBell, both
from lead_orchestrator.jobs.queue import Queue, open_queue
from lead_orchestrator.log import REQUEST_ID, get_logger
from lead_orchestrator.rest.account_pages import AccountPages
from lead_orchestrator.rest.accounts import AccountEndpoints
from lead_orchestrator.rest.admission import admitted
from lead_orchestrator.rest.api.edge import PublicServices
from lead_orchestrator.rest.google import GoogleCallback
from lead_orchestrator.rest.routes import PUBLIC_PATHS, public_routes
from lead_orchestrator.services import AUDIENCE, Services, open_services, required, token_issuer
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.access import Access, RevocationWatch
from lead_orchestrator.tenancy.accounts.limits import SignInLimits
from lead_orchestrator.tenancy.audit import audit_isolation
from lead_orchestrator.tenancy.public.limits import PublicLimits, public_rates
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.source import SOURCE
from lead_orchestrator.tenancy.tokens import TokenVerifier
from lead_orchestrator.webhooks.google import GoogleCalendarWebhook
from lead_orchestrator.webhooks.inbox import Inbox
from lead_orchestrator.webhooks.routes import MESSAGING_PATHS, messaging_routes, order_webhook_url
from lead_orchestrator.webhooks.shopmonkey import ShopMonkeyWebhook
from lead_orchestrator.wire import WholeAnswers

__all__ = ["graphql_services", "open_app", "server_config"]

DRAIN_SECONDS = 15
LISTENER_CHECK_SECONDS = 10

_UNLOGGED = frozenset({"/health", "/metrics", "/ready"})

_log = get_logger(__name__)
_kept = logging.getLogger(__name__)


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[ASGIApp]:
    """The app, with its pools open while the block lasts; serve it with its own lifespan off.

    Raises:
        ConfigurationError: a setting is missing, or the database's isolation has a fault.
    """
    issuer = token_issuer(settings)
    revocations = RevocationList()
    verifier = TokenVerifier([issuer.public_key_pem], settings.public_url, AUDIENCE, revocations=revocations)
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings))
        await _refuse_faults(services)
        queue = await open_queue(required(settings, "redis_url"))
        stack.push_async_callback(queue.redis.aclose, close_connection_pool=True)
        watch = RevocationWatch(services.lookups, revocations)
        await watch.start()
        stack.push_async_callback(watch.stop)
        bell = Bell(queue.redis)
        stack.push_async_callback(bell.close)
        services.tenancy.on_events = bell.ring
        alarms = Alarms(queue)
        stack.push_async_callback(alarms.close)
        services.tenancy.on_alarm = alarms.ring
        answers = AnswerBell(queue)
        stack.push_async_callback(answers.close)
        access = Access(verifier, revocations, services.outside(revocations))
        limits = PublicLimits(queue.redis, public_rates(settings))
        live = Live(queue.redis)
        stack.push_async_callback(live.close)
        services.tenancy.on_chats = both(live.moved, answers.ring)
        graphql = graphql_services(services, queue, access, limits, live)
        listening = Redis.from_url(required(settings, "redis_url"), health_check_interval=LISTENER_CHECK_SECONDS)
        stack.push_async_callback(listening.aclose)
        sockets = await stack.enter_async_context(
            open_sockets(graphql, services.lookups.heads, listening, chat_heads=services.lookups.chat_heads)
        )
        made = _routes(services, queue, create_graphql_app(graphql, sockets), access, limits)
        public = public_routes(
            _public(services, access, limits), services.leads, settings.public_url, visitors_documents()
        )
        routes = admitted([*made, *public], access)
        app = Starlette(routes=routes, exception_handlers={AppError: _expected, HTTPException: _http})
        _log.info("api_started")
        yield RequestLog(app, {route.path: route.app for route in routes if isinstance(route, _Whole)})
    _log.info("api_stopped")


def server_config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the app: requests under way get 15 seconds to end."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        http=WholeAnswers,
        ws="websockets-sansio",
        ws_max_size=LARGEST_MESSAGE,
        ws_per_message_deflate=False,  # it would be done anew for each of the sockets that get the same text
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


async def _refuse_faults(services: Services) -> None:
    """Better no api than one through which franchises could see each other."""
    findings = await audit_isolation(services.tenancy.engines.app, production=services.settings.production)
    for finding in findings:
        _log.warning("isolation_finding", rule=finding.rule, object=finding.object, severity=finding.severity)
    errors = [str(finding) for finding in findings if finding.severity == "error"]
    if errors:
        raise ConfigurationError(
            f"the api does not start: {'; '.join(errors)} (see `lead-orchestrator audit isolation`)"
        )


def graphql_services(
    services: Services,
    queue: Queue,
    access: Access,
    limits: PublicLimits | None = None,
    live: Live | None = None,
) -> GraphQLServices:
    """What the API works with in this process; `live` tells the listeners of conversations."""
    visitors = Visitors(
        services.tenancy,
        services.places,
        services.leads,
        services.links,
        services.secrets,
        token_issuer(services.settings),
    )
    return GraphQLServices(
        tenancy=services.tenancy,
        leads=services.leads,
        catalog=services.catalog,
        messages=services.messages,
        booking=services.booking,
        appointments=services.appointments,
        calendars=services.calendars.connections,
        freshness=services.calendars.freshness,
        booking_visitors=BookingVisitors(token_issuer(services.settings)),
        links=services.links,
        staff=services.people.staff,
        wake_mails=queue.account_mails,
        access=access,
        development=not services.settings.production,
        wake=queue.due,
        wake_event=queue.event,
        reader=services.reader,
        places=services.places,
        limits=limits,
        administration=Administration(
            services.tenants,
            Support(services.tenancy, token_issuer(services.settings)),
            services.saga,
            services.connections,
            order_webhook_url(services.settings.public_url),
        ),
        budgets=Budgets(queue.redis, budget_sizes(services.settings), services.tenants.requests_per_minute),
        chat=ChatServices(services.chats, services.hand_off, visitors, live or Live(queue.redis)),
    )


def _public(services: Services, access: Access, limits: PublicLimits) -> PublicServices:
    """What customers and partners work with in this process."""
    return PublicServices(
        tenancy=services.tenancy,
        places=services.places,
        limits=limits,
        access=access,
        links=services.links,
        submissions=services.submissions,
        messages=services.messages,
        booking=services.booking,
        appointments=services.appointments,
        freshness=services.calendars.freshness,
    )


def _routes(
    services: Services, queue: Queue, graphql: ASGIApp, access: Access, limits: PublicLimits
) -> Sequence[BaseRoute]:
    webhook = ShopMonkeyWebhook(services.tenancy, services.lookups, services.secrets, queue.event)
    google = GoogleCalendarWebhook(services.tenancy, services.links, queue.calendar)
    inbox = Inbox(services.tenancy, services.lookups, queue.inbound)
    sign_ins = SignInLimits(limits, services.settings.sign_in_attempts_per_minute)

    async def ready(_request: Request) -> Response:
        checks = await readiness(services, queue)
        ok = all(check.ok for check in checks)
        return JSONResponse({"ok": ok, "checks": [asdict(check) for check in checks]}, status_code=200 if ok else 503)

    async def jwks(_request: Request) -> Response:
        return JSONResponse(access.verifier.jwks(), headers={"Cache-Control": "public, max-age=300"})

    return [
        _Whole("/graphql", graphql),
        Route("/webhooks/shopmonkey/order", webhook.receive, methods=["POST"]),
        *messaging_routes(inbox, services.secrets, services.settings),
        *AccountEndpoints(
            services.people, access, sign_ins, services.settings.public_url, queue.account_mails
        ).routes(),
        *AccountPages(services.people.links, sign_ins).routes(),
        Route(PUSH_PATH, google.pushed, methods=["POST"]),
        Route(CALLBACK, GoogleCallback(services.calendars.connections, queue.calendar).returned, methods=["GET"]),
        Route("/.well-known/jwks.json", jwks),
        Route("/health", _health),
        Route("/ready", ready),
        Route("/metrics", _metrics),
    ]


class _Whole(BaseRoute):
    """One path, HTTP and WebSocket, handed to a bare ASGI app: no redirect to a slash, nothing in between."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        self.path = path
        self.app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        mine = scope["type"] in {"http", "websocket"} and scope["path"].rstrip("/") == self.path
        return (Match.FULL if mine else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


async def _health(_request: Request) -> Response:
    return JSONResponse({"ok": True})


async def _metrics(_request: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _expected(_request: Request, error: Exception) -> Response:
    if not isinstance(error, AppError):
        raise error
    headers = {"Retry-After": str(round(error.retry_after))} if isinstance(error, RateLimitedError) else None
    body = {"error": {"code": error.code, "message": error.message, "field": error.field}}
    return JSONResponse(body, status_code=error.http_status, headers=headers)


async def _http(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    body = {"error": {"code": HTTPStatus(error.status_code).name, "message": error.detail, "field": None}}
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


class RequestLog:
    """Gives each request an id, counts and times it by route, and turns what nobody expected into one masked answer.

    `direct` are the apps of single paths that need none of what `app` puts around its own.
    """

    def __init__(self, app: ASGIApp, direct: Mapping[str, ASGIApp] | None = None) -> None:
        self._app = app
        self._direct = direct or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        SOURCE.set(scope["client"][0] if scope.get("client") else None)  # each connection has a context of its own
        if scope["type"] != "http":
            await self._direct.get(scope["path"], self._app)(scope, receive, send)
            return
        request_id = f"{getrandbits(128):032x}"
        token = REQUEST_ID.set(request_id)
        try:
            await self._answer(scope, receive, send, request_id)
        finally:
            REQUEST_ID.reset(token)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        started, status = perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", request_id.encode())]}
            await send(message)

        try:
            await self._direct.get(scope["path"], self._app)(scope, receive, sending)
        except Exception:  # noqa: BLE001 - the last resort: whatever it is, the caller gets an id and we get the trace
            _log.exception("request_failed", route=_route(scope))
            if not status:
                await _masked(request_id)(scope, receive, sending)
        finally:
            _note(_route(scope), scope["method"], status, perf_counter() - started)


def _note(route: str, method: str, status: int, seconds: float) -> None:
    requests, times = _figures(route, status)
    requests.inc()
    times.observe(seconds)
    # A line that nobody keeps is not worth the time it takes to be made.
    if _kept.isEnabledFor(logging.INFO) and route not in _UNLOGGED:
        _log.info("request", route=route, method=method, status=status, milliseconds=round(seconds * 1000, 1))


@cache
def _figures(route: str, status: int) -> tuple[Counter, Histogram]:
    return metrics.REQUESTS.labels(route, str(status)), metrics.REQUEST_SECONDS.labels(route)


def _masked(request_id: str) -> Response:
    message = f"something went wrong on our side; if it happens again, tell us this id: {request_id}"
    return JSONResponse({"error": {"code": "INTERNAL", "message": message, "field": None}}, status_code=500)


_ROUTES = (
    "/auth/accept-invite",
    "/auth/links",
    "/auth/refresh",
    "/auth/reset",
    "/auth/second-factor",
    "/auth/sign-in",
    "/auth/sign-out",
    "/auth/sign-out-everywhere",
    "/webhooks/shopmonkey/order",
    *MESSAGING_PATHS,
    PUSH_PATH,
    CALLBACK,
    "/graphql",
    *PUBLIC_PATHS,
    "/.well-known/jwks.json",
    "/health",
    "/ready",
    "/metrics",
)


_WHOLE_ROUTES = frozenset(_ROUTES)


def _route(scope: Scope) -> str:
    """The route's pattern, never the path itself: paths carry tokens."""
    path: str = scope["path"]
    if path in _WHOLE_ROUTES:
        return path
    return next((route for route in _ROUTES if path == route or path.startswith(f"{route}/")), "other")
