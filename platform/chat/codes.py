"""Codes that are texted to a number which a visitor typed: whoever reads them there is who they say they are.

Six digits, of which the session keeps a keyed hash; good for ten minutes and five tries. Three codes a conversation and five a
number in a day, after which none is sent. Nothing that the visitor sees depends on whether the number is known, reached or
written to.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import timedelta

from lead_orchestrator.chat.models import ChatSession
from lead_orchestrator.chat.texts import TEXTS
from lead_orchestrator.clock import app_now, real_now
from lead_orchestrator.leads.models import Channel, Lead, MessageKind
from lead_orchestrator.messaging import repository as messaging_repository
from lead_orchestrator.messaging.replies import write
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["MOST_ATTEMPTS", "MOST_CODES", "MOST_CODES_A_DAY", "check_code", "send_code"]

GOOD_FOR = timedelta(minutes=10)
DAY = timedelta(days=1)
MOST_ATTEMPTS, MOST_CODES, MOST_CODES_A_DAY = 5, 3, 5
REFERENCE = "chat-code"
_DIGITS = 6


async def send_code(session: WriteSession, chat: ChatSession, lead: Lead, secret_box: SecretBox) -> None:
    """Text a new code to the locked lead of a locked conversation, unless there were enough; the gate has the last word."""
    now = await app_now(session)
    lately = await messaging_repository.count_referenced(session, lead.id, REFERENCE, now - DAY)
    if chat.codes_sent >= MOST_CODES or lately >= MOST_CODES_A_DAY:
        return
    code = f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}}"
    chat.codes_sent += 1
    chat.code_attempts = 0
    chat.code_hash = _hash(chat, code, secret_box)
    chat.code_expires_at = await real_now(session) + GOOD_FOR
    location = await tenancy_repository.location(session, chat.location_id)
    body = TEXTS[chat.language]["code"].format(code=code, shop=location.name if location else "")
    await write(
        session, lead, MessageKind.CONFIRMATION, Channel.SMS, body, reference=REFERENCE, void_after=now + GOOD_FOR
    )


async def check_code(session: WriteSession, chat: ChatSession, code: str, secret_box: SecretBox) -> bool:
    """Whether it is the code of the locked conversation; each look counts, and the right one is used up."""
    if chat.code_hash is None or chat.code_expires_at is None or chat.code_attempts >= MOST_ATTEMPTS:
        return False
    chat.code_attempts += 1
    right = hmac.compare_digest(chat.code_hash, _hash(chat, code.strip(), secret_box))
    if not right or chat.code_expires_at <= await real_now(session):
        return False
    chat.code_hash = chat.code_expires_at = None
    return True


def _hash(chat: ChatSession, code: str, secret_box: SecretBox) -> bytes:
    return secret_box.address_hash(chat.tenant_id, "chat code", f"{chat.id}:{code}")
