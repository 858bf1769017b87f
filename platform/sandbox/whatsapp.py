"""WhatsApp's Cloud API: messages, the numbers and templates of an account, and the app's webhook subscription."""

from __future__ import annotations

import base64
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.context import Sandbox, json_object
from lead_orchestrator.sandbox.faults import FaultReplies, guarded
from lead_orchestrator.sandbox.whatsapp_errors import WhatsAppError, bad_token, no_object, too_many
from lead_orchestrator.sandbox.whatsapp_webhooks import report, subscribe
from lead_orchestrator.sandbox.world import Message, StatusStep, WhatsAppNumber, WhatsAppTemplate

__all__ = ["WhatsAppApi"]

MAX_TEXT = 4096
MAX_REFERENCE = 512
WINDOW = timedelta(hours=24)
CLOSED, UNREACHABLE, STOPPED, NO_TEMPLATE, BAD_COUNT = 131047, 131026, 131050, 132001, 132000
DIGITS = re.compile(r"\+?([1-9][0-9]{7,14})", re.ASCII)
PLACEHOLDER = re.compile(r"\{\{(\d+)\}\}")
Handler = Callable[[Request], Awaitable[Response]]


class WhatsAppApi:
    """The routes under /v{version}; the Bearer token belongs to one number or more."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._world = sandbox.world
        self._replies = FaultReplies(
            "whatsapp",
            {
                "bad_credentials": lambda _: bad_token().response(),
                "error_429": lambda fault: too_many(fault.seconds).response(),
                "error_500": lambda _: WhatsAppError(500, 131000, "Something went wrong").response(),
                "pair_limit": lambda _: WhatsAppError(
                    400, 131056, "(Business Account, Consumer Account) pair rate limit hit"
                ).response(),
            },
            accepts=lambda request, response: response.status_code == 200 and request.url.path.endswith("/messages"),  # noqa: PLR2004  # HTTP's OK
        )

    def routes(self) -> list[BaseRoute]:
        return [
            self._route("/messages", self._send, "POST"),
            self._route("/message_templates", self._templates, "GET"),
            self._route("/subscriptions", self._subscribe, "POST"),
            self._route("", self._number, "GET"),
        ]

    def _route(self, path: str, handler: Handler, method: str) -> Route:
        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except WhatsAppError as error:
                return error.response()
            except BadInputError:
                return WhatsAppError(400, 100, "The body is not a JSON object").response()

        return Route(
            "/v{version}.0/{id:int}" + path, guarded(self._world.faults, self._replies, answer), methods=[method]
        )

    def _own_number(self, request: Request) -> WhatsAppNumber:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        own = [number for number in self._world.whatsapp_numbers.values() if number.access_token == token]
        if scheme.lower() != "bearer" or not own:
            raise bad_token()
        object_id = str(request.path_params["id"])
        for number in own:
            if object_id in (number.id, number.business_id):
                return number
        raise no_object(object_id)

    async def _number(self, request: Request) -> Response:
        number = self._own_number(request)
        shown = number.number.removeprefix("+")
        return JSONResponse({"id": number.id, "display_phone_number": shown, "verified_name": number.company})

    async def _templates(self, request: Request) -> Response:
        found = [
            {
                "name": template.name,
                "language": template.language,
                "status": "APPROVED",
                "category": template.category,
                "components": [{"type": "BODY", "text": template.body}],
            }
            for template in self._own_number(request).templates
        ]
        return JSONResponse({"data": found, "paging": {}})

    async def _subscribe(self, request: Request) -> Response:
        app = self._world.whatsapp_app
        form = dict(parse_qsl((await request.body()).decode(errors="replace")))
        if str(request.path_params["id"]) != app.id:
            raise no_object(str(request.path_params["id"]))
        if form.get("access_token") != f"{app.id}|{app.secret}":
            raise bad_token()
        await subscribe(self._sandbox, form.get("callback_url", ""), form.get("verify_token", ""))
        return JSONResponse({"success": True})

    async def _send(self, request: Request) -> Response:
        number = self._own_number(request)
        self._check_rate(number)
        sent = await json_object(request)
        if sent.get("messaging_product") != "whatsapp":
            raise WhatsAppError(400, 100, "(#100) The parameter messaging_product is required.")
        customer = self._customer(sent)
        body, failure = await self._body(number, customer, sent)
        message = self._message(number, customer, sent, body, failure)
        await self._sandbox.accept(message)
        if customer:
            self._sandbox.courier.spawn(report(self._sandbox, number, message))
        template = {"message_status": "accepted"} if sent.get("type") == "template" else {}
        return JSONResponse(
            {
                "messaging_product": "whatsapp",
                "contacts": [self._contact(number, sent, customer)],
                "messages": [{"id": message.id, **template}],
            }
        )

    def _check_rate(self, number: WhatsAppNumber) -> None:
        now, recent = time.monotonic(), number.recent_requests
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if len(recent) >= number.messages_per_second:
            raise too_many(1)
        recent.append(now)

    def _customer(self, sent: dict[str, Any]) -> str:
        """The customer's number; empty for a user id in `to`, which Meta accepts and delivers to nobody."""
        to, user_id = sent.get("to"), sent.get("recipient")
        if isinstance(to, str) and to:
            digits = DIGITS.fullmatch(to)
            if digits:
                return f"+{digits[1]}"
            if re.fullmatch(r"[A-Z]{2}\.\w+", to):
                return ""
            raise WhatsAppError(400, 131009, "Parameter value is not valid", "Recipient phone number is not valid")
        if not isinstance(user_id, str):
            raise WhatsAppError(400, 100, "(#100) The parameter to is required.")
        if user_id not in self._world.user_ids:
            raise WhatsAppError(400, UNREACHABLE, "Message undeliverable")
        return self._world.user_ids[user_id]

    def _contact(self, number: WhatsAppNumber, sent: dict[str, Any], customer: str) -> dict[str, str]:
        if sent.get("to"):
            return {"input": sent["to"], "wa_id": customer.removeprefix("+")}
        return {"input": sent["recipient"], "user_id": self._world.user_id(number.company, customer)}

    async def _body(self, number: WhatsAppNumber, customer: str, sent: dict[str, Any]) -> tuple[str, int | None]:
        """What the customer reads, and the error of a later status if it will fail."""
        reference = sent.get("biz_opaque_callback_data")
        if reference is not None and (not isinstance(reference, str) or len(reference) > MAX_REFERENCE):
            raise WhatsAppError(400, 100, "(#100) biz_opaque_callback_data must be a string of at most 512 characters.")
        if sent.get("type") == "template":
            template, body = _template(number, sent.get("template"))
            stopped = template.category == "MARKETING" and self._world.has_opted_out(customer, number.number)
            return body, self._failure(STOPPED, "User has stopped marketing messages") if stopped else None
        if sent.get("type", "text") != "text":
            raise WhatsAppError(400, 131051, "Unsupported message type")
        part = sent.get("text")
        text = part.get("body") if isinstance(part, dict) else None
        if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT:
            raise WhatsAppError(400, 100, "(#100) The parameter text['body'] must have 1 to 4096 characters.")
        written = self._world.whatsapp_written.get((number.id, customer))
        if written is None or await self._sandbox.moment() - written > WINDOW:
            return text, self._failure(CLOSED, "Re-engagement message")
        return text, None

    def _failure(self, code: int, message: str) -> int:
        """The refusal now, or with the fault `refuse_later` in a status, as Meta does at times."""
        if self._world.faults.strike("whatsapp", ("refuse_later",), str(code)):
            return code
        raise WhatsAppError(400, code, message)

    def _message(
        self, number: WhatsAppNumber, customer: str, sent: dict[str, Any], body: str, failure: int | None
    ) -> Message:
        now, timing = time.time(), self._world.timing
        code = failure or (UNREACHABLE if customer in self._world.undeliverable else None)
        steps = [StatusStep("accepted", now)]
        if customer and code:
            steps.append(StatusStep("failed", now + timing.text_sent, code))
        elif customer:
            steps.append(StatusStep("sent", now + timing.text_sent))
            steps.append(StatusStep("delivered", now + timing.text_delivered))
        return Message(
            id="wamid." + base64.b64encode(secrets.token_bytes(24)).decode(),
            channel="WHATSAPP",
            direction="outbound",
            account=number.id,
            company=number.company,
            to=customer or str(sent["to"]),
            sender=number.number,
            accepted_at=round(now * 1000),
            body=body,
            reference=sent.get("biz_opaque_callback_data"),
            by_user_id=not sent.get("to"),
            steps=steps,
        )


