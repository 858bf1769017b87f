"""Twilio's Messages resource and its status callbacks."""

from __future__ import annotations

import asyncio
import base64
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from lead_orchestrator.sandbox.context import Sandbox, is_web_address
from lead_orchestrator.sandbox.faults import FaultReplies, guarded
from lead_orchestrator.sandbox.twilio_inbound import form_delivery, new_sid
from lead_orchestrator.sandbox.twilio_resources import (
    API_VERSION,
    E164,
    TwilioError,
    address_fields,
    after_message,
    created_at,
    date_filter,
    message_resource,
    number_resource,
    page_resource,
    sent_at,
    whole_number,
)
from lead_orchestrator.sandbox.world import Message, StatusStep, TwilioAccount

__all__ = ["TwilioApi"]

PREFIX = f"/{API_VERSION}/Accounts/{{account}}"
MAX_BODY = 1600
MAX_PAGE_SIZE = 1000
LONGEST_VALIDITY = 36_000
FILTERED, UNREACHABLE, EXPIRED = 30007, 30003, 30036
Handler = Callable[[Request, TwilioAccount], Awaitable[Response]]


class TwilioApi:
    """The routes under /2010-04-01/Accounts/{sid}; Basic auth is the account's sid and token."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._world = sandbox.world
        self._replies = FaultReplies(
            "twilio",
            {
                "bad_credentials": lambda _: _unauthorized().response(),
                "error_429": lambda fault: _too_many(fault.seconds).response(),
                "error_500": lambda _: TwilioError(500, 20500, "Internal Server Error").response(),
            },
            accepts=lambda request, response: request.method == "POST" and response.status_code == HTTPStatus.CREATED,
        )

    def routes(self) -> list[BaseRoute]:
        return [
            self._route(".json", self._show_account, "GET"),
            self._route("/Messages.json", self._send, "POST"),
            self._route("/Messages.json", self._list, "GET"),
            self._route("/Messages/{sid}.json", self._fetch, "GET"),
            self._route("/IncomingPhoneNumbers.json", self._list_numbers, "GET"),
            self._route("/IncomingPhoneNumbers/{sid}.json", self._update_number, "POST"),
        ]

    def _route(self, path: str, handler: Handler, method: str) -> Route:
        async def answer(request: Request) -> Response:
            try:
                return await handler(request, self._account(request))
            except TwilioError as error:
                return error.response()

        return Route(PREFIX + path, guarded(self._world.faults, self._replies, answer), methods=[method])

    def _account(self, request: Request) -> TwilioAccount:
        account = self._world.twilio_accounts.get(request.path_params["account"])
        if account is None or _basic_auth(request) != (account.sid, account.auth_token):
            raise _unauthorized()
        return account

    async def _send(self, request: Request, account: TwilioAccount) -> Response:
        form = await _form(request)
        sender = self._sender(account, form)
        self._check(form, sender)
        message = self._message(account, form, sender)
        await self._sandbox.accept(message)
        if message.status_callback:
            self._sandbox.courier.spawn(self._report(account, message))
        status = "accepted" if message.messaging_service_sid else "queued"
        return JSONResponse({**message_resource(message), "status": status}, 201)

    def _sender(self, account: TwilioAccount, form: dict[str, str]) -> str:
        sender, service = form.get("From"), form.get("MessagingServiceSid")
        if service and service == account.messaging_service_sid and account.numbers:
            return sender or next(iter(account.numbers))
        if not sender:
            raise TwilioError(400, 21603, "A 'From' phone number is required.")
        if sender not in account.numbers:
            text = f"The 'From' phone number provided ({sender}) is not a valid message-capable Twilio phone number."
            raise TwilioError(400, 21606, text)
        return sender

    def _check(self, form: dict[str, str], sender: str) -> None:
        to, body = form.get("To", ""), form.get("Body", "")
        if not to:
            raise TwilioError(400, 21604, "A 'To' phone number is required.")
        if not E164.fullmatch(to):
            raise TwilioError(400, 21211, f"The 'To' number {to} is not a valid phone number.")
        if not body and not form.get("MediaUrl"):
            raise TwilioError(400, 21602, "Message body is required.")
        if len(body) > MAX_BODY:
            raise TwilioError(400, 21617, "The concatenated message body exceeds the 1600 character limit.")
        validity = form.get("ValidityPeriod")
        if validity is not None and not 0 < whole_number(validity, 0) <= LONGEST_VALIDITY:
            raise TwilioError(400, 21623, f"The ValidityPeriod {validity} is not between 1 and {LONGEST_VALIDITY}.")
        if form.get("StatusCallback") and not is_web_address(form["StatusCallback"]):
            raise TwilioError(400, 21609, "The StatusCallback URL is not a valid URL.")
        if self._world.has_opted_out(to, sender):
            raise TwilioError(400, 21610, "Attempt to send to unsubscribed recipient")

    def _message(self, account: TwilioAccount, form: dict[str, str], sender: str) -> Message:
        now = time.time()
        return Message(
            id=new_sid("SM"),
            channel="SMS",
            direction="outbound",
            account=account.sid,
            company=account.company,
            to=form["To"],
            sender=sender,
            accepted_at=round(now * 1000),
            body=form.get("Body", ""),
            status_callback=form.get("StatusCallback") or None,
            messaging_service_sid=form.get("MessagingServiceSid") or None,
            steps=self._steps(form, now),
        )

    def _steps(self, form: dict[str, str], now: float) -> list[StatusStep]:
        """What the carrier will do with it; a text that waits in the queue longer than it is valid has failed."""
        timing, faults, target = self._world.timing, self._world.faults, f"{form['To']} {form.get('Body', '')}"
        slow = faults.strike("carrier", ("slow",), target)
        waiting = slow.seconds if slow else 0.0
        valid = whole_number(form.get("ValidityPeriod"), LONGEST_VALIDITY)
        if waiting > valid:
            return [StatusStep("queued", now), StatusStep("failed", now + valid, EXPIRED)]
        stopped = faults.strike("carrier", ("filter", "unreachable"), target)
        code = self._world.undeliverable.get(form["To"])
        if stopped:
            code = FILTERED if stopped.kind == "filter" else UNREACHABLE
        end = StatusStep("undelivered" if code else "delivered", now + waiting + timing.text_delivered, code)
        return [StatusStep("queued", now), StatusStep("sent", now + waiting + timing.text_sent), end]

    async def _report(self, account: TwilioAccount, message: Message) -> None:
        for step in message.steps[1:]:
            await asyncio.sleep(max(0.0, step.at - time.time()))
            fields = {"MessageStatus": step.status, "SmsStatus": step.status, **address_fields(message)}
            if step.error_code:
                fields["ErrorCode"] = str(step.error_code)
            subject = f"{step.status} {message.id}"
            url = message.status_callback or ""
            await self._sandbox.courier.carry(form_delivery(account, "twilio_callback", subject, url, fields))

    async def _list(self, request: Request, account: TwilioAccount) -> Response:
        query = request.query_params
        size = min(max(1, whole_number(query.get("PageSize"), 50)), MAX_PAGE_SIZE)
        matching = self._matching(account, dict(query.multi_items()))
        page, after = [], query.get("PageToken", "").removeprefix("PA")
        for message in after_message(matching, after):
            page.append(message)
            if len(page) > size:
                break
        more = len(page) > size
        return JSONResponse(page_resource(account, dict(query.multi_items()), page[:size], size, more=more))

    def _matching(self, account: TwilioAccount, query: dict[str, str]) -> Iterator[Message]:
        """Newest first."""
        world = self._world
        known = world.messages
        if "To" in query and world.number(query["To"]) is None:
            known = world.messages_by_customer.get(query["To"], [])
        within = date_filter(query)
        for message in reversed(known):
            if message.channel != "SMS" or message.account != account.sid or message.automatic:
                continue
            wanted = query.get("To", message.to), query.get("From", message.sender)
            if wanted == (message.to, message.sender) and within(sent_at(message) or created_at(message)):
                yield message

    async def _fetch(self, request: Request, account: TwilioAccount) -> Response:
        message = self._world.messages_by_id.get(request.path_params["sid"])
        if message is None or message.account != account.sid or message.automatic:
            raise TwilioError(404, 20404, f"The requested resource {request.url.path} was not found")
        return JSONResponse(message_resource(message))

    async def _show_account(self, _: Request, account: TwilioAccount) -> Response:
        shown = {"sid": account.sid, "friendly_name": account.company, "status": account.status, "type": "Full"}
        return JSONResponse(shown)

    async def _list_numbers(self, request: Request, account: TwilioAccount) -> Response:
        wanted = request.query_params.get("PhoneNumber")
        numbers = [number_resource(account, n) for n in account.numbers.values() if wanted in (None, n.number)]
        return JSONResponse({"incoming_phone_numbers": numbers, "page": 0, "page_size": 50, "next_page_uri": None})

    async def _update_number(self, request: Request, account: TwilioAccount) -> Response:
        sid = request.path_params["sid"]
        number = next((number for number in account.numbers.values() if number.sid == sid), None)
        if number is None:
            raise TwilioError(404, 20404, f"The requested resource {request.url.path} was not found")
        form = await _form(request)
        if "SmsUrl" in form:
            number.sms_url = form["SmsUrl"] or None
        return JSONResponse(number_resource(account, number))


async def _form(request: Request) -> dict[str, str]:
    try:
        return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
    except ValueError:
        raise TwilioError(400, 20001, "The body is not a form") from None


def _basic_auth(request: Request) -> tuple[str, str] | None:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded).decode().partition(":")
    except ValueError:  # not base64, not UTF-8
        return None
    return user, password


def _unauthorized() -> TwilioError:
    return TwilioError(401, 20003, "Authenticate")


def _too_many(seconds: float) -> TwilioError:
    return TwilioError(429, 20429, "Too Many Requests", {"Retry-After": str(math.ceil(seconds))})
