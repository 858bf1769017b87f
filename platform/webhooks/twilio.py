"""Twilio's webhooks: customers' texts, and what became of ours. Both are signed with the tenant's auth token."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.integrations.providers import SignatureError
from lead_orchestrator.integrations.twilio.signature import SIGNATURE_HEADER, public_address, verify
from lead_orchestrator.integrations.twilio.webhook import InboundText, parse_inbound, parse_status
from lead_orchestrator.leads.addresses import known_phone
from lead_orchestrator.log import get_logger
from lead_orchestrator.messaging.inbound.reading import text_news, text_received
from lead_orchestrator.messaging.reference import referenced
from lead_orchestrator.tenancy.lookups import Route
from lead_orchestrator.tenancy.models import MessagingConfig
from lead_orchestrator.tenancy.secrets import SecretOpener
from lead_orchestrator.webhooks.body import read_form
from lead_orchestrator.webhooks.inbox import Check, Inbox

__all__ = ["TwilioWebhooks"]

_log = get_logger(__name__)

LARGEST_BODY = 64 * 1024  # a text has at most 1,600 characters, and at most ten addresses of media beside it

Parameters = list[tuple[str, str]]


@dataclass(frozen=True)
class TwilioWebhooks:
    """Signatures are over `public_url`, never over the Host header, which the caller writes."""

    inbox: Inbox
    secrets: SecretOpener
    public_url: str

    async def text(self, request: Request) -> Response:
        """`POST /webhooks/twilio/sms`: an empty answer, so that Twilio says nothing in our name."""
        form = await read_form(request, LARGEST_BODY)
        text = parse_inbound(form)
        route = await self._route(text)
        if route is None:
            self.inbox.unrouted("twilio")
            return _nothing_to_say()
        told = text_received(text)
        check = self._signed(request, form)
        await self.inbox.keep(route.tenant_id, route.location_id, "twilio", [told] if told else [], check)
        return _nothing_to_say()

    async def status(self, request: Request) -> Response:
        """`POST /webhooks/twilio/status?tenant=…&message=…`, the address that each text of ours names."""
        form = await read_form(request, LARGEST_BODY)
        update = parse_status(form)
        ours = referenced(request.query_params.get("message"))
        tenant_id = _id(request.query_params.get("tenant", ""))
        if ours is None or tenant_id is None:
            raise BadInputError("the address names no message: use the one that was given to Twilio")
        told = text_news(update, *ours)
        await self.inbox.keep(tenant_id, None, "twilio", [told] if told else [], self._signed(request, form))
        return _nothing_to_say()

    async def _route(self, text: InboundText) -> Route | None:
        number = known_phone(text.to_number) or ""
        route = await self.inbox.route("phone_number", number)
        return route or await self.inbox.route("twilio_service", text.messaging_service_sid or "")

    def _signed(self, request: Request, form: Parameters) -> Check:
        query = request.scope["query_string"].decode("latin-1")
        url = public_address(self.public_url, request.scope["path"], query)

        def check(config: MessagingConfig | None) -> None:
            sealed = config.twilio_auth_token if config else None
            tokens = [self.secrets.open(config.tenant_id, "twilio_auth_token", sealed)] if config and sealed else []
            try:
                verify(tokens, url, form, request.headers.get(SIGNATURE_HEADER))
            except SignatureError as error:
                _log.warning("webhook_refused", source="twilio", reason=error.reason)
                raise

        return check


def _nothing_to_say() -> Response:
    return Response("<Response/>", media_type="text/xml")


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