def _template(number: WhatsAppNumber, stated: Any) -> tuple[WhatsAppTemplate, str]:
    """The approved template, and its body with the given values."""
    if not isinstance(stated, dict) or not isinstance(stated.get("language"), dict):
        raise WhatsAppError(400, 131008, "Required parameter is missing", "template")
    name, language = stated.get("name"), stated["language"].get("code")
    for template in number.templates:
        if (template.name, template.language) == (name, language):
            break
    else:
        text = f"template name ({name}) does not exist in {language}"
        raise WhatsAppError(404, NO_TEMPLATE, "Template name does not exist in the translation", text)
    given = _values(stated.get("components"))
    wanted = {int(found) for found in PLACEHOLDER.findall(template.body)}
    if len(given) != max(wanted, default=0):
        text = f"body: number of localizable_params ({len(given)}) does not match the expected number"
        raise WhatsAppError(400, BAD_COUNT, "Number of parameters does not match the expected number of params", text)
    return template, PLACEHOLDER.sub(lambda found: given[int(found[1]) - 1], template.body)


def _values(components: Any) -> list[str]:
    values: list[str] = []
    for component in components if isinstance(components, list) else []:
        parameters = component.get("parameters") if isinstance(component, dict) else None
        if not isinstance(parameters, list) or component.get("type") != "body":
            raise WhatsAppError(400, 132012, "Parameter format does not match format in the created template")
        for parameter in parameters:
            text = parameter.get("text") if isinstance(parameter, dict) else None
            if not isinstance(text, str) or not text.strip() or re.search(r"[\n\t]|    ", text):
                what = "Param text cannot be empty or have new-line/tab characters or more than 4 consecutive spaces"
                raise WhatsAppError(400, 132012, "Parameter format does not match", what)
            values.append(text)
    return values
