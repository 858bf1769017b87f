"""Credentials are tried before they are stored: a wrong one is told to whoever enters it, not to a customer who waits."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Iterator
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from pydantic import SecretStr

from lead_orchestrator.errors import BadInputError, UnavailableError
from lead_orchestrator.integrations.openai.keys import OpenAIKeys
from lead_orchestrator.integrations.providers import ProviderError, ProviderRefused
from lead_orchestrator.integrations.sendgrid.account import SendGridAccounts
from lead_orchestrator.integrations.twilio.account import TwilioAccounts
from lead_orchestrator.integrations.twilio.client import TwilioCredentials
from lead_orchestrator.integrations.whatsapp.account import WhatsAppNumbers
from lead_orchestrator.integrations.whatsapp.client import WhatsAppCredentials
from lead_orchestrator.tenancy.franchise import Messaging
from lead_orchestrator.tenancy.models import MessagingConfig
from lead_orchestrator.tenancy.onboarding import MESSAGING_SECRETS
from lead_orchestrator.tenancy.secrets import SecretOpener

__all__ = ["Credentials", "completed"]

_T = TypeVar("_T")
_TWILIO = {"twilio_account_sid", "twilio_auth_token", "twilio_phone_number", "twilio_messaging_service_sid"}
_SENDGRID = {"sendgrid_api_key", "sendgrid_from_email"}
_WHATSAPP = {"whatsapp_phone_number_id", "whatsapp_access_token"}


@dataclass(frozen=True)
class Credentials:
    """Asks each service whether it takes them."""

    twilio: TwilioAccounts
    sendgrid: SendGridAccounts
    whatsapp: WhatsAppNumbers
    openai: OpenAIKeys

    async def check(self, whole: Messaging, given: Collection[str] | None = None) -> frozenset[str]:
        """Try the accounts of `whole` of which something is among the `given` fields, or all.

        Returns the moments of tenant_messaging_configs that are now: of the senders known to be the franchise's.

        Raises:
            BadInputError: a service refuses them (CREDENTIALS_REFUSED), the sender is not the account's
                (SENDER_NOT_REGISTERED), or a part of them is missing.
            UnavailableError: a service cannot be asked now.
        """
        changed = set(whole.model_fields_set if given is None else given)
        checked = set[str]()
        if changed & _TWILIO and await self._texts(whole):
            checked.add("sms_checked_at")
        if changed & _SENDGRID and await self._mails(whole):
            checked.add("email_checked_at")
        if changed & _WHATSAPP and await self._chats(whole):
            checked.add("whatsapp_checked_at")
        if "openai_api_key" in changed and whole.openai_api_key is not None:
            await _asked("OpenAI", "openaiApiKey", self.openai.check(whole.openai_api_key))
        return frozenset(checked)

    async def _texts(self, whole: Messaging) -> bool:
        sid, token = whole.twilio_account_sid, whole.twilio_auth_token
        if sid is None or token is None:
            raise _missing("twilioAccountSid" if sid is None else "twilioAuthToken")
        credentials = TwilioCredentials(sid, token)
        if not await _asked("Twilio", "twilioAuthToken", self.twilio.is_active(credentials)):
            raise BadInputError("the Twilio account is not active: see its console", code="CREDENTIALS_REFUSED")
        number = whole.twilio_phone_number
        if number is not None and not await _asked(
            "Twilio", "twilioPhoneNumber", self.twilio.owns(credentials, number)
        ):
            message = "the Twilio account has no such number: rent it there first, or enter another one"
            raise BadInputError(message, code="SENDER_NOT_REGISTERED", field=("twilioPhoneNumber",))
        return number is not None or whole.twilio_messaging_service_sid is not None

    async def _mails(self, whole: Messaging) -> bool:
        key, sender = whole.sendgrid_api_key, whole.sendgrid_from_email
        if key is None or sender is None:
            raise _missing("sendgridApiKey" if key is None else "sendgridFromEmail")
        if not await _asked("SendGrid", "sendgridApiKey", self.sendgrid.may_send(key.get_secret_value())):
            message = "the SendGrid key may not send mail: give it the scope mail.send"
            raise BadInputError(message, code="CREDENTIALS_REFUSED", field=("sendgridApiKey",))
        known = await _asked("SendGrid", "sendgridFromEmail", self.sendgrid.knows(key.get_secret_value(), sender))
        if known is False:
            message = "SendGrid has neither authenticated the domain of this address nor verified it as a sender"
            raise BadInputError(message, code="SENDER_NOT_REGISTERED", field=("sendgridFromEmail",))
        return bool(known)

    async def _chats(self, whole: Messaging) -> bool:
        number, token = whole.whatsapp_phone_number_id, whole.whatsapp_access_token
        if number is None or token is None:
            raise _missing("whatsappPhoneNumberId" if number is None else "whatsappAccessToken")
        return await _asked("WhatsApp", "whatsappAccessToken", self.whatsapp.exists(WhatsAppCredentials(number, token)))


def completed(given: Messaging, config: MessagingConfig | None, secrets: SecretOpener, tenant_id: UUID) -> Messaging:
    """`given` with what is stored of the accounts where it says nothing, as it is stored."""
    stored = dict(_stored(config, secrets, tenant_id)) if config is not None else {}
    return given.model_copy(
        update={name: value for name, value in stored.items() if name not in given.model_fields_set}
    )


def _stored(config: MessagingConfig, secrets: SecretOpener, tenant_id: UUID) -> Iterator[tuple[str, object]]:
    for name in sorted(_TWILIO | _SENDGRID | _WHATSAPP):
        value = getattr(config, name)
        if value is not None:
            secret = name in MESSAGING_SECRETS
            yield name, SecretStr(secrets.open(tenant_id, name, value)) if secret else value


async def _asked(service: str, field: str, answer: Awaitable[_T]) -> _T:
    try:
        return await answer
    except ProviderRefused as error:
        raise BadInputError(f"{service}: {error.message}", code="CREDENTIALS_REFUSED", field=(field,)) from None
    except ProviderError:
        raise UnavailableError(f"{service} cannot be asked now: try again in a minute") from None


def _missing(name: str) -> BadInputError:
    return BadInputError(f"{name} is missing: these credentials come together", field=(name,))
