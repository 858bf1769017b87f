"""ShopMonkey's webhook behind a real HTTP server, and a sender that signs, or mis-signs, what it posts."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import socket
import time
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lead_orchestrator.errors import AppError
from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.webhooks.shopmonkey import ShopMonkeyWebhook
from tests.http import open_http

__all__ = ["PATH", "WebhookServer", "order_body", "serve_webhook", "signed_headers"]

PATH = "/webhooks/shopmonkey/order"
STARTS_WITHIN = 60


@dataclass(frozen=True)
class WebhookServer:
    """`woken` lists the (tenant, event) pairs whose worker was rung."""

    http: httpx.AsyncClient
    host: str
    port: int
    woken: list[tuple[UUID, UUID]] = field(default_factory=list)

    async def post(self, body: bytes, headers: Mapping[str, str] | httpx.Headers) -> httpx.Response:
        return await self.http.post(PATH, content=body, headers=headers)

    async def deliver(self, body: bytes, secret: str, **options: Any) -> httpx.Response:
        """Post `body` as ShopMonkey would; options as of `signed_headers`."""
        return await self.post(body, signed_headers(body, secret, **options))

    async def raw(self, request: bytes) -> bytes:
        """What the server answers to these bytes."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            with contextlib.suppress(ConnectionError):
                writer.write(request)
                await writer.drain()
            async with asyncio.timeout(STARTS_WITHIN):
                return await reader.read(4096)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def order_body(location: str, order_id: str | None = None, *, operation: str = "INSERT", **columns: Any) -> bytes:
    """A webhook's body about an order; `columns` replace those of the row."""
    row = {
        "id": order_id or str(uuid4()),
        "locationId": location,
        "updatedDate": "2026-05-01T10:00:00.000Z",
        "meta": {"version": 7},
        "name": "New Quote - Zoë",
        **columns,
    }
    payload = {"apiVersion": "v3", "operation": operation, "table": "order", "data": row}
    return json.dumps(payload, ensure_ascii=False).encode()


def signed_headers(
    body: bytes, secret: str | bytes, *, webhook_id: str | None = None, timestamp: int | None = None
) -> dict[str, str]:
    """The headers of a delivery, signed with `secret` as it is (text: its UTF-8 bytes)."""
    webhook_id, timestamp = webhook_id or f"wh_{uuid4().hex}", timestamp or int(time.time())
    key = secret.encode() if isinstance(secret, str) else secret
    signature = hmac.digest(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }


@asynccontextmanager
async def serve_webhook(tenancy: Tenancy, lookups: Lookups, secrets: SecretBox) -> AsyncIterator[WebhookServer]:
    """The webhook's route on a free port, with the api's answers to expected errors."""
    woken: list[tuple[UUID, UUID]] = []

    async def wake(tenant_id: UUID, event_id: UUID) -> None:
        woken.append((tenant_id, event_id))

    webhook = ShopMonkeyWebhook(tenancy, lookups, secrets, wake)
    app = Starlette(routes=[Route(PATH, webhook.receive, methods=["POST"])], exception_handlers={AppError: _expected})
    async with _listening(app) as port:
        limits = httpx.Limits(max_connections=40, max_keepalive_connections=40)
        async with open_http(f"http://127.0.0.1:{port}", limits=limits, timeout=30) as http:
            yield WebhookServer(http, "127.0.0.1", port, woken)


async def _expected(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    return JSONResponse({"error": {"code": error.code, "message": error.message}}, status_code=error.http_status)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield  # signals belong to the test process


@asynccontextmanager
async def _listening(app: Starlette) -> AsyncIterator[int]:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(STARTS_WITHIN):
            while not server.started:  # noqa: ASYNC110 - uvicorn rings no bell
                await asyncio.sleep(0.01)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running
