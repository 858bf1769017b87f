"""Twilio's Messages API over our HTTP client; what is looked up goes through the SDK's own types."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr
from twilio.base import values  # type: ignore[import-untyped]  # twilio ships no py.typed
from twilio.base.exceptions import TwilioException  # type: ignore[import-untyped]  # twilio ships no py.typed
from twilio.http import AsyncHttpClient  # type: ignore[import-untyped]  # twilio ships no py.typed
from twilio.http.response import Response  # type: ignore[import-untyped]  # twilio ships no py.typed
from twilio.rest import Client  # type: ignore[import-untyped]  # twilio ships no py.typed

from lead_orchestrator.integrations.providers import Accepted, ProviderBusy, ProviderRefused, ProviderUnknown
from lead_orchestrator.integrations.transport import exchange, json_object, retry_after
from lead_orchestrator.integrations.twilio.errors import AMBIGUOUS, BUSY, CREDENTIALS, OPTED_OUT, sentence

__all__ = ["TwilioClient", "TwilioCredentials", "TwilioMessage", "refuse"]

PAGE_SIZE = 100
MOST_MESSAGES = 1000
READ_TIMEOUT = 10.0
_HEADERS = {"Accept": "application/json"}
HTTP_UNAUTHORIZED, HTTP_FORBIDDEN, HTTP_NOT_FOUND, HTTP_TOO_MANY, HTTP_SERVER_ERROR = 401, 403, 404, 429, 500


@dataclass(frozen=True, slots=True)
class TwilioCredentials:
    """A tenant's account; the token shows in no repr."""

    account_sid: str
    auth_token: SecretStr


@dataclass(frozen=True, slots=True)
class TwilioMessage:
    """A message as Twilio knows it; `body` shows in no repr. `created_at` is UTC, None if Twilio left it out."""

    sid: str
    body: str = field(repr=False)
    status: str
    created_at: datetime | None
    error_code: int | None


class TwilioClient:
    """Sends and looks up text messages for any tenant.

    What a failure means: a 4xx is final (ProviderRefused). 429, a full queue, a JSON error of 5xx and a request that
    never left are ProviderBusy. Twilio's error 20500 (its documentation: such a send may have gone out), a gateway's
    5xx without Twilio's JSON, a time-out and a lost connection are ProviderUnknown: use `find` before sending again.
    """

    def __init__(self, http: httpx.AsyncClient, base_url: str) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        # The SDK loads its modules at the first use: 0.4 s in which nothing else would move.
        self._messages(TwilioCredentials("AC0", SecretStr("-")), READ_TIMEOUT)

    async def send(
        self,
        credentials: TwilioCredentials,
        *,
        to: str,
        body: str,
        from_number: str | None = None,
        messaging_service_sid: str | None = None,
        status_callback: str | None = None,
        validity_period: int | None = None,
        timeout: float,  # noqa: ASYNC109  # the whole call's, told apart before and after the request left
    ) -> Accepted:
        """Hand one text over; numbers are E.164, `validity_period` and `timeout` (the whole call) seconds.

        Raises:
            ProviderRefused, ProviderBusy, ProviderUnknown: see the class.
        """
        if not (from_number or messaging_service_sid):
            raise ProviderRefused("no_sender", "neither a number nor a messaging service is set up to send from")
        form = {
            "To": to,
            "Body": body,
            "From": from_number,
            "MessagingServiceSid": messaging_service_sid,
            "StatusCallback": status_callback,
            "ValidityPeriod": validity_period,
        }
        account, token = credentials.account_sid, credentials.auth_token.get_secret_value()
        # Not through the SDK, which makes 33 parameters and a dozen objects of it: this is our most frequent call by far.
        response = await exchange(
            self._http,
            "POST",
            f"{self._base_url}/2010-04-01/Accounts/{quote(account, safe='')}/Messages.json",
            timeout=timeout,
            sending=True,
            data={name: value for name, value in form.items() if value is not None},
            headers=_HEADERS,
            auth=(account, token),
        )
        if not response.is_success:
            refuse(response, sending=True)
        message = json_object(response)
        if message is None:
            raise ProviderUnknown("the provider's answer could not be read")
        if not isinstance(message.get("sid"), str) or not message["sid"]:
            raise ProviderUnknown("the provider's answer names no message")
        return Accepted(
            message["sid"], str(message.get("status") or "accepted"), _segments(message.get("num_segments"))
        )

    async def find(
        self,
        credentials: TwilioCredentials,
        *,
        to: str,
        from_number: str | None,
        since: datetime,
        timeout: float = READ_TIMEOUT,  # noqa: ASYNC109  # enforced for each page
    ) -> list[TwilioMessage]:
        """The messages to `to` created at `since` or later, all pages of them, in Twilio's order.

        `from_number` is None when a messaging service picks the sender: Twilio may not have assigned one yet. The time
        is compared here with the creation date, because Twilio's own filter goes by the sending date, which a message
        that still waits in its queue does not have. `timeout` counts for each page. An empty list means absence, so
        whatever cannot be read to its end is an error.

        Raises:
            ProviderRefused, ProviderBusy: Twilio could not be asked.
        """
        from_ = values.unset if from_number is None else from_number
        messages = self._messages(credentials, timeout)
        try:
            found = await messages.list_async(to=to, from_=from_, limit=MOST_MESSAGES + 1, page_size=PAGE_SIZE)
            known = [_message(instance) for instance in found]
        except (TwilioException, ValueError, TypeError, AttributeError, KeyError):
            raise ProviderBusy(None, "unreadable") from None
        if len(known) > MOST_MESSAGES:
            raise ProviderBusy(None, "too_many_messages")
        return [message for message in known if message.created_at is None or message.created_at >= since]

    async def fetch(
        self,
        credentials: TwilioCredentials,
        sid: str,
        *,
        timeout: float = READ_TIMEOUT,  # noqa: ASYNC109  # the whole call's
    ) -> TwilioMessage | None:
        """One message by its sid, None if this account has no such message.

        Raises:
            ProviderRefused, ProviderBusy: Twilio could not be asked.
        """
        try:
            return _message(await self._messages(credentials, timeout)(sid).fetch_async())
        except ProviderRefused as refused:
            if refused.code in ("20404", f"http_{HTTP_NOT_FOUND}"):
                return None
            raise
        except (TwilioException, ValueError, TypeError, AttributeError):
            raise ProviderBusy(None, "unreadable") from None

    def _messages(self, credentials: TwilioCredentials, timeout: float) -> Any:
        adapter = _HttpxAdapter(self._http, self._base_url, timeout)
        account, token = credentials.account_sid, credentials.auth_token.get_secret_value()
        # A mapping that is not empty, else the SDK would read the environment for what a tenant left blank.
        return Client(account, token, http_client=adapter, environment={"TWILIO_REGION": ""}).messages


