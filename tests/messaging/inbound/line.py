"""A stack whose api listens: what providers post reaches it over HTTP, signed as they sign."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
from pydantic import SecretStr

from lead_orchestrator.demo.run import listen, run_api
from lead_orchestrator.leads.models import Lead, LeadStatus
from lead_orchestrator.sandbox.seed import SUN_SHADE, DemoFranchise
from lead_orchestrator.sandbox.signatures import sendgrid_public_key, sign_sendgrid_events, sign_twilio_request
from lead_orchestrator.tenancy.onboarding import parse_franchise
from tests.database import TestDatabase
from tests.http import open_http
from tests.messaging.leads import change, make_lead
from tests.stack import Stack, franchise_file, open_stack

__all__ = ["APP_SECRET", "NUMBER", "VERIFY_TOKEN", "WHATSAPP_NUMBER", "Line", "described", "open_line"]

APP_SECRET, VERIFY_TOKEN = "meta-app-secret", "handshake-token"
NUMBER = SUN_SHADE.twilio_numbers[0]
WHATSAPP_NUMBER = "106540352242922"
ROUTE_KEY = "a-key-of-the-tests-0123456789"


def described(franchise: DemoFranchise = SUN_SHADE, **messaging: Any) -> dict[str, Any]:
    """The franchise's onboarding file with accounts on every channel."""
    file = franchise_file(franchise)
    file["messaging"] |= {
        "sendgridRouteKey": ROUTE_KEY,
        "whatsappPhoneNumberId": WHATSAPP_NUMBER,
        "whatsappAccessToken": "EAA-token",
        **messaging,
    }
    return file


@dataclass
class Line:
    """The running api (`url`) and everything behind it; `texted` and `told` wait for no worker."""

    stack: Stack
    http: httpx.AsyncClient
    url: str

    @property
    def tenant_id(self) -> UUID:
        return self.stack.tenant_id

    async def lead(self, *, contacted: bool = True, **fields: Any) -> Lead:
        """A lead at the first shop, contacted unless told otherwise; its first touch is still to come."""
        lead = await make_lead(self.stack, **fields)
        if contacted:
            leads = self.stack.services.leads
            await change(self.stack, lead.id, lambda session, own: leads.move(session, own, LeadStatus.CONTACTED, "t"))
        return lead

    async def form(self, path: str, fields: Mapping[str, str], **options: Any) -> httpx.Response:
        """Post a form as Twilio does; `token` and `signed_url` are the right ones unless told."""
        token = options.get("token", SUN_SHADE.twilio_auth_token)
        signature = sign_twilio_request(token, options.get("signed_url", self.url + path), fields.items())
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "X-Twilio-Signature": signature,
        }
        return await self.http.post(path, content=urlencode(fields), headers=headers)

    async def text(self, sender: str, body: str, *, to: str = NUMBER, sid: str | None = None, **more: str) -> str:
        """A customer's text arrives at the api; returns its sid."""
        sid = sid or f"SM{uuid4().hex}"
        fields = text_form(sender, body, to=to, sid=sid, **more)
        answer = await self.form("/webhooks/twilio/sms", fields)
        assert (answer.status_code, answer.text) == (200, "<Response/>")
        return sid

    async def says(self, sender: str, body: str, **more: str) -> str:
        """As `text`, and what waits is processed."""
        sid = await self.text(sender, body, **more)
        await self.process()
        return sid

    async def meta(
        self, payload: object, *, secret: str = APP_SECRET, path: str = "/webhooks/whatsapp"
    ) -> httpx.Response:
        """Post as Meta does, signed over the raw bytes."""
        body = json.dumps(payload, ensure_ascii=True).encode()
        signature = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
        return await self.http.post(path, content=body, headers=headers)

    async def mail_events(self, *events: Mapping[str, object], key: str = ROUTE_KEY, age: int = 0) -> httpx.Response:
        """Post events as SendGrid does."""
        body = json.dumps(list(events)).encode()
        stamp = str(int(time.time()) - age)
        [account] = [
            one for one in self.stack.world.sendgrid_accounts.values() if one.api_key == SUN_SHADE.sendgrid_api_key
        ]
        headers = {
            "Content-Type": "application/json",
            "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
            "X-Twilio-Email-Event-Webhook-Signature": sign_sendgrid_events(account.signing_key, stamp, body),
        }
        return await self.http.post(f"/webhooks/sendgrid/events/{key}", content=body, headers=headers)

    async def process(self) -> None:
        """What the worker would do now: apply every stored event and send what is due to be said."""
        services = self.stack.services
        while applied := await services.inbound.sweep(self.tenant_id):
            for one in applied:
                if one.answer_to is not None:
                    await services.dispatcher.dispatch(self.tenant_id, one.answer_to)

    async def events(self) -> list[dict[str, Any]]:
        return await self.stack.rows("SELECT * FROM webhook_events ORDER BY received_at, id")

    async def mute(self) -> None:
        """The providers tell nothing by themselves from now on."""
        for service in ("twilio_callback", "sendgrid_event"):
            await self.stack.fault(service, "lose")

    async def heard(self) -> bool:
        """Whether something is stored."""
        return bool(await self.events())


def text_form(sender: str, body: str, *, to: str = NUMBER, sid: str, **more: str) -> dict[str, str]:
    return {
        "MessageSid": sid,
        "SmsSid": sid,
        "AccountSid": SUN_SHADE.twilio_account_sid,
        "From": sender,
        "To": to,
        "Body": body,
        "NumMedia": "0",
        "NumSegments": "1",
        **more,
    }


@asynccontextmanager
async def open_line(
    database: TestDatabase, redis_url: str, *, messaging: Mapping[str, Any] | None = None, **overrides: Any
) -> AsyncIterator[Line]:
    """The first franchise with accounts on every channel, its api listening, the sandbox told where."""
    with listen("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = {
            "public_url": url,
            "whatsapp_app_secret": SecretStr(f"{APP_SECRET},the-one-before"),
            "whatsapp_verify_token": SecretStr(VERIFY_TOKEN),
            **overrides,
        }
        file = described(**(messaging or {}))
        async with (
            open_stack(database, redis_url, file=file, **settings) as stack,
            run_api(stack.settings, listener),
            open_http(url, timeout=30) as http,
        ):
            for account in stack.world.sendgrid_accounts.values():
                if account.api_key == SUN_SHADE.sendgrid_api_key:
                    file["messaging"]["sendgridEventPublicKey"] = sendgrid_public_key(account.signing_key)
                    account.sign_events = True
                    account.event_url = f"{url}/webhooks/sendgrid/events/{ROUTE_KEY}"
            await stack.services.onboarding.onboard(parse_franchise(file), actor="tests")
            for rented in stack.world.twilio_accounts[SUN_SHADE.twilio_account_sid].numbers.values():
                rented.sms_url = f"{url}/webhooks/twilio/sms"
            yield Line(stack, http, url)
