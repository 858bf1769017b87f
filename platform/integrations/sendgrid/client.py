"""SendGrid's v3 mail send: the SDK builds the message, our HTTP client carries it (the SDK's own is blocking)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from sendgrid.helpers.mail import (
    Attachment,
    Content,
    CustomArg,
    Disposition,
    FileContent,
    FileName,
    FileType,
    From,
    Header,
    Mail,
    Personalization,
    To,
)

from lead_orchestrator.integrations.providers import Accepted, ProviderBusy, ProviderRefused, ProviderUnknown
from lead_orchestrator.integrations.transport import exchange, json_object, retry_after

__all__ = ["Attached", "SendGridClient", "refuse"]

HTTP_UNAUTHORIZED, HTTP_FORBIDDEN, HTTP_TOO_MANY, HTTP_SERVER_ERROR = 401, 403, 429, 500

_SENTENCES = {
    400: "SendGrid could not use the mail as it is",
    401: "SendGrid does not accept the API key",
    403: "SendGrid does not let this key send from this address (is the sender verified?)",
    404: "SendGrid knows no such resource",
    413: "the mail is too large for SendGrid",
}


@dataclass(frozen=True)
class Attached:
    """A file of a mail; its type has no parameters, which SendGrid refuses."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


class SendGridClient:
    """Sends mail for any tenant.

    A 4xx is ProviderRefused. 429, a 5xx with SendGrid's JSON and a request that never left are ProviderBusy. A 5xx
    without it, a time-out and a lost connection are ProviderUnknown: SendGrid cannot be asked, but its events carry the
    custom arguments.
    """

    def __init__(self, http: httpx.AsyncClient, base_url: str) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")

    async def send(
        self,
        api_key: str,
        *,
        to: str,
        from_email: str,
        from_name: str | None,
        subject: str,
        text: str,
        html: str | None,
        headers: Mapping[str, str],
        custom_args: Mapping[str, str],
        attachments: Sequence[Attached] = (),
        timeout: float,  # noqa: ASYNC109  # the whole call's, told apart before and after the request left
    ) -> Accepted:
        """Hand one mail over within `timeout` seconds; `custom_args` come back with its events: no personal data.

        The id is SendGrid's X-Message-Id, the beginning of its events' sg_message_id; empty if SendGrid left it out.

        Raises:
            ProviderRefused, ProviderBusy, ProviderUnknown: see the class.
        """
        mail = _mail(to, (from_email, from_name), subject, (text, html), headers, custom_args)
        if attachments:
            mail["attachments"] = [_attachment(one) for one in attachments]
        response = await exchange(
            self._http,
            "POST",
            f"{self._base_url}/v3/mail/send",
            timeout=timeout,
            sending=True,
            json=mail,
            headers={"Authorization": f"Bearer {api_key}"},
        )
        if not response.is_success:
            refuse(response)
        return Accepted(response.headers.get("x-message-id", ""), "accepted", None)


def _mail(
    to: str,
    sender: tuple[str, str | None],
    subject: str,
    contents: tuple[str, str | None],
    headers: Mapping[str, str],
    custom_args: Mapping[str, str],
) -> dict[str, Any]:
    mail = Mail(from_email=From(*sender), subject=subject)
    recipient = Personalization()
    recipient.add_to(To(to))
    mail.add_personalization(recipient)
    text, html = contents
    mail.add_content(Content("text/plain", text))
    if html:
        mail.add_content(Content("text/html", html))
    for name, value in headers.items():
        mail.add_header(Header(name, value))
    for name, value in custom_args.items():
        mail.add_custom_arg(CustomArg(name, value))
    built: dict[str, Any] = mail.get()
    return built


def _attachment(attached: Attached) -> dict[str, Any]:
    content = FileContent(base64.b64encode(attached.content).decode())
    kind, name = FileType(attached.media_type), FileName(attached.name)
    built: dict[str, Any] = Attachment(content, name, kind, Disposition("attachment")).get()
    return built


def refuse(response: httpx.Response) -> None:
    """Raise what an answer without success means."""
    status, code = response.status_code, f"http_{response.status_code}"
    explained = json_object(response) is not None
    if status >= HTTP_SERVER_ERROR and not explained:
        raise ProviderUnknown(f"the provider answered {status}")
    unreadable_wall = status == HTTP_FORBIDDEN and not explained  # a firewall's page, not SendGrid's word
    if status >= HTTP_SERVER_ERROR or status == HTTP_TOO_MANY or unreadable_wall:
        raise ProviderBusy(retry_after(response.headers), code)
    message = _SENTENCES.get(status, f"SendGrid refused the mail (HTTP {status})")
    raise ProviderRefused(code, message, credentials=status in (HTTP_UNAUTHORIZED, HTTP_FORBIDDEN))
