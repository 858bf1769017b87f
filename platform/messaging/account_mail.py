"""Mails about accounts, by SendGrid from the platform's own account."""

from __future__ import annotations

from dataclasses import dataclass, field

from lead_orchestrator.integrations.providers import ProviderRefused
from lead_orchestrator.integrations.sendgrid.client import SendGridClient
from lead_orchestrator.messaging.mail import Letterhead, as_html
from lead_orchestrator.tenancy.accounts.mails import AccountMail, MailRefusedError

__all__ = ["PlatformMailer"]

NAME = "Lead Orchestrator"


@dataclass(frozen=True)
class PlatformMailer:
    """Hands over what `AccountMails` has to send."""

    sendgrid: SendGridClient
    api_key: str = field(repr=False)
    from_email: str

    async def send(self, mail: AccountMail, timeout: float) -> None:  # noqa: ASYNC109 - the whole call's
        """Raises MailRefusedError: SendGrid will not take it; a key it does not accept may be mended."""
        try:
            await self.sendgrid.send(
                self.api_key,
                to=mail.to,
                from_email=self.from_email,
                from_name=NAME,
                subject=mail.subject,
                text=mail.text,
                html=as_html(mail.subject, mail.text, Letterhead(NAME)),
                headers={},
                custom_args={"reference": mail.reference},
                timeout=timeout,
            )
        except ProviderRefused as error:
            if error.credentials:
                raise
            raise MailRefusedError from None
