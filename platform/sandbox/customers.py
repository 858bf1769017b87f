"""The control API's part about customers: their phones and mailboxes, what they write and what they do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from lead_orchestrator.errors import AppError, BadInputError, NotFoundError
from lead_orchestrator.sandbox.context import Sandbox, json_object
from lead_orchestrator.sandbox.courier import Delivery
from lead_orchestrator.sandbox.messages import message_json, unsubscribe_address
from lead_orchestrator.sandbox.sendgrid_events import happened
from lead_orchestrator.sandbox.sendgrid_inbound import receive_mail
from lead_orchestrator.sandbox.twilio_inbound import receive_text
from lead_orchestrator.sandbox.whatsapp_webhooks import read_messages, receive_whatsapp
from lead_orchestrator.sandbox.world import Message

__all__ = ["CustomersApi"]

FORM = "application/x-www-form-urlencoded"
Answer = dict[str, Any]
Action = Callable[[str, Answer], Awaitable[Answer]]


class CustomersApi:
    """JSON routes; a form of the phone page is taken too, and sends its reader back there."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._world = sandbox.world

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/phones", self._phones, methods=["GET"]),
            _action("/phones/{number}/texts", self._text, 202),
            _action("/phones/{number}/mails", self._mail, 202),
            _action("/phones/{number}/read", self._read),
            _action("/phones/{number}/optout", self._opt_out),
            _action("/phones/{number}/optin", self._opt_in),
            _action("/phones/{number}/undeliverable", self._undeliverable),
            _action("/phones/{number}/username", self._username),
            _action("/mails/{id}/unsubscribe", self._unsubscribe),
            _action("/mails/{id}/events", self._mail_event),
        ]

    async def _phones(self, _: Request) -> Response:
        keys = set(self._world.messages_by_customer)
        for _company, customer in self._world.customers():
            keys |= {number["number"] for number in customer["phoneNumbers"]}
            keys |= {email["email"] for email in customer["emails"]}
        return JSONResponse({"phones": [self._phone(key) for key in sorted(keys)]})

    def _phone(self, key: str) -> Answer:
        messages = self._world.messages_by_customer.get(key, [])
        inbound = sum(message.direction == "inbound" for message in messages)
        return {
            "address": key,
            "channel": "EMAIL" if "@" in key else "SMS",
            "received": len(messages) - inbound,
            "sent": inbound,
            "optedOut": any(customer == key for _, customer in self._world.opted_out),
            "username": self._world.usernames.get(key),
        }

    async def _text(self, key: str, data: Answer) -> Answer:
        """A text by SMS or WhatsApp to one of our numbers: to the one that wrote last, unless `to` names it."""
        body, channel = data.get("body"), str(data.get("channel") or "SMS").upper()
        if not isinstance(body, str) or channel not in ("SMS", "WHATSAPP"):
            raise BadInputError("send {body: the text, to: one of our numbers, channel: SMS or WHATSAPP}")
        last = self._last(key, channel)
        number = data.get("to") or (last.sender if last else None)
        if not isinstance(number, str):
            raise BadInputError("to is missing: nobody has written to this customer, so name one of our numbers")
        if channel == "SMS":
            return message_json(await receive_text(self._sandbox, customer=key, number=number, body=body))
        answered = data.get("inReplyTo")
        return message_json(
            await receive_whatsapp(
                self._sandbox,
                customer=key,
                number=number,
                body=body,
                in_reply_to=answered if isinstance(answered, str) and answered else None,
                button=data.get("button") is True,
            )
        )

    async def _mail(self, key: str, data: Answer) -> Answer:
        """A mail: an answer to the last one that came, unless `to`, `subject` and `inReplyTo` say otherwise."""
        last = self._last(key, "EMAIL")
        given = {name: data.get(name) for name in ("to", "subject", "text", "html", "inReplyTo")}
        wrong = [name for name, value in given.items() if value is not None and not isinstance(value, str)]
        to = given["to"] or ((last.reply_to or last.sender) if last else None)
        if wrong or to is None:
            raise BadInputError(f"{(wrong or ['to'])[0]} is missing or not a text: send {{to, subject, text}}")
        subject = given["subject"]
        if subject is None:
            subject = f"Re: {last.subject}" if last and last.subject else "Hello"
        message = await receive_mail(
            self._sandbox,
            customer=key,
            to=to,
            subject=subject,
            text=given["text"] or "",
            html=given["html"],
            in_reply_to=given["inReplyTo"] or (last.id if last else None),
            automatic=data.get("automatic") is True,
        )
        return message_json(message)

    def _last(self, key: str, channel: str) -> Message | None:
        """The last message of the channel that came to this customer."""
        received = (m for m in reversed(self._world.messages_by_customer.get(key, [])) if m.direction == "outbound")
        return next((message for message in received if message.channel == channel), None)

    async def _read(self, key: str, _: Answer) -> Answer:
        numbers = list(self._world.whatsapp_numbers.values())
        return {"address": key, "read": sum([await read_messages(self._sandbox, own, key) for own in numbers])}

    async def _opt_out(self, key: str, data: Answer) -> Answer:
        self._world.opt_out(key, data.get("from"))
        return self._phone(key)

    async def _opt_in(self, key: str, data: Answer) -> Answer:
        self._world.opt_in(key, data.get("from"))
        return self._phone(key)

    async def _undeliverable(self, key: str, data: Answer) -> Answer:
        code = data.get("errorCode", 30003)
        if code is None:
            self._world.undeliverable.pop(key, None)
        elif isinstance(code, int) and code > 0:
            self._world.undeliverable[key] = code
        else:
            raise BadInputError(f"errorCode is {code!r}: use a number such as 30003, or null to deliver again")
        return {"address": key, "errorCode": code}

    async def _username(self, key: str, data: Answer) -> Answer:
        """A WhatsApp user takes a username, so that the number is hidden; null gives it up."""
        name = data.get("username")
        if name is None or name == "":
            self._world.usernames.pop(key, None)
        elif isinstance(name, str):
            self._world.usernames[key] = name
        else:
            raise BadInputError(f"username is {name!r}: use a text, or null")
        return self._phone(key)

    async def _unsubscribe(self, key: str, _: Answer) -> Answer:
        """What a mail program does when its reader presses unsubscribe (RFC 8058)."""
        mail = self._world.messages_by_id.get(key)
        address = unsubscribe_address(mail) if mail else None
        if mail is None or address is None:
            raise NotFoundError(f"there is no mail {key!r} with a one-click List-Unsubscribe")
        headers = {"Content-Type": FORM}
        body, outcomes = b"List-Unsubscribe=One-Click", list[str]()
        await self._sandbox.courier.carry(
            Delivery(
                channel="unsubscribe",
                subject=f"unsubscribe {mail.id}",
                url=address,
                body=body,
                headers=lambda _attempt: headers,
                done=lambda _delivered, outcome: outcomes.append(outcome),
            )
        )
        return {"address": mail.to, "url": address, "outcome": outcomes[0]}

    async def _mail_event(self, key: str, data: Answer) -> Answer:
        mail = self._world.messages_by_id.get(key)
        if mail is None:
            raise NotFoundError(f"there is no mail {key!r}")
        url = data.get("url")
        happened(self._sandbox, mail, str(data.get("event")), url if isinstance(url, str) else None)
        return {**message_json(mail), "address": mail.to}


def _action(path: str, handler: Action, status: int = 200) -> Route:
    async def answer(request: Request) -> Response:
        key = next(iter(request.path_params.values()))
        if request.headers.get("content-type", "").startswith(FORM):
            return await _by_form(request, key, handler)
        try:
            return JSONResponse(await handler(key, await json_object(request)), status)
        except AppError as error:
            return JSONResponse({"error": {"code": error.code, "message": error.message}}, error.http_status)

    return Route(path, answer, methods=["POST"])


async def _by_form(request: Request, key: str, handler: Action) -> Response:
    """Sends the reader back to the phone page, to the contact and the channel that the form names."""
    form = dict(parse_qsl((await request.body()).decode(errors="replace")))
    query = {name: form[name] for name in ("contact", "channel") if form.get(name)}
    try:
        made = await handler(key, {**form})
        query.setdefault("contact", str(made.get("address") or key))
    except AppError as error:
        query["error"] = error.message
    return RedirectResponse(f"/phone?{urlencode(query)}", 303)
