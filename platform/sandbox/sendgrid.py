"""SendGrid's v3 mail send, and the settings of its webhooks."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.context import Sandbox, is_web_address, json_object
from lead_orchestrator.sandbox.faults import FaultReplies, guarded
from lead_orchestrator.sandbox.sendgrid_checks import SendGridError, check_mail, too_many, unauthorized
from lead_orchestrator.sandbox.sendgrid_events import report
from lead_orchestrator.sandbox.signatures import sendgrid_public_key
from lead_orchestrator.sandbox.world import Attachment, Message, SendGridAccount, StatusStep

__all__ = ["SendGridApi"]

PREFIX = "/v3"

Handler = Callable[[Request, SendGridAccount], Awaitable[Response]]


class SendGridApi:
    """The routes under /v3; the Bearer key is the account."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._world = sandbox.world
        self._replies = FaultReplies(
            "sendgrid",
            {
                "bad_credentials": lambda _: unauthorized().response(),
                "error_429": lambda fault: too_many(fault.seconds).response(),
                "error_500": lambda _: SendGridError(500, "Internal server error").response(),
            },
            accepts=lambda _, response: response.status_code == HTTPStatus.ACCEPTED,
        )

    def routes(self) -> list[BaseRoute]:
        settings = "/user/webhooks/event/settings"
        return [
            self._route("/mail/send", self._send, "POST"),
            self._route("/scopes", self._scopes, "GET"),
            self._route("/whitelabel/domains", self._domains, "GET"),
            self._route("/verified_senders", self._senders, "GET"),
            self._route(settings, self._event_settings, "GET"),
            self._route(settings, self._change_event_settings, "PATCH"),
            self._route(f"{settings}/signed", self._signature, "GET"),
            self._route(f"{settings}/signed", self._change_signature, "PATCH"),
            self._route("/user/webhooks/parse/settings", self._parse_settings, "GET"),
            self._route("/user/webhooks/parse/settings", self._add_parse_setting, "POST"),
            self._route("/user/webhooks/parse/settings/{hostname}", self._remove_parse_setting, "DELETE"),
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
            raise unauthorized()
        return account

    async def _send(self, request: Request, account: SendGridAccount) -> Response:
        mail = await json_object(request)
        check_mail(mail)
        sender = mail["from"]["email"]
        if sender.rpartition("@")[2].lower() not in account.domains and sender.lower() not in account.senders:
            text = "The from address does not match a verified Sender Identity."
            raise SendGridError(403, text, "from")
        message_id = secrets.token_urlsafe(16)
        if (mail.get("mail_settings") or {}).get("sandbox_mode") == {"enable": True}:
            return Response(status_code=200)
        for message in self._messages(account, mail, message_id):
            await self._sandbox.accept(message)
            self._sandbox.courier.spawn(report(self._sandbox, account, message))
        return Response(status_code=202, headers={"X-Message-Id": message_id})

    async def _scopes(self, _: Request, account: SendGridAccount) -> Response:
        return JSONResponse({"scopes": list(account.scopes)})

    async def _domains(self, request: Request, account: SendGridAccount) -> Response:
        _needs(account, "whitelabel.read")
        wanted = request.query_params.get("domain")
        found = [domain for domain in account.domains if wanted in (None, domain)]
        return JSONResponse([{"id": number, "domain": one, "valid": True} for number, one in enumerate(found, 1)])

    async def _senders(self, _: Request, account: SendGridAccount) -> Response:
        _needs(account, "verified_senders.read")
        rows = [{"id": n, "from_email": one, "verified": True} for n, one in enumerate(account.senders, 1)]
        return JSONResponse({"results": rows})

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
        steps = [StatusStep("accepted", now), StatusStep("processed", now + timing.mail_processed)]
        if to in account.suppressed:
            steps[1] = StatusStep("dropped", now + timing.mail_processed)
        else:
            steps.append(StatusStep("bounce" if code else "delivered", now + timing.mail_delivered, code))
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
            attachments=[
                Attachment(one["filename"], one.get("type", ""), base64.b64decode(one["content"]))
                for one in mail.get("attachments") or []
            ],
            steps=steps,
        )

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

    async def _parse_settings(self, _: Request, account: SendGridAccount) -> Response:
        return JSONResponse({"result": [_parse_setting(host, url) for host, url in account.inbound.items()]})

    async def _add_parse_setting(self, request: Request, account: SendGridAccount) -> Response:
        data = await json_object(request)
        host, url = data.get("hostname"), data.get("url")
        if not isinstance(host, str) or not host or not is_web_address(url):
            raise SendGridError(400, "hostname and url are required", "hostname" if not host else "url")
        account.inbound[host.lower()] = str(url)
        return JSONResponse(_parse_setting(host.lower(), str(url)), 201)

    async def _remove_parse_setting(self, request: Request, account: SendGridAccount) -> Response:
        if account.inbound.pop(request.path_params["hostname"].lower(), None) is None:
            raise SendGridError(404, "hostname not found", "hostname")
        return Response(status_code=204)


def _parse_setting(host: str, url: str) -> dict[str, Any]:
    return {"hostname": host, "url": url, "spam_check": False, "send_raw": False}


def _needs(account: SendGridAccount, scope: str) -> None:
    if scope not in account.scopes:
        raise SendGridError(403, "access forbidden")
