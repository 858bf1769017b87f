"""Conversations by text and WhatsApp: a customer's message opens one or goes on with it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from lead_orchestrator.chat import repository
from lead_orchestrator.chat.models import ChatMessage, ChatRole, ChatSession, ChatState
from lead_orchestrator.clock import app_now
from lead_orchestrator.leads.models import Channel, Lead
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["Conversations"]


class Conversations:
    """A lead has one open conversation a channel; its version rises with each message, under the conversation's lock."""

    async def hear(self, session: WriteSession, lead: Lead, channel: Channel, text: str, client_id: str) -> UUID:
        """Add a message of the locked lead to its conversation on `channel`, or begin one; returns the conversation's id.

        `client_id` is the provider's id of the message.
        """
        now = await app_now(session)
        chat = await repository.open_session_of(session, lead.id, channel)
        if chat is None:
            chat = ChatSession(
                tenant_id=lead.tenant_id,
                location_id=lead.location_id,
                lead_id=lead.id,
                channel=channel,
                state=ChatState.ASSISTANT,
                version=0,
                unread=0,
                created_at=now,
            )
            repository.add(session, chat)
            await session.flush()
        chat.unread += 1
        await _add(session, chat, ChatRole.USER, text, client_id, now)
        return chat.id

    async def say(self, session: WriteSession, lead: Lead, channel: Channel, text: str, client_id: str) -> bool:
        """Add what staff writes to the locked lead to its open conversation on `channel`; False where there is none."""
        chat = await repository.open_session_of(session, lead.id, channel)
        if chat is None:
            return False
        await _add(session, chat, ChatRole.STAFF, text, client_id, await app_now(session))
        return True


async def _add(
    session: WriteSession, chat: ChatSession, role: ChatRole, text: str, client_id: str, now: datetime
) -> None:
    chat.version += 1
    chat.last_message_at = now
    message = ChatMessage(
        tenant_id=chat.tenant_id,
        location_id=chat.location_id,
        session_id=chat.id,
        version=chat.version,
        role=role,
        text=text,
        client_id=client_id,
        created_at=now,
    )
    repository.add(session, message)
    await session.flush()