class _HttpxAdapter(AsyncHttpClient):  # type: ignore[misc]  # twilio ships no py.typed, so its classes are Any
    """The SDK's transport over httpx: to our base URL whatever host the SDK names, errors told in our words."""

    def __init__(self, http: httpx.AsyncClient, base_url: str, timeout: float) -> None:
        super().__init__(logging.getLogger("twilio"), is_async=True, timeout=timeout)
        self._http = http
        self._base_url = base_url
        self._timeout = timeout

    async def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # the SDK's signature
        allow_redirects: bool = False,  # noqa: ARG002  # the SDK's signature; exchange never follows
    ) -> Any:
        sending = method.upper() != "GET"
        response = await exchange(
            self._http,
            method,
            self._base_url + httpx.URL(uri).raw_path.decode("ascii"),
            timeout=timeout or self._timeout,
            sending=sending,
            params=params or None,
            data=data or None,
            headers=headers,
            auth=auth,
        )
        if not response.is_success:
            refuse(response, sending=sending)
        return Response(response.status_code, response.text, response.headers)


def refuse(response: httpx.Response, *, sending: bool) -> None:
    """Raise what an answer without success means."""
    status = response.status_code
    answer = json_object(response)
    stated = answer.get("code") if answer else None
    number = stated if isinstance(stated, int) else None
    code = f"http_{status}" if number is None else str(number)
    if status >= HTTP_SERVER_ERROR and sending and (answer is None or number in AMBIGUOUS):
        raise ProviderUnknown(f"the provider answered {status} ({code})")
    unreadable_wall = status == HTTP_FORBIDDEN and answer is None  # a firewall's page, not Twilio's word
    if status >= HTTP_SERVER_ERROR or status == HTTP_TOO_MANY or number in BUSY or unreadable_wall:
        raise ProviderBusy(retry_after(response.headers), code)
    credentials = status in (HTTP_UNAUTHORIZED, HTTP_FORBIDDEN) or number in CREDENTIALS
    opted_out = number == OPTED_OUT
    raise ProviderRefused(
        code, sentence(number, status), opted_out=opted_out, credentials=credentials and not opted_out
    )


def _segments(stated: object) -> int | None:
    count = int(stated) if isinstance(stated, str) and stated.isdecimal() else 0
    return count or None  # "0" until a messaging service has picked a sender


def _message(instance: Any) -> TwilioMessage:
    created = instance.date_created
    return TwilioMessage(
        sid=str(instance.sid),
        body=str(instance.body or ""),
        status=str(instance.status or ""),
        created_at=created.astimezone(UTC) if isinstance(created, datetime) else None,
        error_code=instance.error_code if isinstance(instance.error_code, int) else None,
    )
