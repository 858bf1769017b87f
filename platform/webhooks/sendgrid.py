"""SendGrid's webhooks: what became of our mails, and customers' answers. Each tenant has an address of its own for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from lead_orchestrator.errors import NotFoundError
from lead_orchestrator.integrations.providers import SignatureError
from lead_orchestrator.integrations.sendgrid import events, inbound
from lead_orchestrator.integrations.sendgrid.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, verify
from lead_orchestrator.log import get_logger
from lead_orchestrator.messaging.inbound.models import Told
from lead_orchestrator.messaging.inbound.reading import mail_news, mail_received
from lead_orchestrator.tenancy.lookups import Route
from lead_orchestrator.tenancy.models import MessagingConfig
from lead_orchestrator.tenancy.secrets import token_hash
from lead_orchestrator.webhooks.body import read_body, read_parts
from lead_orchestrator.webhooks.inbox import Inbox, stored

__all__ = ["SendGridWebhooks"]

_log = get_logger(__name__)

LARGEST_EVENTS = 4 * 1024 * 1024
LARGEST_MAIL = 30 * 1024 * 1024  # SendGrid's own limit, attachments included
REPLAY_WINDOW = timedelta(hours=25)  # SendGrid repeats a delivery for a day; within it, ids tell what is known
SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class SendGridWebhooks:
    """The key in the address names the tenant; a wrong one is 404, so that a mistake in SendGrid's settings shows there."""

    inbox: Inbox

    async def events(self, request: Request) -> Response:
        """`POST /webhooks/sendgrid/events/{key}`: signed with the key that SendGrid shows for the account."""
        route = await self._route(request)
        body = await read_body(request, LARGEST_EVENTS)

        def check(config: MessagingConfig | None) -> None:
            keys = [config.sendgrid_event_public_key or ""] if config else []
            try:
                headers = request.headers
                signed = verify(keys, body, headers.get(SIGNATURE_HEADER), headers.get(TIMESTAMP_HEADER))
                if not -SKEW <= datetime.now(UTC) - signed <= REPLAY_WINDOW:
                    raise SignatureError("the timestamp is out of the window")
            except SignatureError as error:
                _log.warning("webhook_refused", source="sendgrid", reason=error.reason)
                raise

        told = _told(body)  # read after the check, by whoever stores it
        return stored(await self.inbox.keep(route.tenant_id, route.location_id, "sendgrid", told, check))

    async def mail(self, request: Request) -> Response:
        """`POST /webhooks/sendgrid/inbound/{key}`: not signed, so the key is a secret. Attachments are not kept."""
        route = await self._route(request)
        told = mail_received(inbound.parse(await read_parts(request, LARGEST_MAIL)))
        return stored(await self.inbox.keep(route.tenant_id, route.location_id, "sendgrid", [told] if told else []))

    async def _route(self, request: Request) -> Route:
        route = await self.inbox.route("sendgrid", token_hash(request.path_params["key"]).hex())
        if route is None:
            self.inbox.unrouted("sendgrid")
            raise NotFoundError("no franchise has this address: copy it again from the franchise's settings")
        return route


def _told(body: bytes) -> Iterator[Told]:
    yield from filter(None, map(mail_news, events.parse(body)))
