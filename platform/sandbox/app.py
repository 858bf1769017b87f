"""The sandbox's Starlette app: each service under its prefix, the control API and the pages at the root."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount

from lead_orchestrator.sandbox.calendars import CalendarsApi
from lead_orchestrator.sandbox.clock import SandboxClock
from lead_orchestrator.sandbox.context import Sandbox
from lead_orchestrator.sandbox.control import ControlApi
from lead_orchestrator.sandbox.courier import Courier
from lead_orchestrator.sandbox.customers import CustomersApi
from lead_orchestrator.sandbox.google import GoogleApi
from lead_orchestrator.sandbox.openai import OpenAIApi
from lead_orchestrator.sandbox.pages import Pages
from lead_orchestrator.sandbox.sendgrid import SendGridApi
from lead_orchestrator.sandbox.shopmonkey import ShopMonkeyApi
from lead_orchestrator.sandbox.twilio import TwilioApi
from lead_orchestrator.sandbox.whatsapp import WhatsAppApi
from lead_orchestrator.sandbox.world import World

__all__ = ["create_sandbox"]

SERVICES = (
    ("/shopmonkey", ShopMonkeyApi),
    ("/twilio", TwilioApi),
    ("/sendgrid", SendGridApi),
    ("/whatsapp", WhatsAppApi),
    ("/google", GoogleApi),
    ("/openai", OpenAIApi),
)


def create_sandbox(world: World, *, clock: SandboxClock | None = None) -> Starlette:
    """The app over `world`. Each service answers under its own prefix and, by its own paths, at the root as well.

    It must be served with its lifespan; faults that drop a connection need `SandboxServer`."""
    sandbox = Sandbox(world, Courier(world), clock)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with sandbox.courier:
            yield

    services = [(prefix, service(sandbox).routes()) for prefix, service in SERVICES]
    routes: list[BaseRoute] = [Mount(prefix, routes=routes) for prefix, routes in services]
    routes += (
        ControlApi(sandbox).routes()
        + CustomersApi(sandbox).routes()
        + CalendarsApi(sandbox).routes()
        + Pages(sandbox).routes()
    )
    routes += [route for _, own in services for route in own]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: _not_found, 405: _not_allowed})
    app.state.sandbox = sandbox
    return app


async def _not_found(request: Request, _: Exception) -> Response:
    return _refusal(request, 404, "NOT_FOUND", "does not exist in the sandbox")


async def _not_allowed(request: Request, _: Exception) -> Response:
    return _refusal(request, 405, "METHOD_NOT_ALLOWED", f"does not take {request.method}")


def _refusal(request: Request, status: int, code: str, reason: str) -> Response:
    message = f"{request.url.path} {reason}"
    return JSONResponse(
        {"success": False, "code": code, "message": message, "error": {"code": code, "message": message}}, status
    )
