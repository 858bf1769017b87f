"""WhatsApp's Cloud API: one message to one person."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr

from lead_orchestrator.integrations.providers import Accepted, ProviderBusy, ProviderRefused, ProviderUnknown
from lead_orchestrator.integrations.transport import exchange, json_object, retry_after
from lead_orchestrator.integrations.whatsapp.errors import AMBIGUOUS, BUSY, OPTED_OUT, is_about_credentials, sentence

__all__ = [
    "GRAPH_VERSION",
    "LONGEST_REFERENCE",
    "LONGEST_TEXT",
    "Template",
    "WhatsAppClient",
    "WhatsAppCredentials",
    "refuse",
]

GRAPH_VERSION = "v25.0"
LONGEST_TEXT = 4096
LONGEST_REFERENCE = 512
HTTP_UNAUTHORIZED, HTTP_FORBIDDEN, HTTP_TOO_MANY, HTTP_SERVER_ERROR = 401, 403, 429, 500
_USER_ID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9.]{1,150}", re.ASCII)
_NUMBER_ID = re.compile(r"[0-9]{1,32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class WhatsAppCredentials:
    """A tenant's number at Meta and the token that may send from it; the token shows in no repr."""

    phone_number_id: str
    access_token: SecretStr


@dataclass(frozen=True, slots=True)
class Template:
    """An approved template, with the values of its body's placeholders in their order; `language` is as `en_US`."""

    name: str
    language: str
    parameters: tuple[str, ...] = ()


class WhatsAppClient:
    """Sends messages for any tenant.

    A 4xx is ProviderRefused, whose code is Meta's (131047: only a template may be sent). Meta's rate limits, 429, a 5xx
    with Meta's JSON and a request that never left are ProviderBusy. Meta's error 1, a 5xx without its JSON, a time-out
    and a lost connection are ProviderUnknown: Meta cannot be asked, but its statuses carry the reference.
    """

    def __init__(self, http: httpx.AsyncClient, base_url: str) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")

    async def send(
        self,
        credentials: WhatsAppCredentials,
        *,
        to: str,
        text: str | None = None,
        template: Template | None = None,
        reference: str | None = None,
        timeout: float,  # noqa: ASYNC109  # the whole call's, told apart before and after the request left
    ) -> Accepted:
        """Hand one message over within `timeout` seconds: a text or a template, one of them.

        `to` is an E.164 number or a user's business-scoped id (`US.1349…`), which stands for people without a visible
        number. `reference` comes back with each status of the message: no personal data.

        Raises:
            ProviderRefused, ProviderBusy, ProviderUnknown: see the class.
            ValueError: neither a text nor a template, or both.
        """
        if (text is None) == (template is None):
            raise ValueError("give a text or a template, one of them")
        if not _NUMBER_ID.fullmatch(credentials.phone_number_id):
            raise ProviderRefused("no_sender", "the WhatsApp phone number id is not a number", credentials=True)
        message = {"messaging_product": "whatsapp", "recipient_type": "individual", **_recipient(to)}
        message |= _text(text) if text is not None else _template(template) if template else {}
        if reference:
            message["biz_opaque_callback_data"] = reference
        response = await exchange(
            self._http,
            "POST",
            f"{self._base_url}/{GRAPH_VERSION}/{credentials.phone_number_id}/messages",
            timeout=timeout,
            sending=True,
            json=message,
            headers={"Authorization": f"Bearer {credentials.access_token.get_secret_value()}"},
        )
        if not response.is_success:
            refuse(response)
        return _accepted(response)


def _recipient(to: str) -> dict[str, str]:
    return {"recipient": to} if _USER_ID.fullmatch(to) else {"to": to}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": {"preview_url": False, "body": text}}


def _template(template: Template) -> dict[str, Any]:
    parameters = [{"type": "text", "text": value} for value in template.parameters]
    components = [{"type": "body", "parameters": parameters}] if parameters else []
    named: dict[str, Any] = {"name": template.name, "language": {"code": template.language}}
    return {"type": "template", "template": {**named, "components": components} if components else named}


def _accepted(response: httpx.Response) -> Accepted:
    answer = json_object(response) or {}
    messages = answer.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    message_id = first.get("id") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(message_id, str) or not message_id:
        raise ProviderUnknown("the provider's answer names no message")
    return Accepted(message_id, str(first.get("message_status") or "accepted"), None)


def refuse(response: httpx.Response) -> None:
    """Raise what an answer without success means."""
    status = response.status_code
    answer = json_object(response)
    error = answer.get("error") if answer else None
    stated = error if isinstance(error, dict) else {}
    number, subcode = _whole(stated.get("code")), _whole(stated.get("error_subcode"))
    code = f"http_{status}" if number is None else str(number)
    if status >= HTTP_SERVER_ERROR and (number is None or number in AMBIGUOUS):
        raise ProviderUnknown(f"the provider answered {status} ({code})")
    unreadable_wall = status == HTTP_FORBIDDEN and answer is None  # a firewall's page, not Meta's word
    if status >= HTTP_SERVER_ERROR or status == HTTP_TOO_MANY or number in BUSY or unreadable_wall:
        raise ProviderBusy(retry_after(response.headers), code)
    credentials = status in (HTTP_UNAUTHORIZED, HTTP_FORBIDDEN) or is_about_credentials(number, subcode)
    opted_out = number == OPTED_OUT
    raise ProviderRefused(
        code, sentence(number, status), opted_out=opted_out, credentials=credentials and not opted_out
    )


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
