"""What a provider told us, in our words and small enough to be kept until it is processed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, Self
from uuid import UUID

from lead_orchestrator.leads.ingestion.models import EventSource
from lead_orchestrator.leads.models import Channel, Lead
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["Arrival", "Conversations", "Heard", "News", "Told"]

SOURCES = {Channel.SMS: EventSource.TWILIO, Channel.WHATSAPP: EventSource.WHATSAPP, Channel.EMAIL: EventSource.SENDGRID}


class Conversations(Protocol):
    """Where a customer's message is read and answered."""

    async def hear(
        self, session: WriteSession, lead: Lead, channel: Channel, text: str, client_id: str, *, answerable: bool = True
    ) -> UUID:
        """Add a message of the locked lead to its conversation on `channel`, or begin one; returns the conversation's id.

        One that is not `answerable` has its answer already: an opt-out, say.
        """
        ...


@dataclass(frozen=True)
class Heard:
    """A customer's message; texts and addresses show in no repr.

    `address` is the sender's number or mail address, None where WhatsApp shows `user_id` only; `ours` what it was sent to.
    `answered` is STOP, START or HELP when the provider itself has acted on it and answered the customer.
    """

    channel: Channel
    provider_id: str
    address: str | None = field(repr=False)
    user_id: str | None = field(repr=False)
    ours: str = field(repr=False)
    text: str = field(repr=False)
    subject: str | None = field(repr=False, default=None)
    name: str | None = field(repr=False, default=None)
    answered: str | None = None

    @property
    def phone(self) -> str | None:
        return None if self.channel is Channel.EMAIL else self.address

    @property
    def email(self) -> str | None:
        return self.address if self.channel is Channel.EMAIL else None

    def payload(self) -> dict[str, object]:
        return {**vars(self), "channel": self.channel.value}

    @classmethod
    def of(cls, payload: Mapping[str, object]) -> Self:
        values = {**payload, "channel": Channel(str(payload["channel"]))}
        return cls(**values)  # type: ignore[arg-type]  # as `payload` wrote them


class Arrival(StrEnum):
    """How far a message of ours is known to have come, as statuses of messages have it."""

    SENT = "SENT"
    DELIVERED = "DELIVERED"
    UNDELIVERED = "UNDELIVERED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class News:
    """What became of a message of ours: `message_id` and `attempt` are our own ids, where the provider gives them back.

    `why` is a sentence of ours that may be stored and shown. `opted_out`: the recipient told the provider to stop.
    """

    channel: Channel
    provider_id: str
    arrival: Arrival
    message_id: UUID | None = None
    attempt: int | None = None
    code: str | None = None
    why: str | None = None
    opted_out: bool = False

    def payload(self) -> dict[str, object]:
        ours = str(self.message_id) if self.message_id else None
        return {**vars(self), "channel": self.channel.value, "arrival": self.arrival.value, "message_id": ours}

    @classmethod
    def of(cls, payload: Mapping[str, object]) -> Self:
        ours = payload["message_id"]
        values = {
            **payload,
            "channel": Channel(str(payload["channel"])),
            "arrival": Arrival(str(payload["arrival"])),
            "message_id": UUID(str(ours)) if ours else None,
        }
        return cls(**values)  # type: ignore[arg-type]  # as `payload` wrote them


@dataclass(frozen=True)
class Told:
    """One thing to keep; `change` is the same whenever the provider tells it again."""

    change: str
    what: Heard | News
