"""WhatsApp's webhook: one address for every number of the Meta app, signed with the app's secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from lead_orchestrator.errors import ForbiddenError
from lead_orchestrator.integrations.providers import SignatureError
from lead_orchestrator.integrations.whatsapp.signature import SIGNATURE_HEADER, challenge, verify
from lead_orchestrator.integrations.whatsapp.webhook import parse
from lead_orchestrator.log import get_logger
from lead_orchestrator.messaging.inbound.models import Told
from lead_orchestrator.messaging.inbound.reading import message_received, whatsapp_news
from lead_orchestrator.webhooks.body import read_body
from lead_orchestrator.webhooks.inbox import Inbox, stored

__all__ = ["WhatsAppWebhook"]

_log = get_logger(__name__)

LARGEST_BODY = 3 * 1024 * 1024  # Meta: up to 3 MB


@dataclass(frozen=True)
class WhatsAppWebhook:
    """`app_secrets` sign deliveries (several while one is replaced), `verify_token` the handshake; neither shows."""

    inbox: Inbox
    app_secrets: tuple[str, ...] = field(repr=False)
    verify_token: str = field(repr=False)

    async def handshake(self, request: Request) -> Response:
        """`GET /webhooks/whatsapp`: the challenge, for who knows our verify token; else 403."""
        try:
            return PlainTextResponse(challenge(self.verify_token, request.query_params))
        except SignatureError as error:
            _log.warning("webhook_refused", source="whatsapp", reason=error.reason)
            raise ForbiddenError("the verify token is not this installation's: set WHATSAPP_VERIFY_TOKEN") from None

    async def receive(self, request: Request) -> Response:
        """`POST /webhooks/whatsapp`: a batch, stored per tenant; what is of nobody's number is passed over."""
        body = await read_body(request, LARGEST_BODY)
        try:
            verify(self.app_secrets, body, request.headers.get(SIGNATURE_HEADER))
        except SignatureError as error:
            _log.warning("webhook_refused", source="whatsapp", reason=error.reason)
            raise
        new = 0
        for number, told in _by_number(body).items():
            route = await self.inbox.route("whatsapp_number", number)
            if route is None:
                self.inbox.unrouted("whatsapp")
            else:
                new += await self.inbox.keep(route.tenant_id, route.location_id, "whatsapp", told)
        return stored(new)


def _by_number(body: bytes) -> dict[str, list[Told]]:
    batch = parse(body)
    found: dict[str, list[Told]] = {}
    messages = ((item.phone_number_id, message_received(item)) for item in batch.messages)
    statuses = ((item.phone_number_id, whatsapp_news(item)) for item in batch.statuses)
    for number, told in chain(messages, statuses):
        if told is not None:
            found.setdefault(number, []).append(told)
    return found
