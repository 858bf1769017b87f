"""Hands one message to its provider, with the tenant's own account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import SecretStr

from lead_orchestrator.integrations.providers import Accepted
from lead_orchestrator.integrations.sendgrid.client import Attached, SendGridClient
from lead_orchestrator.integrations.twilio.client import TwilioClient, TwilioCredentials, TwilioMessage
from lead_orchestrator.integrations.whatsapp.client import Template, WhatsAppClient, WhatsAppCredentials
from lead_orchestrator.leads.models import Channel
from lead_orchestrator.messaging.invites import Invite, Party
from lead_orchestrator.messaging.mail import Letterhead, as_html, as_text
from lead_orchestrator.messaging.reference import reference
from lead_orchestrator.tenancy.models import MessagingConfig
from lead_orchestrator.tenancy.secrets import SecretOpener

__all__ = ["Account", "Delivery", "Letter", "senders"]

_LANGUAGE = "en_US"
_SHORTEST_VALIDITY, _LONGEST_VALIDITY = 60, 36_000  # seconds; Twilio takes 1 to 36,000


@dataclass(frozen=True)
class Account:
    """What the tenant sends from; secrets show in no repr."""

    twilio: TwilioCredentials | None
    twilio_number: str | None
    twilio_service: str | None
    sendgrid_key: str | None = field(repr=False)
    from_email: str | None
    from_name: str | None
    refused: frozenset[Channel] = frozenset()
    """The channels whose provider refused the account the last time."""
    whatsapp: WhatsAppCredentials | None = None
    tenant_id: UUID | None = None

    @classmethod
    def of(cls, config: MessagingConfig, secrets: SecretOpener) -> Account:
        """Open the tenant's secrets."""
        twilio = key = whatsapp = None
        flags = {
            Channel.SMS: config.sms_refused,
            Channel.EMAIL: config.email_refused,
            Channel.WHATSAPP: config.whatsapp_refused,
        }
        if config.twilio_account_sid and config.twilio_auth_token:
            token = secrets.open(config.tenant_id, "twilio_auth_token", config.twilio_auth_token)
            twilio = TwilioCredentials(config.twilio_account_sid, SecretStr(token))
        if config.sendgrid_api_key:
            key = secrets.open(config.tenant_id, "sendgrid_api_key", config.sendgrid_api_key)
        if config.whatsapp_phone_number_id and config.whatsapp_access_token:
            token = secrets.open(config.tenant_id, "whatsapp_access_token", config.whatsapp_access_token)
            whatsapp = WhatsAppCredentials(config.whatsapp_phone_number_id, SecretStr(token))
        return cls(
            twilio,
            config.twilio_phone_number,
            config.twilio_messaging_service_sid,
            key,
            config.sendgrid_from_email,
            config.sendgrid_from_name,
            frozenset(channel for channel, flag in flags.items() if flag),
            whatsapp,
            config.tenant_id,
        )

    def sender(self, channel: Channel) -> str:
        """What the recipient sees it from; empty where the account cannot send on `channel`."""
        if channel is Channel.SMS and self.twilio:
            return self.twilio_service or self.twilio_number or ""
        if channel is Channel.WHATSAPP:
            return self.whatsapp.phone_number_id if self.whatsapp else ""
        return self.from_email or "" if channel is Channel.EMAIL and self.sendgrid_key else ""


def senders(account: Account) -> frozenset[Channel]:
    """The channels the tenant can send on."""
    return frozenset(channel for channel in (Channel.SMS, Channel.EMAIL, Channel.WHATSAPP) if account.sender(channel))


@dataclass(frozen=True)
class Letter:
    """One message as it leaves; `text` and the address show in no repr. `head` is for mails.

    `template` is the approved one that WhatsApp wants instead of the text, as `name` or `name:language`; `parameters` are the
    values of its placeholders, {{1}} first.
    """

    message_id: UUID
    attempt: int
    channel: Channel
    address: str = field(repr=False)
    subject: str | None = field(repr=False)
    text: str = field(repr=False)
    head: Letterhead
    expires_in: timedelta
    template: str | None = None
    parameters: Sequence[str] = field(default=(), repr=False)
    invite: Invite | None = None
    """What a mail carries for the reader's calendar."""


