"""ShopMonkey's webhook: find the tenant, prove the sender, store the change, answer. The work itself is a job."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lead_orchestrator.integrations.providers import SignatureError
from lead_orchestrator.integrations.shopmonkey.webhook import OrderHint, parse, verify
from lead_orchestrator.leads.ingestion import repository
from lead_orchestrator.leads.ingestion.models import EventSource
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy.lookups import Lookups, Route
from lead_orchestrator.tenancy.models import CrmConfig
from lead_orchestrator.tenancy.secrets import SecretOpener
from lead_orchestrator.tenancy.sessions import Scope, Tenancy
from lead_orchestrator.webhooks.body import read_body

__all__ = ["ShopMonkeyWebhook"]

_log = get_logger(__name__)

LARGEST_BODY = 256 * 1024  # a row is a few kilobytes; Standard Webhooks asks senders to stay below 20
SIGNED_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_ACCEPTED = 202

Wake = Callable[[UUID, UUID], Awaitable[None]]


@dataclass(frozen=True)
class ShopMonkeyWebhook:
    """`wake(tenant_id, event_id)` rings the worker after the commit; a bell that is not heard loses nothing."""

    tenancy: Tenancy
    lookups: Lookups
    secrets: SecretOpener
    wake: Wake

    async def receive(self, request: Request) -> Response:
        """`POST /webhooks/shopmonkey/order`: 202 when stored, known or about something else; 4xx says what is wrong."""
        body = await read_body(request, LARGEST_BODY)
        hint = parse(body)
        if hint is None:
            return _accepted("ignored", "not about an order")
        if hint.location_id is None:
            return _accepted("ignored", "the order has no location")
        route = await self.lookups.route("shopmonkey_location", hint.location_id)
        if route is None:
            return await self._unrouted(hint)
        return await self._routed(request, route, hint, body)

    async def _unrouted(self, hint: OrderHint) -> Response:
        kept = await self.lookups.record_unrouted(
            "shopmonkey", hint.location_id or "", hint.order_id, hint.operation[:20]
        )
        _log.info("webhook_unrouted", source="shopmonkey", kept=kept)
        return _accepted("unrouted", "no franchise has claimed this location yet")

    async def _routed(self, request: Request, route: Route, hint: OrderHint, body: bytes) -> Response:
        scope = Scope.service(route.tenant_id, "webhook:shopmonkey")
        async with self.tenancy.write(scope) as session:
            config = await repository.config(session)
            self._verify(config, request, body)
            event = _event(route, hint, request.headers["webhook-id"])
            event_id = await repository.store(session, event)
        if event_id is None:
            return _accepted("duplicate", "this change is known already")
        await self.wake(route.tenant_id, event_id)
        return _accepted("received", None)

    def _verify(self, config: CrmConfig | None, request: Request, body: bytes) -> None:
        now = datetime.now(UTC)
        try:
            # The first of repeated headers, here and where the delivery's id is stored: what was signed is what counts.
            headers = {name: request.headers.get(name, "") for name in SIGNED_HEADERS}
            verify(self._active_secrets(config, now), headers, body, now)
        except SignatureError as error:
            _log.warning("webhook_refused", source="shopmonkey", reason=error.reason)
            raise

    def _active_secrets(self, config: CrmConfig | None, now: datetime) -> list[str]:
        if config is None:
            return []
        sealed = [("shopmonkey_webhook_secret", config.webhook_secret)]
        until = config.previous_secret_valid_until
        if until is not None and until > now:
            sealed.append(("shopmonkey_webhook_secret", config.previous_webhook_secret))
        return [self.secrets.open(config.tenant_id, field, value) for field, value in sealed if value]


def _event(route: Route, hint: OrderHint, delivery_id: str) -> dict[str, object]:
    # The version too: two changes within one millisecond have the same date.
    stamp = "/".join(str(part) for part in (hint.updated_date, hint.version) if part is not None)
    change = f"{hint.table}:{hint.operation}:{hint.order_id}:{stamp}" if stamp else f"delivery:{delivery_id}"
    return {
        "location_id": route.location_id,
        "source": EventSource.WEBHOOK,
        "delivery_id": _short(delivery_id),
        "change_key": _short(change),
        "operation": hint.operation[:20],
        "external_id": hint.order_id,
        "external_location_id": hint.location_id,
    }


def _short(text: str) -> str:
    """The text, or its hash where it is longer than any honest one or holds what Postgres does not store."""
    honest = len(text) <= 300 and text.isprintable()  # noqa: PLR2004 - no sender has longer ones
    return text if honest else hashlib.sha256(text.encode()).hexdigest()


def _accepted(result: str, detail: str | None) -> Response:
    return JSONResponse({"result": result, "detail": detail}, status_code=_ACCEPTED)
