"""Mails about accounts, from the platform's own account: the row is the order, written with what it is about, and sent afterwards.

A mail may go out twice when a worker dies at the wrong moment: its link works once all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from lead_orchestrator.clock import real_now
from lead_orchestrator.log import get_logger
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.accounts import repository
from lead_orchestrator.tenancy.accounts.links import AccountLinks
from lead_orchestrator.tenancy.accounts.models import Invitation, LinkKind
from lead_orchestrator.tenancy.sessions import Scope, Tenancy

__all__ = ["AccountMail", "AccountMails", "MailRefusedError", "Send"]

_log = get_logger(__name__)

LEASE = timedelta(seconds=60)
CALL_SECONDS = 20.0
AT_ONCE = 20
MOST_ATTEMPTS = 12
_PAUSE, _LONGEST_PAUSE = 5.0, 900.0

_INVITATION = """\
{franchise} has made you an account for its leads and appointments.

Choose your password here, within 7 days:
{link}

If you do not know what this is about, leave it be."""
_RESET = """\
Somebody, we hope you, asked for a new password at {franchise}.

Choose it here, within the hour:
{link}

If it was not you, leave it be: your password stays as it is."""
_TEXTS = {
    LinkKind.INVITATION: ("Your account at {franchise}", _INVITATION),
    LinkKind.RESET: ("A new password for {franchise}", _RESET),
}


@dataclass(frozen=True)
class AccountMail:
    """`reference` comes back with the provider's events."""

    to: str = field(repr=False)
    subject: str
    text: str = field(repr=False)
    reference: str


class MailRefusedError(Exception):
    """The provider will not take this mail, however often it is asked."""


Send = Callable[[AccountMail, float], Awaitable[None]]
"""Hands a mail over within so many seconds. Raises MailRefusedError for good; anything else is tried again."""


@dataclass(frozen=True)
class AccountMails:
    """Sends what is due; without `send` nothing ever leaves."""

    tenancy: Tenancy
    links: AccountLinks
    send: Send | None

    async def dispatch(self, tenant_id: UUID) -> int:
        """One batch of a franchise; says how many were due."""
        if self.send is None:
            return 0
        scope = Scope.service(tenant_id, "account mails")
        async with self.tenancy.write(scope) as session:
            franchise = (await tenancy_repository.tenant(session)).name
            claimed = await repository.claim_mails(session, LEASE, AT_ONCE)
            due = [(row, self._mail(row, user.email, franchise)) for row, user in claimed]
        await asyncio.gather(*(self._one(scope, self.send, row, mail) for row, mail in due))
        return len(due)

    def _mail(self, row: Invitation, to: str, franchise: str) -> AccountMail:
        subject, text = _TEXTS[LinkKind(row.kind)]
        named = {"franchise": franchise, "link": self.links.url(row)}
        return AccountMail(to, subject.format(**named), text.format(**named), f"account-{row.id}")

    async def _one(self, scope: Scope, send: Send, row: Invitation, mail: AccountMail) -> None:
        status, pause = "SENT", None
        try:
            await send(mail, CALL_SECONDS)
        except MailRefusedError:
            status = "FAILED"
        except Exception as error:  # noqa: BLE001 - whatever it was, the row says when it is tried again
            _log.warning("account_mail_waits", reason=type(error).__name__)
            attempts = row.mail_attempts + 1
            status = "PENDING" if attempts < MOST_ATTEMPTS else "FAILED"
            pause = timedelta(seconds=min(_PAUSE * 2**attempts, _LONGEST_PAUSE))
        async with self.tenancy.write(scope) as session:
            due_at = await real_now(session) + pause if pause is not None else None
            await repository.settle_mail(session, row.id, status, due_at)
