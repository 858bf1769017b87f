"""Whose a conversation is: the assistant's, a person's, or nobody's any more. The customer is told.

The assistant is silent while a person has it, and answers again only after `release`, or when the customer writes after a silence
that the franchise has set. Handing over what a person has already is nothing, so nothing can go round in circles.
"""

from __future__ import annotations

from uuid import UUID

from lead_orchestrator.chat import repository
from lead_orchestrator.chat.conversations import Chats, staff_user
from lead_orchestrator.chat.entries import add_message, await_answer, change_state, held_until, locked_chat
from lead_orchestrator.chat.models import ChatRole, ChatSession, ChatState, Reason
from lead_orchestrator.chat.texts import TEXTS
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads.models import Channel, Lead
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["HandOff"]


class HandOff:
    """Each method locks the conversation's lead and then the conversation, as everybody does who writes into it."""

    def __init__(self, chats: Chats) -> None:
        self._chats = chats

    async def hand_over(self, session: WriteSession, chat_id: UUID, reason: Reason) -> bool:
        """Give the conversation to the people of the shop and tell the customer; False where the assistant does not have it.

        Raises:
            NotFoundError: there is no such conversation in this scope.
        """
        chat, lead = await locked_chat(session, chat_id)
        if chat.state != ChatState.ASSISTANT:
            return False
        await change_state(session, chat, ChatState.HUMAN, reason)
        await self._tell(session, chat, lead, "handed_over", on_every_channel=True)
        return True

    async def take_over(self, session: WriteSession, chat_id: UUID) -> ChatSession:
        """The caller has it from now on, whoever had it.

        Raises:
            BadInputError: CHAT_CLOSED.
            NotFoundError: there is no such conversation in this scope.
        """
        return await self._give(session, chat_id, staff_user(session.scope))

    async def assign(self, session: WriteSession, chat_id: UUID, user_id: UUID) -> ChatSession:
        """That colleague has it from now on.

        Raises:
            BadInputError: CHAT_CLOSED; USER_CANNOT_SEE, the colleague is of other locations only.
            NotFoundError: there is no such conversation in this scope, or no such active user.
        """
        user = await tenancy_repository.active_user(session, user_id)
        if user is None:
            raise NotFoundError(f"there is no active user {encode(Kind.USER, user_id)}", field=("userId",))
        seen = await repository.get(session, chat_id)
        if seen is not None and user.location_ids is not None and seen.location_id not in user.location_ids:
            message = (
                f"{encode(Kind.USER, user_id)} does not work at the conversation's location: choose a colleague there"
            )
            raise BadInputError(message, code="USER_CANNOT_SEE", field=("userId",))
        return await self._give(session, chat_id, user_id)

    async def release(self, session: WriteSession, chat_id: UUID) -> ChatSession:
        """The assistant has it again, and answers what the customer said last if nobody has.

        Raises:
            BadInputError: CHAT_CLOSED.
            NotFoundError: there is no such conversation in this scope.
        """
        chat, lead = await locked_chat(session, chat_id)
        _check_open(chat)
        if chat.state == ChatState.HUMAN:
            waits = await repository.customer_waits(session, chat.id)
            chat.assigned_to = None
            await change_state(session, chat, ChatState.ASSISTANT, Reason.RELEASED)
            await self._tell(session, chat, lead, "released")
            if waits:
                await await_answer(session, chat)
            session.audit("chat.released", target=encode(Kind.CHAT_SESSION, chat.id))
        return chat

    async def close(self, session: WriteSession, chat_id: UUID) -> ChatSession:
        """Nobody writes into it any more; a customer's next message begins another one. Closing twice is closing once.

        Raises:
            NotFoundError: there is no such conversation in this scope.
        """
        chat, _ = await locked_chat(session, chat_id)
        if chat.state != ChatState.CLOSED:
            await change_state(session, chat, ChatState.CLOSED, Reason.CLOSED)
            chat.visitor_nonce = chat.code_hash = None
            chat.unread = 0
            session.audit("chat.closed", target=encode(Kind.CHAT_SESSION, chat.id))
            session.ends(chat.id)
            await session.flush()
        return chat

    async def _give(self, session: WriteSession, chat_id: UUID, user_id: UUID | None) -> ChatSession:
        chat, lead = await locked_chat(session, chat_id)
        _check_open(chat)
        taken = chat.state != ChatState.HUMAN
        if taken:
            await change_state(session, chat, ChatState.HUMAN, Reason.TAKEN)
        chat.assigned_to = user_id
        chat.held_until = await held_until(session)
        if taken:
            await self._tell(session, chat, lead, "taken", on_every_channel=True)
        session.audit("chat.taken", target=encode(Kind.CHAT_SESSION, chat.id))
        await session.flush()
        return chat

    async def _tell(
        self, session: WriteSession, chat: ChatSession, lead: Lead | None, what: str, *, on_every_channel: bool = False
    ) -> None:
        """In the conversation, and where the customer waits for an answer also on its channel."""
        location = await tenancy_repository.location(session, chat.location_id)
        user = await tenancy_repository.active_user(session, chat.assigned_to) if chat.assigned_to else None
        texts, shop = TEXTS[chat.language], location.name if location else ""
        who = (user.name if user else None) or texts["colleague"].format(shop=shop)
        text = texts[what].format(shop=shop, who=who)
        await add_message(session, chat, ChatRole.SYSTEM, text)
        if on_every_channel and chat.channel != Channel.WEB_CHAT:
            await self._chats.send(session, chat, lead, text)


def _check_open(chat: ChatSession) -> None:
    if chat.state == ChatState.CLOSED:
        message = f"the conversation {encode(Kind.CHAT_SESSION, chat.id)} is closed"
        raise BadInputError(message, code="CHAT_CLOSED", field=("sessionId",))
