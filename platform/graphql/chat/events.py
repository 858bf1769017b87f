"""What a subscriber of a conversation is told."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import strawberry

from lead_orchestrator.chat.models import ChatRole, ChatState
from lead_orchestrator.graphql.chat.types import ChatMessage

__all__ = [
    "ChatEvent",
    "ChatMessageAdded",
    "ChatMessageDelta",
    "ChatMessageRetracted",
    "ChatStateChanged",
    "ChatTyping",
]


@strawberry.type
class ChatMessageAdded:
    cursor: str
    message: ChatMessage


@strawberry.type
class ChatMessageDelta:
    """Words of a message that is being written, after the first `offset` characters. They may get lost; the message itself replaces
    them, or a retraction takes them back."""

    message_id: strawberry.ID
    offset: int
    text: str


@strawberry.type
class ChatMessageRetracted:
    cursor: str
    message_id: strawberry.ID


@strawberry.type
class ChatTyping:
    """Somebody of this role is writing; it holds for a few seconds."""

    role: ChatRole


@strawberry.type
class ChatStateChanged:
    cursor: str
    state: ChatState


ChatEvent: TypeAlias = Annotated[
    ChatMessageAdded | ChatMessageDelta | ChatMessageRetracted | ChatTyping | ChatStateChanged,
    strawberry.union("ChatEvent"),
]
