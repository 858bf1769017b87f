"""Twilio's JSON: messages, numbers, pages, errors, and what its query parameters mean."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse

from lead_orchestrator.sandbox.world import Message, TwilioAccount, TwilioNumber

__all__ = [
    "API_VERSION",
    "E164",
    "TwilioError",
    "address_fields",
    "after_message",
    "created_at",
    "date_filter",
    "message_resource",
    "number_resource",
    "page_resource",
    "segments",
    "sent_at",
    "whole_number",
]

API_VERSION = "2010-04-01"
E164 = re.compile(r"\+[1-9]\d{7,14}")
GSM_7 = set(  # the GSM 03.38 alphabet
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_7_DOUBLE = set("^{}\\[~]|€")


class TwilioError(Exception):
    """An answer in Twilio's error shape."""

    def __init__(self, status: int, code: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers

    def response(self) -> JSONResponse:
        more_info = f"https://www.twilio.com/docs/errors/{self.code}"
        body = {"code": self.code, "message": self.message, "more_info": more_info, "status": self.status}
        return JSONResponse(body, self.status, headers=self.headers)


def address_fields(message: Message) -> dict[str, str]:
    fields = {
        "MessageSid": message.id,
        "SmsSid": message.id,
        "SmsMessageSid": message.id,
        "AccountSid": message.account,
        "From": message.sender,
        "To": message.to,
        "ApiVersion": API_VERSION,
    }
    if message.messaging_service_sid:
        fields["MessagingServiceSid"] = message.messaging_service_sid
    return fields


def message_resource(message: Message) -> dict[str, Any]:
    step = message.step()
    sent = sent_at(message)
    uri = f"/{API_VERSION}/Accounts/{message.account}/Messages/{message.id}.json"
    return {
        "sid": message.id,
        "account_sid": message.account,
        "api_version": API_VERSION,
        "messaging_service_sid": message.messaging_service_sid,
        "to": message.to,
        "from": message.sender,
        "body": message.body,
        "status": step.status,
        "direction": "outbound-api" if message.direction == "outbound" else "inbound",
        "num_segments": "0" if message.messaging_service_sid else segments(message.body),
        "num_media": "0",
        "price": None,
        "price_unit": "USD",
        "error_code": step.error_code,
        "error_message": None,
        "date_created": format_datetime(created_at(message)),
        "date_updated": format_datetime(_moment(step.at)),
        "date_sent": format_datetime(sent) if sent else None,
        "uri": uri,
        "subresource_uris": {"media": uri.removesuffix(".json") + "/Media.json"},
    }


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), UTC)


def created_at(message: Message) -> datetime:
    return _moment(message.steps[0].at)


def sent_at(message: Message) -> datetime | None:
    """None while the message is queued, as Twilio shows it, and when it never was sent."""
    if message.direction == "inbound":
        return created_at(message)
    sent = next((step.at for step in message.steps if step.status == "sent"), math.inf)
    return _moment(sent) if sent <= time.time() else None


def date_filter(query: dict[str, str]) -> Callable[[datetime], bool]:
    """DateSent=, DateSent>= and DateSent<=; a day means from its first to its last second (GMT)."""
    day, since, until = (_date(query.get(name)) for name in ("DateSent", "DateSent>", "DateSent<"))

    def within(moment: datetime) -> bool:
        if day is not None and moment.date() != day.date():
            return False
        return (since is None or moment >= since) and (until is None or moment <= until)

    return within


def _date(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise TwilioError(400, 20001, f"DateSent {text!r} is not a date") from None


def after_message(messages: Iterator[Message], sid: str) -> Iterator[Message]:
    if sid:
        for message in messages:
            if message.id == sid:
                break
    yield from messages


def page_resource(
    account: TwilioAccount, query: dict[str, str], page: list[Message], size: int, *, more: bool
) -> dict[str, Any]:
    number = whole_number(query.get("Page"), 0)
    path = f"/{API_VERSION}/Accounts/{account.sid}/Messages.json"
    following = {**query, "PageSize": size, "Page": number + 1, "PageToken": f"PA{page[-1].id}"} if more else None
    return {
        "messages": [message_resource(message) for message in page],
        "page": number,
        "page_size": size,
        "start": number * size,
        "end": number * size + max(0, len(page) - 1),
        "uri": f"{path}?{urlencode(query)}",
        "first_page_uri": f"{path}?PageSize={size}&Page=0",
        "previous_page_uri": None,
        "next_page_uri": f"{path}?{urlencode(following)}" if following else None,
    }


def number_resource(account: TwilioAccount, number: TwilioNumber) -> dict[str, Any]:
    return {
        "sid": number.sid,
        "account_sid": account.sid,
        "phone_number": number.number,
        "friendly_name": number.number,
        "sms_url": number.sms_url,
        "sms_method": "POST",
        "capabilities": {"sms": True, "mms": True, "voice": False, "fax": False},
        "uri": f"/{API_VERSION}/Accounts/{account.sid}/IncomingPhoneNumbers/{number.sid}.json",
    }


def segments(body: str) -> str:
    if all(letter in GSM_7 or letter in GSM_7_DOUBLE for letter in body):
        length, single, part = len(body) + sum(letter in GSM_7_DOUBLE for letter in body), 160, 153
    else:
        length, single, part = len(body.encode("utf-16-le")) // 2, 70, 67
    return str(1 if length <= single else math.ceil(length / part))


def whole_number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() else default
