"""SendGrid's v3 mail send and its event webhook."""

from __future__ import annotations

import asyncio
import json
import math
import secrets
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.context import Sandbox, json_object
from lead_orchestrator.sandbox.courier import Delivery
from lead_orchestrator.sandbox.faults import FaultReplies, guarded
from lead_orchestrator.sandbox.signatures import sendgrid_public_key, sign_sendgrid_events
from lead_orchestrator.sandbox.world import Message, SendGridAccount, StatusStep

__all__ = ["SendGridApi"]

PREFIX = "/v3"
EVENT_ATTEMPTS = 3
MAX_RECIPIENTS = 1000
MAX_CUSTOM_ARGS = 10_000

Handler = Callable[[Request, SendGridAccount], Awaitable[Response]]


class SendGridError(Exception):
    """An answer in SendGrid's error shape."""

    def __init__(
        self, status: int, message: str, field: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.field, self.headers = status, message, field, headers

    def response(self) -> JSONResponse:
        errors = [{"message": self.message, "field": self.field, "help": None}]
        return JSONResponse({"errors": errors}, self.status, headers=self.headers)


class SendGridApi:
    """The routes under /v3; the Bearer key is the account."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._world = sandbox.world
        self._replies = FaultReplies(
            "sendgrid",
            {
                "bad_credentials": lambda _: _unauthorized().response(),
                "error_429": lambda fault: _too_many(fault.seconds).response(),
                "error_500": lambda _: SendGridError(500, "Internal server error").response(),
            },
            accepts=lambda _, response: response.status_code == HTTPStatus.ACCEPTED,
        )

    def routes(self) -> list[BaseRoute]:
        settings = "/user/webhooks/event/settings"
        return [
            self._route("/mail/send", self._send, "POST"),
            self._route(settings, self._event_settings, "GET"),
            self._route(settings, self._change_event_settings, "PATCH"),
            self._route(f"{settings}/signed", self._signature, "GET"),
            self._route(f"{settings}/signed", self._change_signature, "PATCH"),
        ]

    def _route(self, path: str, handler: Handler, method: str) -> Route:
        async def answer(request: Request) -> Response:
            try:
                return await handler(request, self._account(request))
            except SendGridError as error:
                return error.response()
            except BadInputError:
                return SendGridError(400, "Bad Request").response()

        return Route(PREFIX + path, guarded(self._world.faults, self._replies, answer), methods=[method])

    def _account(self, request: Request) -> SendGridAccount:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        account = self._world.sendgrid_accounts.get(key) if scheme.lower() == "bearer" else None
        if account is None:
            raise _unauthorized()
        return account

    async def _send(self, request: Request, account: SendGridAccount) -> Response:
        mail = await json_object(request)
        _check_mail(mail)
        sender = mail["from"]["email"]
        if sender.rpartition("@")[2].lower() not in account.domains:
            text = "The from address does not match a verified Sender Identity."
            raise SendGridError(403, text, "from")
        message_id = secrets.token_urlsafe(16)
        if (mail.get("mail_settings") or {}).get("sandbox_mode") == {"enable": True}:
            return Response(status_code=200)
        for message in self._messages(account, mail, message_id):
            await self._sandbox.accept(message)
            if account.event_url:
                self._sandbox.courier.spawn(self._report(account, message, message_id))
        return Response(status_code=202, headers={"X-Message-Id": message_id})

    def _messages(self, account: SendGridAccount, mail: dict[str, Any], message_id: str) -> list[Message]:
        contents = {part["type"]: part["value"] for part in mail.get("content") or []}
        found: list[Message] = []
        for personalization in mail["personalizations"]:
            recipients = [person for name in ("to", "cc", "bcc") for person in personalization.get(name) or []]
            for number, person in enumerate(recipients, start=len(found)):
                message = self._message(account, mail, personalization, person["email"], contents)
                message.id = message_id if number == 0 else f"{message_id}.{number}"
                found.append(message)
        return found

    def _message(
        self,
        account: SendGridAccount,
        mail: dict[str, Any],
        personalization: dict[str, Any],
        to: str,
        contents: dict[str, str],
    ) -> Message:
        now, timing = time.time(), self._world.timing
        code = self._world.undeliverable.get(to)
        end = StatusStep("bounce" if code else "delivered", now + timing.mail_delivered, code)
        return Message(
            id="",
            channel="EMAIL",
            direction="outbound",
            account=account.name,
            company=account.company,
            to=to,
            sender=mail["from"]["email"],
            sender_name=mail["from"].get("name"),
            reply_to=(mail.get("reply_to") or {}).get("email"),
            accepted_at=round(now * 1000),
            subject=personalization.get("subject") or mail.get("subject"),
            body=contents.get("text/plain", ""),
            html=contents.get("text/html"),
            headers={**(mail.get("headers") or {}), **(personalization.get("headers") or {})},
            custom_args={**(mail.get("custom_args") or {}), **(personalization.get("custom_args") or {})},
            steps=[StatusStep("accepted", now), StatusStep("processed", now + timing.mail_processed), end],
        )

    async def _report(self, account: SendGridAccount, message: Message, message_id: str) -> None:
        for step in message.steps[1:]:
            await asyncio.sleep(max(0.0, step.at - time.time()))
            event = _event(message, message_id, step)
            await self._sandbox.courier.carry(_event_delivery(account, message, event))

    async def _event_settings(self, _: Request, account: SendGridAccount) -> Response:
        return JSONResponse({"enabled": account.event_url is not None, "url": account.event_url or ""})

    async def _change_event_settings(self, request: Request, account: SendGridAccount) -> Response:
        data = await json_object(request)
        url = data.get("url", account.event_url)
        if url is not None and not isinstance(url, str):
            raise SendGridError(400, "url must be a string", "url")
        account.event_url = (url or None) if data.get("enabled", True) else None
        return await self._event_settings(request, account)

    async def _signature(self, _: Request, account: SendGridAccount) -> Response:
        return JSONResponse({"public_key": sendgrid_public_key(account.signing_key) if account.sign_events else ""})

    async def _change_signature(self, request: Request, account: SendGridAccount) -> Response:
        account.sign_events = bool((await json_object(request)).get("enabled"))
        return await self._signature(request, account)


def _check_mail(mail: dict[str, Any]) -> None:
    personalizations = mail.get("personalizations")
    if not isinstance(personalizations, list) or not personalizations:
        text = "The personalizations field is required and must have at least one personalization."
        raise SendGridError(400, text, "personalizations")
    for number, personalization in enumerate(personalizations):
        _check_personalization(personalization, f"personalizations.{number}")
    _check_address(mail.get("from"), "from")
    _check_strings(mail, "", ("headers", "custom_args"))
    for name in ("mail_settings", "tracking_settings"):
        if not isinstance(mail.get(name) or {}, dict):
            raise SendGridError(400, f"The {name} must be an object.", name)
    if mail.get("reply_to") is not None:
        _check_address(mail["reply_to"], "reply_to")
    subjects = [item.get("subject") or mail.get("subject") for item in personalizations]
    if not all(isinstance(subject, str) and subject for subject in subjects):
        raise SendGridError(400, "The subject is required.", "subject")
    if not mail.get("template_id"):
        _check_content(mail.get("content"))


def _check_personalization(personalization: Any, path: str) -> None:
    recipients = personalization.get("to") if isinstance(personalization, dict) else None
    if not isinstance(recipients, list) or not recipients:
        raise SendGridError(400, "The to array is required and must have at least one email object.", f"{path}.to")
    if len(recipients) > MAX_RECIPIENTS:
        raise SendGridError(400, "The to array may have at most 1000 email objects.", f"{path}.to")
    for name in ("to", "cc", "bcc"):
        people = personalization.get(name) or []
        if not isinstance(people, list):
            raise SendGridError(400, f"The {name} must be an array.", f"{path}.{name}")
        for number, person in enumerate(people):
            _check_address(person, f"{path}.{name}.{number}")
    _check_strings(personalization, f"{path}.", ("headers", "custom_args"))


def _check_strings(holder: dict[str, Any], path: str, names: tuple[str, ...]) -> None:
    for name in names:
        values = holder.get(name) or {}
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            raise SendGridError(400, f"The {name} must be an object of strings.", path + name)
        if name == "custom_args" and len(json.dumps(values)) > MAX_CUSTOM_ARGS:
            raise SendGridError(400, "The custom_args may be at most 10000 bytes.", path + name)


def _check_address(person: Any, path: str) -> None:
    email = person.get("email") if isinstance(person, dict) else None
    if not isinstance(email, str) or not all(email.partition("@")) or any(letter.isspace() for letter in email):
        raise SendGridError(400, "Does not contain a valid address.", f"{path}.email")


def _check_content(content: Any) -> None:
    if not isinstance(content, list) or not content:
        raise SendGridError(
            400, "Unless a valid template_id is provided, the content parameter is required.", "content"
        )
    for number, part in enumerate(content):
        if (
            not isinstance(part, dict)
            or not isinstance(part.get("type"), str)
            or not isinstance(part.get("value"), str)
            or not part["value"]
        ):
            raise SendGridError(
                400, "The content value must be a string at least one character in length.", f"content.{number}.value"
            )
    types = [part["type"] for part in content]
    if "text/plain" in types[1:]:
        raise SendGridError(400, "If present, text/plain must be the first content object.", "content")


def _event(message: Message, message_id: str, step: StatusStep) -> dict[str, Any]:
    event: dict[str, Any] = {
        **message.custom_args,
        "email": message.to,
        "timestamp": int(step.at),
        "event": step.status,
        "sg_event_id": secrets.token_urlsafe(16),
        "sg_message_id": f"{message_id}.recvd-sandbox-1.0",
        "smtp-id": f"<{message_id}@sandbox.example.com>",
    }
    if step.status == "delivered":
        event["response"] = "250 OK"
    if step.status == "bounce":
        event |= {"type": "bounce", "status": "5.1.1", "reason": f"{step.error_code} mailbox unavailable"}
    return event


def _event_delivery(account: SendGridAccount, message: Message, event: dict[str, Any]) -> Delivery:
    body = json.dumps([event]).encode()

    def headers(_: int) -> dict[str, str]:
        common = {"Content-Type": "application/json", "User-Agent": "SendGrid Event API"}
        if not account.sign_events:
            return common
        now = str(int(time.time()))
        signature = sign_sendgrid_events(account.signing_key, now, body)
        prefix = "X-Twilio-Email-Event-Webhook"
        return {**common, f"{prefix}-Signature": signature, f"{prefix}-Timestamp": now}

    subject = f"{event['event']} {message.id}"
    return Delivery("sendgrid_event", subject, account.event_url or "", body, headers, EVENT_ATTEMPTS)


def _unauthorized() -> SendGridError:
    return SendGridError(401, "The provided authorization grant is invalid, expired, or revoked")


def _too_many(seconds: float) -> SendGridError:
    wait = math.ceil(seconds)
    headers = {
        "Retry-After": str(wait),
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int(time.time()) + wait),
    }
    return SendGridError(429, "too many requests", None, headers)