class Delivery:
    """Speaks to Twilio, SendGrid and WhatsApp; raises what they raise (see integrations.providers).

    Each message carries its own ids, which come back with its news: in the address that Twilio is to call, under
    `callbacks` (None: it cannot be reached from outside), as a custom argument of a mail, as WhatsApp's reference.
    """

    def __init__(
        self, twilio: TwilioClient, sendgrid: SendGridClient, whatsapp: WhatsAppClient, callbacks: str | None
    ) -> None:
        self._twilio = twilio
        self._sendgrid = sendgrid
        self._whatsapp = whatsapp
        self._callbacks = callbacks

    async def send(self, account: Account, letter: Letter, *, timeout: float) -> Accepted:  # noqa: ASYNC109 - the whole call's
        """Hand the letter over within `timeout` seconds."""
        if letter.channel is Channel.SMS:
            return await self._text(account, letter, timeout)
        if letter.channel is Channel.WHATSAPP:
            return await self._chat(account, letter, timeout)
        return await self._mail(account, letter, timeout)

    async def find(self, account: Account, letter: Letter, since: datetime) -> Sequence[TwilioMessage]:
        """The texts Twilio has for this address since then that say what the letter says."""
        if account.twilio is None:
            return []
        number = None if account.twilio_service else account.twilio_number
        found = await self._twilio.find(account.twilio, to=letter.address, from_number=number, since=since)
        return [message for message in found if _same(message.body, letter.text)]

    async def _text(self, account: Account, letter: Letter, limit: float) -> Accepted:
        if account.twilio is None:
            raise RuntimeError("the gate let a text pass without an account")
        seconds = int(letter.expires_in.total_seconds())
        return await self._twilio.send(
            account.twilio,
            to=letter.address,
            body=letter.text,
            from_number=None if account.twilio_service else account.twilio_number,
            messaging_service_sid=account.twilio_service,
            status_callback=self._status_address(account, letter),
            validity_period=max(_SHORTEST_VALIDITY, min(seconds, _LONGEST_VALIDITY)),
            timeout=limit,
        )

    def _status_address(self, account: Account, letter: Letter) -> str | None:
        if self._callbacks is None or account.tenant_id is None:
            return None
        ours = f"tenant={account.tenant_id}&message={reference(letter.message_id, letter.attempt)}"
        return f"{self._callbacks.rstrip('/')}/webhooks/twilio/status?{ours}"

    async def _chat(self, account: Account, letter: Letter, limit: float) -> Accepted:
        if account.whatsapp is None:
            raise RuntimeError("the gate let a WhatsApp message pass without an account")
        name, _, language = (letter.template or "").partition(":")
        return await self._whatsapp.send(
            account.whatsapp,
            to=letter.address,
            text=None if name else letter.text,
            template=Template(name, language or _LANGUAGE, tuple(letter.parameters)) if name else None,
            reference=reference(letter.message_id, letter.attempt),
            timeout=limit,
        )

    async def _mail(self, account: Account, letter: Letter, limit: float) -> Accepted:
        subject = letter.subject or "Your quote"
        return await self._sendgrid.send(
            account.sendgrid_key or "",
            to=letter.address,
            from_email=account.from_email or "",
            from_name=account.from_name,
            subject=subject,
            text=as_text(letter.text, letter.head),
            html=as_html(subject, letter.text, letter.head),
            headers={
                "List-Unsubscribe": f"<{letter.head.unsubscribe_link}>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",  # RFC 8058
            },
            custom_args={"message": reference(letter.message_id, letter.attempt)},
            attachments=_attached(account, letter),
            timeout=limit,
        )


def _attached(account: Account, letter: Letter) -> Sequence[Attached]:
    if letter.invite is None:
        return []
    organizer, attendee = Party(account.from_email or "", account.from_name), Party(letter.address)
    calendar = letter.invite.addressed(organizer, attendee)
    return [Attached("invite.ics", "text/calendar", calendar)]


def _same(theirs: str, ours: str) -> bool:
    return " ".join(theirs.split()) == " ".join(ours.split())
