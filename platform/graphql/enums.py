"""The contract's enums. Those of the domain are its own; a Message's also cover what came in."""

from __future__ import annotations

from enum import StrEnum

import strawberry

from lead_orchestrator.leads.models import Channel, LeadSource, LeadStatus
from lead_orchestrator.tenancy.tokens import Role

__all__ = [
    "Channel",
    "LeadOrder",
    "LeadSource",
    "LeadStatus",
    "MessageDirection",
    "MessageKind",
    "MessageStatus",
    "Role",
]

for _domain in (Channel, LeadSource, LeadStatus, Role):
    strawberry.enum(_domain)


@strawberry.enum
class LeadOrder(StrEnum):
    CREATED_AT_DESC = "CREATED_AT_DESC"
    CREATED_AT_ASC = "CREATED_AT_ASC"
    LAST_ACTIVITY_DESC = "LAST_ACTIVITY_DESC"


@strawberry.enum
class MessageKind(StrEnum):
    TOUCH = "TOUCH"
    REMINDER = "REMINDER"
    WELCOME = "WELCOME"
    CONFIRMATION = "CONFIRMATION"
    REPLY = "REPLY"
    AD_HOC = "AD_HOC"
    INBOUND = "INBOUND"


@strawberry.enum
class MessageDirection(StrEnum):
    OUTBOUND = "OUTBOUND"
    INBOUND = "INBOUND"


@strawberry.enum
class MessageStatus(StrEnum):
    SCHEDULED = "SCHEDULED"
    SENDING = "SENDING"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    UNDELIVERED = "UNDELIVERED"
    SUPPRESSED = "SUPPRESSED"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"
    RECEIVED = "RECEIVED"
